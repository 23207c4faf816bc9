package infer

import "github.com/selvage-dev/selvage/internal/infer/kernels"

// norm is a layer normalisation.
type norm struct{ gain, bias []float32 }

// layer is one block of an encoder: attention, and two matrices with GELU
// between them; each followed by a residual and a normalisation.
type layer struct {
	qkv, output, up, down     *linear
	attentionNorm, outputNorm norm
}

// linears are the places of the matrices, in the order in which they are used.
func (l *layer) linears() [4]**linear { return [4]**linear{&l.qkv, &l.output, &l.up, &l.down} }

// batch is one pass of several sequences through a model.
type batch struct {
	*workspace
	c    *config
	team *team
	s    *scratch // of the leader
	// tokens is how many there are, of all sequences.
	tokens int
	// starts are where the sequences begin, and the end of the last.
	starts []int
}

// run replaces x by what the layer makes of it. What the layer's first matrix
// reads is loaded already; what next reads is loaded when run returns.
func (b *batch) run(l *layer, next *linear) {
	h, m := b.c.hidden, rowsOf(b.tokens)
	b.mul(l.qkv, m, kernels.Finish{Dst: b.qkv, LdDst: 3 * h})
	heads, attend := b.c.heads, attention
	if l.qkv.float != nil {
		attend = exactAttention
	}
	b.team.Do(b.s, (len(b.starts)-1)*heads, 1, func(s *scratch, from, to int) {
		for i := from; i < to; i++ {
			start := b.starts[i/heads]
			attend(s, b.c, i%heads, b.starts[i/heads+1]-start, b.qkv[start*3*h:], b.y[start*h:])
		}
	})
	b.load(l.output, b.y)
	b.mul(l.output, m, kernels.Finish{Dst: b.up, LdDst: h, Residual: b.x, LdResidual: h})
	b.norm(&l.attentionNorm, b.up, l.up)
	b.mul(l.up, m, kernels.Finish{Dst: b.up, LdDst: b.c.intermediate, GELU: true})
	b.load(l.down, b.up)
	b.mul(l.down, m, kernels.Finish{Dst: b.y, LdDst: h, Residual: b.x, LdResidual: h})
	b.norm(&l.outputNorm, b.y, next)
}

func (b *batch) mul(l *linear, m int, f kernels.Finish) {
	b.team.Do(b.s, l.parts(m), b.team.Share(l.parts(m)), func(s *scratch, from, to int) {
		l.mul(s, &b.in, m, from, to, f)
	})
}

// load prepares x, rows of l.in, for l.
func (b *batch) load(l *linear, x []float32) {
	b.in.float = x
	if b.observe != nil {
		b.observe(l, x[:b.tokens*l.in])
	}
	b.team.Do(b.s, b.tokens, b.team.Share(b.tokens), func(_ *scratch, from, to int) {
		for i := from; i < to; i++ {
			b.in.load(l, i, x[i*l.in:(i+1)*l.in])
		}
	})
}

// norm sets x to src, normalised, and prepares it for l if there is one.
func (b *batch) norm(n *norm, src []float32, l *linear) {
	h := b.c.hidden
	b.team.Do(b.s, b.tokens, b.team.Share(b.tokens), func(_ *scratch, from, to int) {
		for i := from; i < to; i++ {
			x := b.x[i*h : (i+1)*h]
			kernels.LayerNorm(x, src[i*h:(i+1)*h], n.gain, n.bias, b.c.epsilon)
			if l != nil {
				b.in.load(l, i, x)
			}
		}
	})
	b.in.float = b.x
	if b.observe != nil && l != nil {
		b.observe(l, b.x[:b.tokens*h])
	}
}
