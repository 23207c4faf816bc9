package infertest

import (
	"fmt"
	"math"
)

// Reference computes what a model answers, in float64.
type Reference struct {
	s    *Spec
	data map[string][]float32
}

// NewReference makes the weights of a model.
func NewReference(s *Spec) *Reference {
	r := &Reference{s: s, data: make(map[string][]float32)}
	for _, t := range s.Tensors() {
		r.data[t.Name] = t.Data()
	}
	return r
}

func (r *Reference) linear(x []float64, name string) []float64 {
	w, b := r.data[name+".weight"], r.data[name+".bias"]
	out := make([]float64, len(b))
	for i := range out {
		out[i] = float64(b[i]) + dot(x, w[i*len(x):(i+1)*len(x)])
	}
	return out
}

// dot is nearly all of the work. The detector of races would make it ten times slower,
// and finds nothing in it: all is this goroutine's, or is not written.
//
//go:norace
func dot(x []float64, w []float32) (sum float64) {
	for i, v := range w {
		sum += x[i] * float64(v)
	}
	return sum
}

func (r *Reference) norm(x []float64, name string) []float64 {
	g, b := r.data[name+".weight"], r.data[name+".bias"]
	var mean, variance float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v-mean)/math.Sqrt(variance+r.s.epsilon())*float64(g[i]) + float64(b[i])
	}
	return out
}

// States returns the hidden states after the last layer. Without types, all
// are zero.
func (r *Reference) States(ids []int32, types []uint8) [][]float64 {
	prefix, layer, parts := r.s.names()
	if len(r.s.Labels) == 0 {
		prefix = ""
	}
	h := r.s.Hidden
	first := 0
	if r.s.Family == "roberta" {
		first = 2
	}
	x := make([][]float64, len(ids))
	for i, id := range ids {
		row := make([]float64, h)
		kind := 0
		if types != nil {
			kind = int(types[i])
		}
		for j := range row {
			row[j] = float64(r.data[prefix+"embeddings.word_embeddings.weight"][int(id)*h+j]) +
				float64(r.data[prefix+"embeddings.position_embeddings.weight"][(first+i)*h+j])
			if t := r.data[prefix+"embeddings.token_type_embeddings.weight"]; t != nil {
				row[j] += float64(t[kind*h+j])
			}
		}
		x[i] = r.norm(row, prefix+"embeddings.LayerNorm")
	}
	for l := range r.s.Layers {
		x = r.layer(x, prefix+fmt.Sprintf(layer, l), parts)
	}
	return x
}

func (r *Reference) layer(x [][]float64, p string, parts [8]string) [][]float64 {
	var q, k, v [][]float64
	for _, row := range x {
		q, k, v = append(q, r.linear(row, p+parts[0])), append(k, r.linear(row, p+parts[1])), append(v, r.linear(row, p+parts[2]))
	}
	d := r.s.Hidden / r.s.Heads
	out := make([][]float64, len(x))
	for i := range x {
		ctx := make([]float64, r.s.Hidden)
		for at := 0; at < r.s.Hidden; at += d {
			scores, sum := make([]float64, len(x)), 0.0
			for j := range scores {
				for c := at; c < at+d; c++ {
					scores[j] += q[i][c] * k[j][c]
				}
				scores[j] /= math.Sqrt(float64(d))
			}
			top := math.Inf(-1)
			for _, s := range scores {
				top = max(top, s)
			}
			for j, s := range scores {
				scores[j] = math.Exp(s - top)
				sum += scores[j]
			}
			for j, s := range scores {
				for c := at; c < at+d; c++ {
					ctx[c] += s / sum * v[j][c]
				}
			}
		}
		a := r.norm(add(r.linear(ctx, p+parts[3]), x[i]), p+parts[4])
		up := r.linear(a, p+parts[5])
		for c, u := range up {
			up[c] = 0.5 * u * (1 + math.Erf(u/math.Sqrt2))
		}
		out[i] = r.norm(add(r.linear(up, p+parts[6]), a), p+parts[7])
	}
	return out
}

// Logits returns what the classifier says of a sequence with these states.
func (r *Reference) Logits(states [][]float64) []float64 {
	dense, out := r.s.heads()
	mid := r.linear(states[0], dense)
	for i, v := range mid {
		if r.s.Family == "distilbert" {
			mid[i] = max(0, v)
		} else {
			mid[i] = math.Tanh(v)
		}
	}
	return r.linear(mid, out)
}

// Mean returns the average of the states.
func Mean(states [][]float64) []float64 {
	out := make([]float64, len(states[0]))
	for _, s := range states {
		for i, v := range s {
			out[i] += v / float64(len(states))
		}
	}
	return out
}

// Cosine returns the cosine of the angle between a and b.
func Cosine(a []float64, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := a[i], float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

func add(a, b []float64) []float64 {
	for i, v := range b {
		a[i] += v
	}
	return a
}
