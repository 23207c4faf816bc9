package infer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/selvage-dev/selvage/internal/infer/kernels"
	"github.com/selvage-dev/selvage/internal/infer/memory"
	"github.com/selvage-dev/selvage/internal/infer/safetensors"
)

// weights is a model in memory. Embeddings are read where they lie in the file.
type weights struct {
	c                *config
	file             *safetensors.Model
	memory           *memory.Region
	words, positions *safetensors.Tensor
	// Types has a row for each type of token, or one of zeros.
	types  [][]float32
	ln     norm
	layers []*layer
	head   *head
	// Exact says that the layers are in float32.
	exact bool
}

// loader reads tensors by name, and remembers the first that cannot be read.
type loader struct {
	*weights
	n   names
	err error
}

// openWeights reads the model in dir and quantises it, unless it shall stay in
// float32.
func openWeights(dir string, c *config, o Options) (w *weights, err error) {
	w = &weights{c: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.file, err = safetensors.OpenDir(dir); err != nil {
		return w, err
	}
	l := &loader{weights: w, n: c.family.names()}
	if !w.file.Has(l.n.prefix + l.n.words + ".weight") {
		l.n.prefix = ""
	}
	l.embeddings()
	w.head = l.head()
	if l.err != nil {
		return w, l.err
	}
	if err := l.room(); err != nil {
		return w, err
	}
	if o.Float32 {
		return w, l.float32()
	}
	return w, l.calibrated()
}

// room makes the memory for the matrices, once the file is known to have that
// many numbers at all: nothing is made because the configuration says so.
func (l *loader) room() error {
	c := l.c
	size := c.layers * (4*c.hidden*c.hidden + 2*c.hidden*c.intermediate)
	if int64(size)*2 > l.file.Bytes() {
		return fmt.Errorf("%w: config.json asks for %d weights, the files have %d bytes", errInvalid, size, l.file.Bytes())
	}
	var err error
	l.memory, err = memory.New(size + c.layers*4*64)
	return err
}

func (w *weights) close() error {
	err := w.memory.Free()
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	return err
}

// tensor returns a tensor of this shape.
func (l *loader) tensor(name string, shape ...int) *safetensors.Tensor {
	if l.err != nil {
		return nil
	}
	t, err := l.file.Tensor(l.n.prefix+name, strings.NewReplacer(
		"LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(l.n.prefix+name))
	if err == nil {
		err = t.Want(shape...)
	}
	l.err = err
	return t
}

// vector returns the numbers of a tensor of one dimension.
func (l *loader) vector(name string, n int) []float32 {
	t := l.tensor(name, n)
	if l.err != nil {
		return nil
	}
	v := make([]float32, n)
	t.Floats(v, 0)
	return v
}

func (l *loader) norm(name string) norm {
	return norm{gain: l.vector(name+".weight", l.c.hidden), bias: l.vector(name+".bias", l.c.hidden)}
}

func (l *loader) embeddings() {
	c := l.c
	l.words = l.tensor(l.n.words+".weight", c.vocabulary, c.hidden)
	l.positions = l.tensor(l.n.positions+".weight", c.positions, c.hidden)
	l.ln = l.norm(l.n.ln)
	l.types = [][]float32{make([]float32, c.hidden)}
	if l.n.types == "" || c.types == 0 {
		return
	}
	t := l.tensor(l.n.types+".weight", c.types, c.hidden)
	if l.err != nil {
		return
	}
	l.types = nil
	for i := range c.types {
		row := make([]float32, c.hidden)
		t.Floats(row, i*c.hidden)
		l.types = append(l.types, row)
	}
}

// matrix is weights of one or more tensors of the same shape, stacked.
type matrix struct {
	in, out int
	bias    []float32
	tensors []*safetensors.Tensor
}

func (l *loader) matrix(in, out int, names ...string) matrix {
	m := matrix{in: in, out: out * len(names)}
	for _, n := range names {
		m.tensors = append(m.tensors, l.tensor(n+".weight", out, in))
		m.bias = append(m.bias, l.vector(n+".bias", out)...)
	}
	return m
}

// row is a [rows] of the matrix.
func (m *matrix) row(n int, dst []float32) {
	each := m.out / len(m.tensors)
	m.tensors[n/each].Floats(dst, n%each*m.in)
}

func (m *matrix) float() *linear { return newFloat(m.in, m.out, m.bias, m.row) }

// block reads layer i. The matrices are returned too, in the layer's order.
func (l *loader) block(i int) (*layer, []matrix) {
	c := l.c
	ms := []matrix{
		l.matrix(c.hidden, c.hidden, of(l.n.query, i), of(l.n.key, i), of(l.n.value, i)),
		l.matrix(c.hidden, c.hidden, of(l.n.output, i)),
		l.matrix(c.hidden, c.intermediate, of(l.n.up, i)),
		l.matrix(c.intermediate, c.hidden, of(l.n.down, i)),
	}
	b := &layer{attentionNorm: l.norm(of(l.n.attentionNorm, i)), outputNorm: l.norm(of(l.n.outputNorm, i))}
	if l.err != nil {
		return b, nil
	}
	for j, p := range b.linears() {
		*p = ms[j].float()
	}
	return b, ms
}

// float32 reads the layers and leaves them as they are.
func (l *loader) float32() error {
	l.layers, l.exact = nil, true
	for i := range l.c.layers {
		b, _ := l.block(i)
		l.layers = append(l.layers, b)
	}
	return l.err
}

// sequence is one text in numbers.
type sequence struct {
	ids   []int32
	types []uint8 // nil: all zeros
}

// embed begins a batch: x is the embeddings of the sequences.
func (w *weights) embed(ws *workspace, t *team, s *scratch, seqs []sequence) *batch {
	b := &batch{workspace: ws, c: w.c, team: t, s: s, starts: make([]int, 1, len(seqs)+1)}
	for _, q := range seqs {
		b.tokens += len(q.ids)
		b.starts = append(b.starts, b.tokens)
	}
	ws.grow(w.c, b.tokens)
	t.Do(s, len(seqs), 1, func(s *scratch, from, to int) {
		for i := from; i < to; i++ {
			w.embedOne(s, ws.x[b.starts[i]*w.c.hidden:], seqs[i])
		}
	})
	return b
}

func (w *weights) embedOne(s *scratch, x []float32, q sequence) {
	h := w.c.hidden
	s.row = sized(s.row, h)
	for i, id := range q.ids {
		dst, types := x[i*h:(i+1)*h], w.types[0]
		w.words.Floats(dst, int(id)*h)
		w.positions.Floats(s.row, (w.c.firstPosition+i)*h)
		if i < len(q.types) && int(q.types[i]) < len(w.types) {
			types = w.types[q.types[i]]
		}
		for j := range dst {
			dst[j] += s.row[j] + types[j]
		}
		kernels.LayerNorm(dst, dst, w.ln.gain, w.ln.bias, w.c.epsilon)
	}
}

// forward returns the hidden states after the last layer, one row for each
// token. They are the workspace's.
func (w *weights) forward(ws *workspace, t *team, s *scratch, seqs []sequence) *batch {
	b := w.embed(ws, t, s, seqs)
	b.load(w.layers[0].qkv, b.x)
	for i, l := range w.layers {
		var next *linear
		if i+1 < len(w.layers) {
			next = w.layers[i+1].qkv
		}
		b.run(l, next)
	}
	return b
}
