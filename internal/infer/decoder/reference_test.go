package decoder_test

import (
	"math"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
	"github.com/selvage-dev/selvage/internal/infer/gguf"
)

// reference is a forward pass in float64, written plainly from the papers and
// the description of the format, that shares nothing with what it tests but the
// file's table of contents.
type reference struct {
	t *testing.T
	s decodertest.Shape
	f *gguf.File
	// eight has activations rounded to 8 bits, 32 at a time, before they are
	// multiplied with a matrix, as the engine has them.
	eight bool
	// seen are the tensors that were opened already.
	seen map[string][]float64
}

func (r *reference) tensor(name string) []float64 {
	r.t.Helper()
	if v := r.seen[name]; v != nil {
		return v
	}
	x, err := r.f.Tensor(name)
	if err != nil {
		r.t.Fatal(err)
	}
	v := dequantized(r.t, x.Type, x.Data)
	r.seen[name] = v
	return v
}

func f16(b []byte) float64 {
	h := uint(b[0]) | uint(b[1])<<8
	sign, exp, frac := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 == 1 {
		sign = -1
	}
	if exp == 0 {
		return sign * frac / 1024 * math.Pow(2, -14)
	}
	return sign * (1 + frac/1024) * math.Pow(2, float64(exp-15))
}

// dequantized reads a tensor, weight by weight.
func dequantized(t *testing.T, typ blocks.Type, b []byte) []float64 {
	t.Helper()
	var out []float64
	switch typ { //nolint:exhaustive // the tests have no other
	case blocks.F32:
		for ; len(b) > 0; b = b[4:] {
			out = append(out, float64(math.Float32frombits(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)))
		}
	case blocks.F16:
		for ; len(b) > 0; b = b[2:] {
			out = append(out, f16(b))
		}
	case blocks.Q4:
		for ; len(b) > 0; b = b[18:] {
			for i := range 32 {
				n := b[2+i%16]
				if i >= 16 {
					n >>= 4
				}
				out = append(out, f16(b)*(float64(n&15)-8))
			}
		}
	case blocks.Q8:
		for ; len(b) > 0; b = b[34:] {
			for i := range 32 {
				out = append(out, f16(b)*float64(int8(b[2+i])))
			}
		}
	case blocks.Q4K:
		for ; len(b) > 0; b = b[144:] {
			// Twelve bytes are a string of bits: the low 6 of the first 8 bytes are
			// scales and minima 0 to 3; the rest is spread.
			six := b[4:16]
			scale := func(g int) (s, m int) {
				if g < 4 {
					return int(six[g] & 63), int(six[g+4] & 63)
				}
				return int(six[g+4]&15) + int(six[g-4]>>6)*16, int(six[g+4]>>4) + int(six[g]>>6)*16
			}
			for i := range 256 {
				n := b[16+i/64*32+i%32]
				if i/32%2 == 1 {
					n >>= 4
				}
				s, m := scale(i / 32)
				out = append(out, f16(b)*float64(s)*float64(n&15)-f16(b[2:])*float64(m))
			}
		}
	case blocks.Q6K:
		for ; len(b) > 0; b = b[210:] {
			for i := range 256 {
				half, quarter, l := i/128, i/32%4, i%32
				low := b[64*half+quarter%2*32+l] >> (quarter / 2 * 4) & 15
				high := b[128+32*half+l] >> (2 * quarter) & 3
				out = append(out, f16(b[208:])*float64(int8(b[192+i/16]))*(float64(low)+16*float64(high)-32))
			}
		}
	default:
		t.Fatalf("no reference for %s", typ)
	}
	return out
}

// times is x·Wᵀ.
func (r *reference) times(x []float64, name string) []float64 {
	w := r.tensor(name + ".weight")
	if r.eight {
		x = rounded(x)
	}
	out := make([]float64, len(w)/len(x))
	for i := range out {
		for j, v := range x {
			out[i] += v * w[i*len(x)+j]
		}
	}
	return out
}

// biased is times, with what Qwen 2 adds.
func (r *reference) biased(x []float64, name string) []float64 {
	out := r.times(x, name)
	if r.s.Architecture == "qwen2" {
		for i, b := range r.tensor(name + ".bias") {
			out[i] += b
		}
	}
	return out
}

func rounded(x []float64) []float64 {
	out := make([]float64, len(x))
	for i := 0; i < len(x); i += 32 {
		var most float64
		for _, v := range x[i : i+32] {
			most = max(most, math.Abs(v))
		}
		for j, v := range x[i : i+32] {
			if most > 0 {
				out[i+j] = math.RoundToEven(v/most*127) * most / 127
			}
		}
	}
	return out
}

func (r *reference) norm(x []float64, name string) []float64 {
	g := r.tensor(name)
	out := make([]float64, len(x))
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+1e-5) * g[i]
	}
	return out
}

// rotate turns a head at a position.
func (r *reference) rotate(x []float64, pos int) {
	d := len(x)
	for p := range d / 2 {
		angle := float64(pos) * math.Pow(r.s.Base, -2*float64(p)/float64(d))
		if r.s.Factors {
			angle /= r.tensor("rope_freqs.weight")[p]
		}
		i, j := p, p+d/2
		if r.s.Architecture == "llama" || r.s.Architecture == "mistral" {
			i, j = 2*p, 2*p+1
		}
		x[i], x[j] = x[i]*math.Cos(angle)-x[j]*math.Sin(angle), x[i]*math.Sin(angle)+x[j]*math.Cos(angle)
	}
}

// logits returns those after each of the tokens.
func (r *reference) logits(tokens []int32) [][]float64 {
	s := &r.s
	xs := make([][]float64, len(tokens))
	for i, id := range tokens {
		xs[i] = append([]float64(nil), r.tensor("token_embd.weight")[int(id)*s.Hidden:(int(id)+1)*s.Hidden]...)
	}
	for l := range s.Layers {
		of := func(name string) string { return "blk." + string(rune('0'+l)) + "." + name }
		var ks, vs [][]float64
		for i, x := range xs {
			h := r.norm(x, of("attn_norm.weight"))
			q, k, v := r.biased(h, of("attn_q")), r.biased(h, of("attn_k")), r.biased(h, of("attn_v"))
			for a := 0; a < len(q); a += s.Head {
				if s.Architecture == "qwen3" {
					copy(q[a:], r.norm(q[a:a+s.Head], of("attn_q_norm.weight")))
				}
				r.rotate(q[a:a+s.Head], i)
			}
			for a := 0; a < len(k); a += s.Head {
				if s.Architecture == "qwen3" {
					copy(k[a:], r.norm(k[a:a+s.Head], of("attn_k_norm.weight")))
				}
				r.rotate(k[a:a+s.Head], i)
			}
			ks, vs = append(ks, k), append(vs, v)
			y := make([]float64, len(q))
			for a := range s.Heads {
				r.attend(y[a*s.Head:(a+1)*s.Head], q[a*s.Head:(a+1)*s.Head], ks, vs, a/(s.Heads/s.KVHeads)*s.Head)
			}
			for j, v := range r.times(y, of("attn_output")) {
				x[j] += v
			}
		}
		for _, x := range xs {
			h := r.norm(x, of("ffn_norm.weight"))
			g, u := r.times(h, of("ffn_gate")), r.times(h, of("ffn_up"))
			for j := range g {
				g[j] = g[j] / (1 + math.Exp(-g[j])) * u[j]
			}
			for j, v := range r.times(g, of("ffn_down")) {
				x[j] += v
			}
		}
	}
	out := make([][]float64, len(xs))
	for i, x := range xs {
		name := "output"
		if s.Tied {
			name = "token_embd"
		}
		out[i] = r.times(r.norm(x, "output_norm.weight"), name)
	}
	return out
}

// attend adds to y what the query q sees of the keys so far.
func (r *reference) attend(y, q []float64, ks, vs [][]float64, at int) {
	first := 0
	if r.s.Window > 0 {
		first = max(0, len(ks)-r.s.Window)
	}
	var sum float64
	e := make([]float64, len(ks))
	for j := first; j < len(ks); j++ {
		var dot float64
		for c, v := range q {
			dot += v * ks[j][at+c]
		}
		e[j] = math.Exp(dot / math.Sqrt(float64(len(q))))
		sum += e[j]
	}
	for j := first; j < len(ks); j++ {
		for c := range y {
			y[c] += e[j] / sum * vs[j][at+c]
		}
	}
}
