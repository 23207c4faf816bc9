package blocks

import (
	"fmt"

	"github.com/selvage-dev/selvage/internal/infer/kernels"
)

// Cols is how many rows of a matrix, which are columns of a product, make a
// panel.
const Cols = kernels.Cols

// Batch is several vectors of activations in 8 bits.
type Batch struct {
	n, in int
	q     []int8
	sums  []int32
	// scale is of each 32 numbers; fine of each 16, for Q6_K.
	scale, fine []float32
	// total is the sums of q times scale, of each 32; fineTotal of each 16.
	total, fineTotal []float32
}

// Resize makes room for n vectors of in numbers. [Batch.Set] sets each.
func (b *Batch) Resize(n, in int) {
	b.n, b.in = n, in
	b.q, b.sums = sized(b.q, n*in), sized(b.sums, n*in/16)
	b.scale, b.total = sized(b.scale, n*in/32), sized(b.total, n*in/32)
	b.fine, b.fineTotal = sized(b.fine, n*in/16), sized(b.fineTotal, n*in/16)
}

// Set quantises vector i. Different ones may be set at once.
func (b *Batch) Set(i int, x []float32) {
	n := b.in
	x = x[:n]
	sums, scale, total := b.sums[i*n/16:(i+1)*n/16], b.scale[i*n/32:(i+1)*n/32], b.total[i*n/32:(i+1)*n/32]
	active.quantize(&b.q[i*n], &scale[0], &sums[0], &x[0], n/32)
	fine, fineTotal := b.fine[i*n/16:(i+1)*n/16], b.fineTotal[i*n/16:(i+1)*n/16]
	for j, s := range scale {
		one, two := s*float32(sums[2*j]), s*float32(sums[2*j+1])
		total[j] = one + two
		fine[2*j], fine[2*j+1] = s, s
		fineTotal[2*j], fineTotal[2*j+1] = one, two
	}
}

// Panel is the scratch that rows of a matrix are unpacked to.
type Panel struct {
	q            []uint8
	scale, least []float32
	rows         []uint8
}

// The chunk is how many numbers of 16 rows are unpacked before they are
// interleaved: they stay in the first-level cache.
const chunk = 512

// MulPanel sets the columns of dst that are rows [32·i, 32·i+32) of the matrix,
// or as many as there are, to their products with the vectors of b. Row j of dst
// begins at dst[j·ld].
func (m *Matrix) MulPanel(dst []float32, ld, i int, b *Batch, p *Panel) {
	if b.in != m.In || b.n < 1 || len(dst) < (b.n-1)*ld+m.Out || i < 0 || i*Cols >= m.Out {
		panic(fmt.Sprintf("blocks: panel %d of %d rows, %d vectors of %d numbers for %d", i, m.Out, b.n, b.in, m.In))
	}
	cols := min(Cols, m.Out-i*Cols)
	m.open(p, i*Cols, cols)
	if cols == Cols {
		m.mul(dst[i*Cols:], ld, b, p)
		return
	}
	var tile [tileRows * Cols]float32
	for r := 0; r < b.n; r += tileRows {
		part := *b
		part.n = min(tileRows, b.n-r)
		part.q = b.q[r*b.in:]
		part.scale, part.total = b.scale[r*b.in/32:], b.total[r*b.in/32:]
		part.fine, part.fineTotal = b.fine[r*b.in/16:], b.fineTotal[r*b.in/16:]
		m.mul(tile[:], Cols, &part, p)
		for j := range part.n {
			copy(dst[(r+j)*ld+i*Cols:(r+j)*ld+i*Cols+cols], tile[j*Cols:])
		}
	}
}

// tileRows is a buffer for the last, narrow panel.
const tileRows = 12

// mul multiplies the vectors with an open panel.
func (m *Matrix) mul(dst []float32, ld int, b *Batch, p *Panel) {
	groups, steps, scale, total := m.In/32, 8, b.scale, b.total
	if m.Type.group() == 16 {
		groups, steps, scale, total = m.In/16, 4, b.fine, b.fineTotal
	}
	kernels.MulFloat32(b.n, groups, total, groups, p.least, Cols, dst, ld)
	for r := 0; r < b.n; {
		k := pick(b.n - r)
		k.run(&b.q[r*b.in], b.in, &scale[r*groups], 4*groups, &p.q[0], &p.scale[0], groups, steps, &dst[r*ld], 4*ld)
		r += k.rows
	}
}

func pick(rows int) *panel {
	for i := range active.panels {
		if active.panels[i].rows <= rows {
			return &active.panels[i]
		}
	}
	panic("blocks: no panel of one row")
}

// open unpacks rows [from, from+cols); those that are missing to 32 are zeros.
func (m *Matrix) open(p *Panel, from, cols int) {
	groups := m.In / m.Type.group()
	p.q, p.scale, p.least = sized(p.q, m.In*Cols), sized(p.scale, groups*Cols), sized(p.least, groups*Cols)
	p.rows = sized(p.rows, 16*chunk)
	if cols < Cols {
		clear(p.scale)
		clear(p.least)
		clear(p.rows)
	}
	size, l := m.Type.RowBytes(m.In), m.Type.known()
	for half := 0; half < Cols; half += 16 {
		for k := 0; k < m.In; k += chunk {
			n := min(chunk, m.In-k)
			for r := range min(16, max(0, cols-half)) {
				src := m.Data[(from+half+r)*size+m.Type.RowBytes(k):]
				at := k/m.Type.group()*Cols + half + r
				active.open(m.Type, &src[0], n/l.numbers, &p.rows[r*chunk], &p.scale[at], &p.least[at], Cols*size)
			}
			active.interleave(&p.q[k*Cols+4*half], &p.rows[0], chunk, n/64)
		}
	}
}
