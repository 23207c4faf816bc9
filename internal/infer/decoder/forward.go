package decoder

import (
	"math"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/crew"
)

// team is the leader and the helpers of one step.
type team = crew.Crew[*scratch]

// scratch is what one member of a team needs for itself.
type scratch struct {
	panel                    blocks.Panel
	queries, scores, results []float32
	sample                   candidates
}

// run is the tokens of one text that a step takes: those from position from on.
type run struct {
	tokens []int32
	from   int
	table  []*cacheBlock
	// last says that what comes after the last token is wanted.
	last bool
	row  int // of its first token; set by forward
}

// forward is one step through the model. Its buffers are used again by the next.
type forward struct {
	w       *weights
	team    *team
	scratch *scratch // of the leader
	types   []blocks.Type

	runs []run
	rows int
	// few is up to how many rows each is multiplied as a vector.
	few int
	// runOf has the run of each row.
	runOf []int32
	// sin and cos of the angles of each row's position.
	sin, cos []float32

	x, y     []float32 // rows of the hidden size
	q, k, v  []float32
	attended []float32
	gate, up []float32
	logits   []float32
	vectors  []blocks.Vector
	batch    blocks.Batch
}

func newForward(w *weights) *forward {
	f := &forward{w: w, few: blocks.Few()}
	seen := make(map[blocks.Type]bool)
	add := func(m *blocks.Matrix) {
		if !seen[m.Type] {
			seen[m.Type] = true
			f.types = append(f.types, m.Type)
		}
	}
	add(w.output)
	for i := range w.layers {
		l := &w.layers[i]
		for _, m := range []*blocks.Matrix{l.query, l.key, l.value, l.output, l.gate, l.up, l.down} {
			add(m)
		}
	}
	return f
}

// step runs the tokens of all runs, and returns the logits after those runs
// that want them, in order. They are valid until the next step.
func (f *forward) step(t *team, s *scratch, runs []run) [][]float32 {
	f.team, f.scratch, f.runs = t, s, runs
	f.begin()
	for i := range f.w.layers {
		f.layer(i)
	}
	return f.finish()
}

// begin makes room, and reads the embeddings.
func (f *forward) begin() {
	c := f.w.c
	f.rows = 0
	for i := range f.runs {
		f.runs[i].row = f.rows
		f.rows += len(f.runs[i].tokens)
	}
	n := f.rows
	f.runOf = sized(f.runOf, n)
	for i := range f.runs {
		for j := range f.runs[i].tokens {
			f.runOf[f.runs[i].row+j] = int32(i)
		}
	}
	half, q, kv := c.head/2, c.heads*c.head, c.kvHeads*c.head
	f.sin, f.cos = sized(f.sin, n*half), sized(f.cos, n*half)
	f.x, f.y = sized(f.x, n*c.hidden), sized(f.y, n*c.hidden)
	f.q, f.k, f.v, f.attended = sized(f.q, n*q), sized(f.k, n*kv), sized(f.v, n*kv), sized(f.attended, n*q)
	f.gate, f.up = sized(f.gate, n*c.intermediate), sized(f.up, n*c.intermediate)
	f.each(func(i int) {
		r := &f.runs[f.runOf[i]]
		j := i - r.row
		f.w.words.Row(f.x[i*c.hidden:(i+1)*c.hidden], int(r.tokens[j]))
		for p, a := range f.w.angles {
			sin, cos := math.Sincos(a * float64(r.from+j))
			f.sin[i*half+p], f.cos[i*half+p] = float32(sin), float32(cos)
		}
	})
}

// each calls do with each row.
func (f *forward) each(do func(i int)) {
	f.team.Do(f.scratch, f.rows, f.team.Share(f.rows), func(_ *scratch, from, to int) {
		for i := from; i < to; i++ {
			do(i)
		}
	})
}

// load has each row made by fill, and quantises it for products with matrices of
// in columns.
func (f *forward) load(in int, fill func(i int) []float32) {
	if f.rows > f.few {
		f.batch.Resize(f.rows, in)
	}
	for f.rows <= f.few && len(f.vectors) < f.rows {
		f.vectors = append(f.vectors, blocks.Vector{})
	}
	f.each(func(i int) {
		if x := fill(i); f.rows > f.few {
			f.batch.Set(i, x)
		} else {
			f.vectors[i].Set(x, f.fitting(in)...)
		}
	})
}

// fitting returns the types in use that have rows of in numbers.
func (f *forward) fitting(in int) []blocks.Type {
	for _, t := range f.types {
		if in%t.Block() != 0 {
			var out []blocks.Type
			for _, t := range f.types {
				if in%t.Block() == 0 {
					out = append(out, t)
				}
			}
			return out
		}
	}
	return f.types
}

// product is rows of dst as what is loaded, times a matrix.
type product struct {
	m   *blocks.Matrix
	dst []float32
}

// multiply computes products of what is loaded.
func (f *forward) multiply(ps ...product) {
	panels := 0
	for _, p := range ps {
		panels += (p.m.Out + blocks.Cols - 1) / blocks.Cols
	}
	f.team.Do(f.scratch, panels, f.grain(panels), func(s *scratch, from, to int) {
		first := 0
		for _, p := range ps {
			n := (p.m.Out + blocks.Cols - 1) / blocks.Cols
			f.part(s, p, max(from-first, 0), min(to-first, n))
			first += n
		}
	})
}

// grain is how many panels a member takes at a time.
func (f *forward) grain(panels int) int { return max(1, min(16, f.team.Share(panels))) }

// part computes panels [from, to) of a product.
func (f *forward) part(s *scratch, p product, from, to int) {
	if from >= to {
		return
	}
	if f.rows <= f.few {
		for i := range f.rows {
			p.m.MulVector(p.dst[i*p.m.Out:(i+1)*p.m.Out], from*blocks.Cols, min(to*blocks.Cols, p.m.Out), &f.vectors[i])
		}
		return
	}
	for i := from; i < to; i++ {
		p.m.MulPanel(p.dst, p.m.Out, i, &f.batch, &s.panel)
	}
}

// layer replaces x by what layer n makes of it.
func (f *forward) layer(n int) {
	c, l := f.w.c, &f.w.layers[n]
	h, q, kv := c.hidden, c.heads*c.head, c.kvHeads*c.head
	f.load(h, func(i int) []float32 { return f.normal(i, l.attentionNorm) })
	f.multiply(product{l.query, f.q}, product{l.key, f.k}, product{l.value, f.v})
	f.each(func(i int) {
		add(f.q[i*q:(i+1)*q], l.queryBias)
		add(f.k[i*kv:(i+1)*kv], l.keyBias)
		add(f.v[i*kv:(i+1)*kv], l.valueBias)
		f.turn(i, f.q[i*q:(i+1)*q], l.queryNorm)
		f.turn(i, f.k[i*kv:(i+1)*kv], l.keyNorm)
		f.store(n, i)
	})
	f.attend(n)
	f.load(q, func(i int) []float32 { return f.attended[i*q : (i+1)*q] })
	f.multiply(product{l.output, f.y})
	f.load(h, func(i int) []float32 {
		add(f.x[i*h:(i+1)*h], l.outputBias)
		add(f.x[i*h:(i+1)*h], f.y[i*h:(i+1)*h])
		return f.normal(i, l.feedNorm)
	})
	f.multiply(product{l.gate, f.gate}, product{l.up, f.up})
	m := c.intermediate
	f.load(m, func(i int) []float32 {
		g := f.gate[i*m : (i+1)*m]
		blocks.SwiGLU(g, g, f.up[i*m:(i+1)*m])
		return g
	})
	f.multiply(product{l.down, f.y})
	f.each(func(i int) { add(f.x[i*h:(i+1)*h], f.y[i*h:(i+1)*h]) })
}

// normal sets row i of y to that of x, normalised, and returns it.
func (f *forward) normal(i int, gain []float32) []float32 {
	h := f.w.c.hidden
	y := f.y[i*h : (i+1)*h]
	rmsNorm(y, f.x[i*h:(i+1)*h], gain, f.w.c.epsilon)
	return y
}

// turn normalises the heads in x, if they are to be, and turns their channels by
// the position of row i.
func (f *forward) turn(i int, x, gain []float32) {
	d := f.w.c.head
	sin, cos := f.sin[i*d/2:(i+1)*d/2], f.cos[i*d/2:(i+1)*d/2]
	for ; len(x) > 0; x = x[d:] {
		if gain != nil {
			rmsNorm(x[:d], x[:d], gain, f.w.c.epsilon)
		}
		if f.w.c.interleaved {
			for p, s := range sin {
				a, b := x[2*p], x[2*p+1]
				x[2*p], x[2*p+1] = a*cos[p]-b*s, a*s+b*cos[p]
			}
			continue
		}
		first, second := x[:d/2], x[d/2:d]
		for p, s := range sin {
			a, b := first[p], second[p]
			first[p], second[p] = a*cos[p]-b*s, a*s+b*cos[p]
		}
	}
}

// finish returns the logits of the runs that want them.
func (f *forward) finish() [][]float32 {
	h, n := f.w.c.hidden, 0
	for i := range f.runs {
		if r := &f.runs[i]; r.last {
			last := r.row + len(r.tokens) - 1
			copy(f.x[n*h:(n+1)*h], f.x[last*h:(last+1)*h]) // n <= last
			n++
		}
	}
	if n == 0 {
		return nil
	}
	f.rows = n
	v := f.w.c.vocabulary
	f.logits = sized(f.logits, n*v)
	f.load(h, func(i int) []float32 { return f.normal(i, f.w.norm) })
	f.multiply(product{f.w.output, f.logits})
	out := make([][]float32, n)
	for i := range out {
		out[i] = f.logits[i*v : (i+1)*v]
	}
	return out
}

// rmsNorm sets dst to x divided by the root of the mean of its squares, times
// gain.
func rmsNorm(dst, x, gain []float32, epsilon float32) {
	dst, gain = dst[:len(x)], gain[:len(x)]
	var sums [4]float32 // the additions do not wait for each other
	i := 0
	for ; i+4 <= len(x); i += 4 {
		y := x[i : i+4 : i+4]
		sums[0] += y[0] * y[0]
		sums[1] += y[1] * y[1]
		sums[2] += y[2] * y[2]
		sums[3] += y[3] * y[3]
	}
	sum := sums[0] + sums[1] + sums[2] + sums[3]
	for ; i < len(x); i++ {
		sum += x[i] * x[i]
	}
	s := float32(1 / math.Sqrt(float64(sum)/float64(len(x))+float64(epsilon)))
	for i, v := range x {
		dst[i] = v * s * gain[i]
	}
}

// add adds y, which may be nil, to x.
func add(x, y []float32) {
	for i, v := range y {
		x[i] += v
	}
}

// sized returns s with n elements, of whatever value.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
