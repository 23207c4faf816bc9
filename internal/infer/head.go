package infer

import (
	"errors"
	"fmt"
	"math"

	"github.com/selvage-dev/selvage/internal/infer/kernels"
)

// head makes scores of the hidden state of a sequence's first token: a matrix,
// an activation, and a second matrix with a row for each label.
type head struct {
	dense, out *linear
	labels     int
	act        func(float32) float32
}

// head returns the model's head, or nil if it has none.
func (l *loader) head() *head {
	c := l.c
	dense, out, act := l.n.prefix+"pooler.dense", "classifier", tanh
	switch c.family {
	case bert:
	case roberta:
		dense, out = "classifier.dense", "classifier.out_proj"
	case distilbert:
		dense, act = "pre_classifier", relu
	}
	if !l.file.Has(out+".weight") || l.err != nil {
		return nil
	}
	prefix := l.n.prefix
	l.n.prefix = ""
	defer func() { l.n.prefix = prefix }()
	t, err := l.file.Tensor(out + ".weight")
	if err != nil || len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[0] > maxLabels || len(c.labels) > 0 && len(c.labels) != t.Shape[0] {
		l.err = errors.Join(err, fmt.Errorf("%w: config.json has %d labels, and %s.weight other ones", errInvalid, len(c.labels), out))
		return nil
	}
	labels := t.Shape[0]
	for i := len(c.labels); i < labels; i++ {
		c.labels = append(c.labels, fmt.Sprintf("LABEL_%d", i))
	}
	d, o := l.matrix(c.hidden, c.hidden, dense), l.matrix(c.hidden, labels, out)
	if l.err != nil {
		return nil
	}
	return &head{dense: d.float(), out: o.float(), labels: labels, act: act}
}

// logits returns a number for each label, given rows of first tokens.
func (h *head) logits(first []float32) [][]float32 {
	n := len(first) / h.dense.in
	mid := h.apply(h.dense, first, n)
	for i, v := range mid {
		mid[i] = h.act(v)
	}
	out := h.apply(h.out, mid, n)
	rows := make([][]float32, n)
	for i := range rows {
		rows[i] = out[i*h.out.out : i*h.out.out+h.labels : i*h.out.out+h.labels]
	}
	return rows
}

func (h *head) apply(l *linear, x []float32, n int) []float32 {
	dst := make([]float32, n*l.out)
	l.mul(&scratch{}, &input{float: x}, n, 0, l.parts(n), kernels.Finish{Dst: dst, LdDst: l.out})
	return dst
}

func tanh(x float32) float32 { return float32(math.Tanh(float64(x))) }
func relu(x float32) float32 { return max(0, x) }

// softmax turns logits into shares of one; a single logit into a probability.
func softmax(logits []float32) []float32 {
	out := make([]float32, len(logits))
	if len(logits) == 1 {
		out[0] = float32(1 / (1 + math.Exp(-float64(logits[0]))))
		return out
	}
	top, sum := math.Inf(-1), 0.0
	for _, v := range logits {
		top = max(top, float64(v))
	}
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range logits {
		out[i] = float32(math.Exp(float64(v)-top) / sum)
	}
	return out
}
