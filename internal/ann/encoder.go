package ann

import (
	"context"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

// centerSample is how many vectors the center is the mean of.
const centerSample = 10000

// codeBits returns how many bits a dimension's code has. Four find as much as
// eight when there are many dimensions, over which errors even out, in half the
// memory and time (doc.go); of few dimensions each counts.
func codeBits(dim int) uint32 {
	if dim <= 2*simd.Block {
		return 8
	}
	return 4
}

// encoder makes the codes of all vectors of a segment.
type encoder struct {
	cfg     Config
	vectors []float32
	norms   []float32
	codes   *codes
	rr      []float32 // |r|² of each row
}

func newEncoder(c Config, bits int, vectors, norms []float32) *encoder {
	e := &encoder{cfg: c, vectors: vectors, norms: norms, rr: make([]float32, len(norms))}
	e.codes = newCodes(c.Dim, bits, e.center())
	return e
}

// center is the mean of some vectors.
func (e *encoder) center() []float32 {
	center, n := make([]float32, e.cfg.Dim), len(e.norms)
	samples := min(n, centerSample)
	v := make([]float32, e.cfg.Dim)
	for i := range samples {
		for j, x := range e.unit(v, i*n/samples) {
			center[j] += x
		}
	}
	for j := range center {
		center[j] /= float32(max(1, samples))
	}
	return center
}

// unit returns the vector of row; with cosine, dst set to it at length one.
func (e *encoder) unit(dst []float32, row int) []float32 {
	v := e.vectors[row*e.cfg.Dim : (row+1)*e.cfg.Dim]
	if e.cfg.Metric != Cosine {
		return v
	}
	return scaled(dst, v, 1/e.norms[row])
}

func scaled(dst, v []float32, by float32) []float32 {
	dst = dst[:len(v)]
	for i, x := range v {
		dst[i] = x * by
	}
	return dst
}

func (e *encoder) run(ctx context.Context) error {
	return parallel(ctx, e.cfg.workers(), len(e.norms), func() func(i int) {
		v, rest := make([]float32, e.cfg.Dim), make([]float32, e.cfg.Dim)
		return func(i int) {
			e.rr[i] = e.codes.encode(uint32(i), e.unit(v, i), rest, e.cfg.Metric) //nolint:gosec // a row
		}
	})
}
