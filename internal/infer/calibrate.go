package infer

import (
	"math/rand/v2"
	"slices"
)

// outlierBounds say which channels are outliers: those in which the largest activation is
// ratio times that of a large channel, nine of ten being smaller; at most one in share. The
// first that makes the model exact enough is taken: each such channel costs as much as four
// others.
func outlierBounds() []outlierBound { return []outlierBound{{3, 24}, {2, 12}} }

type outlierBound struct {
	ratio float32
	share int
}

// exactEnough is the least cosine with float32 that the tokens of the calibration have to
// have in 8 bits. Other texts differ from these: the promise is 0.999.
const exactEnough = 0.9995

// calibrated reads the layers in 8 bits. Models in which small differences grow, because
// large activations decide all of attention, are not exact enough so: they are measured
// here, and stay in float32.
func (l *loader) calibrated() error {
	for _, bound := range outlierBounds() {
		l.layers = nil
		l.memory.Reset()
		ok, err := l.quantized(bound)
		if ok || err != nil {
			return err
		}
	}
	l.layers = nil
	if err := l.memory.Free(); err != nil {
		return err
	}
	return l.float32()
}

// quantized reads the layers, quantises each once it has seen what goes through it, and
// says whether the result is exact enough.
func (l *loader) quantized(bound outlierBound) (ok bool, err error) {
	w := &workspace{}
	seqs := l.calibration()
	run := l.embed(w, &team{Members: 1}, &scratch{}, seqs)
	for i := range l.c.layers {
		b, ms := l.block(i)
		if l.err != nil {
			return false, l.err
		}
		largest := make(map[*linear][]float32)
		w.observe = func(f *linear, x []float32) { largest[f] = largestOf(x, f.in) }
		run.load(b.qkv, run.x)
		run.run(b, nil)
		for j, p := range b.linears() {
			*p = (*p).quantized(l.memory, bound.outliers(largest[*p]), ms[j].row)
		}
		l.layers = append(l.layers, b)
	}
	return l.compare(run, seqs) >= exactEnough, nil
}

// compare returns the least cosine between what run has computed in float32 and what the
// layers make of the same tokens: of the first states and the means, of all channels and
// of those beside the largest, which alone would make any cosine look well.
func (l *loader) compare(run *batch, seqs []sequence) float64 {
	got := l.forward(&workspace{}, &team{Members: 1}, &scratch{}, seqs)
	h := l.c.hidden
	quiet := make([]float32, h)
	for i := range quiet {
		quiet[i] = 1
	}
	for _, c := range outlierBounds()[0].outliers(largestOf(run.x[:run.tokens*h], h)) {
		quiet[c] = 0
	}
	least := 1.0
	for i, start := range run.starts[:len(seqs)] {
		want, got := run.x[start*h:run.starts[i+1]*h], got.x[start*h:run.starts[i+1]*h]
		for _, pair := range [][2][]float32{{want[:h], got[:h]}, {meanOf(want, h), meanOf(got, h)}} {
			least = min(least, cosine(pair[0], pair[1], nil), cosine(pair[0], pair[1], quiet))
		}
	}
	return least
}

func meanOf(rows []float32, h int) []float32 {
	v := make([]float32, h)
	mean(v, rows)
	return v
}

// largestOf returns the largest magnitude in each column of rows of n.
func largestOf(x []float32, n int) []float32 {
	m := make([]float32, n)
	for len(x) > 0 {
		for i, v := range x[:n] {
			m[i] = max(m[i], v, -v)
		}
		x = x[n:]
	}
	return m
}

// outliers returns the channels whose largest activations stand out, in order.
func (o outlierBound) outliers(largest []float32) []int32 {
	sorted := slices.Clone(largest)
	slices.Sort(sorted)
	bound := sorted[len(sorted)*9/10] * o.ratio
	bound = max(bound, sorted[len(sorted)-1-len(sorted)/o.share])
	var out []int32
	for i, v := range largest {
		if v > bound {
			out = append(out, int32(i))
		}
	}
	return out
}

const (
	calibrationSequences = 2
	calibrationTokens    = 32
)

// calibration is random tokens: always the same ones.
func (l *loader) calibration() []sequence {
	r := rand.New(rand.NewPCG(1, uint64(l.c.vocabulary))) //nolint:gosec // no secret; always the same is the point
	var seqs []sequence
	for range calibrationSequences {
		ids := make([]int32, min(calibrationTokens, l.c.maxTokens()))
		for i := range ids {
			ids[i] = r.Int32N(int32(l.c.vocabulary)) //nolint:gosec // checked
		}
		seqs = append(seqs, sequence{ids: ids})
	}
	return seqs
}
