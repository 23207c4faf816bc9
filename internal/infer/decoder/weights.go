package decoder

import (
	"errors"
	"sync"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/memory"
)

// weights is a model in memory. Matrices lie in the file, or, of a file with
// floats, in regions.
type weights struct {
	c       *config
	s       source
	regions []*memory.Region
	angles  []float64

	words  *blocks.Matrix
	layers []layer
	norm   []float32
	output *blocks.Matrix
}

type layer struct {
	attentionNorm, feedNorm []float32
	query, key, value       *blocks.Matrix
	// Biases are nil where there are none, as are the norms of queries and keys.
	queryBias, keyBias, valueBias []float32
	queryNorm, keyNorm            []float32
	output                        *blocks.Matrix
	outputBias                    []float32
	gate, up, down                *blocks.Matrix
}

// loader reads tensors, and remembers the first that cannot be read.
type loader struct {
	*weights
	threads int
	err     error
}

// openWeights takes the source over: it is closed with the weights, or with an
// error.
func openWeights(s source, c *config, threads int) (_ *weights, err error) {
	l := &loader{weights: &weights{c: c, s: s}, threads: threads}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.angles, err = c.frequencies(); err != nil {
		return nil, err
	}
	l.words = l.matrix(embeddings, 0, c.hidden, c.vocabulary)
	for i := range c.layers {
		if l.err != nil {
			break
		}
		l.layers = append(l.layers, l.layer(i))
	}
	l.norm = l.vector(outputNorm, 0, c.hidden)
	l.output = l.words
	if s.has(output, 0, false) {
		l.output = l.matrix(output, 0, c.hidden, c.vocabulary)
	}
	return l.weights, l.err
}

func (l *loader) layer(i int) layer {
	c := l.c
	q, kv := c.heads*c.head, c.kvHeads*c.head
	y := layer{
		attentionNorm: l.vector(attentionNorm, i, c.hidden), feedNorm: l.vector(feedNorm, i, c.hidden),
		query: l.matrix(query, i, c.hidden, q), key: l.matrix(key, i, c.hidden, kv), value: l.matrix(value, i, c.hidden, kv),
		queryBias: l.optional(query, i, q, true), keyBias: l.optional(key, i, kv, true), valueBias: l.optional(value, i, kv, true),
		queryNorm: l.optional(queryNorm, i, c.head, false), keyNorm: l.optional(keyNorm, i, c.head, false),
		output: l.matrix(attentionOutput, i, q, c.hidden), outputBias: l.optional(attentionOutput, i, c.hidden, true),
		gate: l.matrix(gate, i, c.hidden, c.intermediate), up: l.matrix(up, i, c.hidden, c.intermediate),
		down: l.matrix(down, i, c.intermediate, c.hidden),
	}
	for _, r := range []role{gate, up, down} {
		if l.err == nil && l.s.has(r, i, true) {
			l.err = unsupported("layer %d has biases in its feed-forward part", i)
		}
	}
	if l.err == nil && (c.architecture == "qwen3") != (y.queryNorm != nil && y.keyNorm != nil) {
		l.err = invalid("layer %d of a %s model has, or lacks, norms of queries and keys", i, c.architecture)
	}
	return y
}

func (l *loader) vector(r role, i, n int) []float32 {
	if l.err != nil {
		return nil
	}
	v, err := l.s.vector(r, i, n, false)
	l.err = err
	return v
}

func (l *loader) optional(r role, i, n int, bias bool) []float32 { //nolint:revive // two kinds of tensor
	if l.err != nil || !l.s.has(r, i, bias) {
		return nil
	}
	v, err := l.s.vector(r, i, n, bias)
	l.err = err
	return v
}

// matrix returns a tensor where it lies, or, if it has floats, quantised.
func (l *loader) matrix(r role, i, in, out int) *blocks.Matrix {
	if l.err != nil {
		return nil
	}
	var t raw
	if t, l.err = l.s.matrix(r, i, in, out); l.err != nil {
		return nil
	}
	if t.t.Quantized() {
		return blocks.New(t.t, in, out, t.data)
	}
	var room *memory.Region
	if room, l.err = memory.New(out * blocks.Q8.RowBytes(in)); l.err != nil {
		return nil
	}
	l.regions = append(l.regions, room)
	m := blocks.New(blocks.Q8, in, out, room.Bytes(out*blocks.Q8.RowBytes(in)))
	var wg sync.WaitGroup
	for part := range l.threads {
		wg.Go(func() {
			x, from, to := make([]float32, in), t.t.RowBytes(in), blocks.Q8.RowBytes(in)
			for row := out * part / l.threads; row < out*(part+1)/l.threads; row++ {
				t.t.Floats(x, t.data[row*from:(row+1)*from])
				blocks.QuantizeQ8(m.Data[row*to:(row+1)*to], x)
			}
		})
	}
	wg.Wait()
	return m
}

// bytes is what the weights take: mapped, or held.
func (w *weights) bytes() int64 {
	n := int64(0)
	for _, r := range w.regions {
		n += int64(r.Len())
	}
	if n > 0 {
		return n // what was quantised is not read again
	}
	return w.s.bytes()
}

func (w *weights) close() error {
	var err error
	for _, r := range w.regions {
		err = errors.Join(err, r.Free())
	}
	w.regions = nil
	return errors.Join(err, w.s.close())
}
