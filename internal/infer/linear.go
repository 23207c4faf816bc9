package infer

import (
	"github.com/selvage-dev/selvage/internal/infer/kernels"
	"github.com/selvage-dev/selvage/internal/infer/memory"
)

// linear is y = x·Wᵀ + bias, in float32 or in 8 bits.
type linear struct {
	in, out int // out is whole panels
	bias    []float32
	// float has the panels of a matrix that is not quantised, or nil.
	float []float32
	int8  kernels.Int8Panels
	// mask is 0 for the channels of the input in which activations are so
	// large that the others would have no bits left, else 1. Their columns are
	// kept in float32 panels of len(outliers) rows.
	mask     []float32
	outliers []int32
	columns  []float32
}

// row gives one row of a weight matrix; several matrices may be stacked.
type rows func(n int, dst []float32)

// newFloat returns a linear of out rows in float32.
func newFloat(in, out int, bias []float32, row rows) *linear {
	l := &linear{in: in, out: kernels.Padded(out)}
	l.bias = make([]float32, l.out)
	copy(l.bias, bias)
	l.float = make([]float32, l.in*l.out)
	w := make([]float32, in)
	for n := range out {
		row(n, w)
		kernels.SetFloat32Column(l.float, n, w)
	}
	return l
}

// quantized returns the linear in 8 bits, with these channels of the input
// kept in float32. Numbers are stored in r.
func (l *linear) quantized(r *memory.Region, outliers []int32, row rows) *linear {
	q := &linear{in: l.in, out: l.out, bias: l.bias, outliers: outliers, mask: make([]float32, l.in)}
	for i := range q.mask {
		q.mask[i] = 1
	}
	for _, i := range outliers {
		q.mask[i] = 0
	}
	q.int8 = kernels.Int8Panels{
		K: l.in, B: r.Take(l.in * l.out),
		Off: make([]int32, l.out), Scale: make([]float32, l.out),
	}
	q.columns = make([]float32, len(outliers)*l.out)
	w, kept := make([]float32, l.in), make([]float32, len(outliers))
	for n := range l.out {
		row(n, w)
		q.int8.SetColumn(n, w, q.mask)
		for i, c := range outliers {
			kept[i] = w[c]
		}
		if len(outliers) > 0 {
			kernels.SetFloat32Column(q.columns, n, kept)
		}
	}
	return q
}

// input is what a linear reads: rows of activations in the form that it wants.
type input struct {
	float []float32
	int8  []uint8
	scale []float32
	// outliers has the channels that are kept in float32, row by row.
	outliers []float32
}

// load prepares row i of the input.
func (in *input) load(l *linear, i int, x []float32) {
	if l.float != nil {
		return
	}
	in.scale[i] = kernels.Quantize(in.int8[i*l.in:(i+1)*l.in], x, l.mask)
	o := in.outliers[i*len(l.outliers):]
	for j, c := range l.outliers {
		o[j] = x[c]
	}
}

// blockBytes is what the rows of the input have that a pass over a matrix takes: they
// stay in the second-level cache while the matrix streams by.
const blockBytes = 16 * kernels.Rows * 3072

// blockRows is how many rows a pass takes, whole tiles.
func (l *linear) blockRows() int {
	return max(1, blockBytes/l.in/kernels.Rows) * kernels.Rows
}

// mul computes panels [from, to) of the product, counted over blocks of rows:
// first all panels of the first block.
func (l *linear) mul(s *scratch, in *input, m, from, to int, f kernels.Finish) {
	panels, blockRows := l.out/kernels.Cols, l.blockRows()
	dst, residual := f.Dst, f.Residual
	for i := from; i < to; i++ {
		p := i % panels
		n := p * kernels.Cols
		first := i / panels * blockRows
		f.Bias = l.bias[n : n+kernels.Cols]
		if l.float == nil && i+1 < to {
			s.tile.Ahead(l.int8.Panel((i + 1) % panels))
		}
		for r := first; r < min(m, first+blockRows); r += kernels.Rows {
			rows := min(kernels.Rows, m-r)
			f.Dst = dst[r*f.LdDst+n:]
			if residual != nil {
				f.Residual = residual[r*f.LdResidual+n:]
			}
			if l.float != nil {
				s.tile.Float32(rows, l.in, in.float[r*l.in:], l.in, l.float[n*l.in:], kernels.Cols)
				s.tile.FinishFloat32(rows, &f)
				continue
			}
			s.tile.Int8(rows, in.int8[r*l.in:], l.in, l.int8.Panel(p), l.int8.Off[n:n+kernels.Cols])
			f.RowScale, f.ColScale = in.scale[r:], l.int8.Scale[n:n+kernels.Cols]
			if k := len(l.outliers); k > 0 {
				s.tile.Float32(rows, k, in.outliers[r*k:], k, l.columns[n*k:], kernels.Cols)
				s.tile.FinishBoth(rows, &f)
			} else {
				s.tile.FinishInt8(rows, &f)
			}
		}
	}
}

// parts is how many panels mul counts for m rows.
func (l *linear) parts(m int) int {
	return (m + l.blockRows() - 1) / l.blockRows() * (l.out / kernels.Cols)
}
