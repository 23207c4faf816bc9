package kernels

import "fmt"

// Tile is the scratch that a tile of a product is computed in.
type Tile struct {
	ahead  []int8
	finish finish
	ints   [Rows * Cols]int32
	floats [Rows * Cols]float32
}

// Ahead says which panel comes after the one that is used now. While [Tile.Int8] computes,
// it is brought nearer from memory, a part with each tile.
func (t *Tile) Ahead(panel []int8) { t.ahead = panel }

// aheadBytes is what a tile asks for ahead, for each k: half of a panel.
const aheadBytes = 16

// Int8 sets the first rows of the tile to A·B: A has rows of len(off-set-free)
// k bytes, lda apart, stored with 128 added; panel has k·32 bytes; off is 128
// times the sum of each of its columns. The number k is a multiple of 4.
func (t *Tile) Int8(rows int, a []uint8, lda int, panel []int8, off []int32) {
	k := len(panel) / Cols
	if rows < 1 || rows > Rows || k%4 != 0 || len(off) != Cols || len(panel)%Cols != 0 || len(a) < (rows-1)*lda+k || lda < k {
		panic(fmt.Sprintf("kernels: a tile of %d rows of %d bytes, %d apart, in %d bytes", rows, k, lda, len(a)))
	}
	if k == 0 {
		clear(t.ints[:rows*Cols])
		return
	}
	for r := 0; r < rows; {
		f := pickInt8(rows - r)
		ahead := &panel[0] // near already
		if len(t.ahead) > 0 {
			ahead = &t.ahead[0]
			t.ahead = t.ahead[min(len(t.ahead), aheadBytes*k):]
		}
		f.run(&a[r*lda], lda, &panel[0], &off[0], k/4, &t.ints[r*Cols], ahead)
		r += f.rows
	}
}

func pickInt8(rows int) *tileInt8 {
	fs := active.int8
	for i := range fs {
		if fs[i].rows <= rows {
			return &fs[i]
		}
	}
	panic("kernels: no tile of one row")
}

func pickFloat32(rows int) *tileFloat32 {
	fs := active.float32
	for i := range fs {
		if fs[i].rows <= rows {
			return &fs[i]
		}
	}
	panic("kernels: no tile of one row")
}

// Float32 is Int8 for float32: A has rows of k numbers, lda apart, B has k rows
// of 32 numbers, ldb apart.
func (t *Tile) Float32(rows, k int, a []float32, lda int, b []float32, ldb int) {
	if rows < 1 || rows > Rows {
		panic(fmt.Sprintf("kernels: a tile of %d rows", rows))
	}
	MulFloat32(rows, k, a, lda, b, ldb, t.floats[:], Cols)
}

// MulFloat32 sets 32 columns of C to A·B: A has m rows of k numbers, lda apart;
// B has k rows of 32, ldb apart; C has m rows of 32, ldc apart.
func MulFloat32(m, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) {
	if m < 1 || k < 1 || lda < 0 || ldb < 0 || ldc < Cols || len(a) < (m-1)*lda+k || len(b) < (k-1)*ldb+Cols || len(c) < (m-1)*ldc+Cols {
		panic(fmt.Sprintf("kernels: a product of %d×%d and %d×%d in %d, %d and %d numbers", m, k, k, Cols, len(a), len(b), len(c)))
	}
	for r := 0; r < m; {
		f := pickFloat32(m - r)
		f.run(&a[r*lda], lda*4, &b[0], ldb*4, k, &c[r*ldc], ldc*4)
		r += f.rows
	}
}
