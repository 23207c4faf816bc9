package blocks

import "fmt"

// SwiGLU sets dst to gate/(1+exp(-gate))·up. Lengths are equal, and a multiple of
// 16.
func SwiGLU(dst, gate, up []float32) {
	n := len(dst)
	if n == 0 || n%16 != 0 || len(gate) < n || len(up) < n {
		panic(fmt.Sprintf("blocks: SwiGLU of %d, %d and %d numbers", n, len(gate), len(up)))
	}
	active.swiglu(&dst[0], &gate[0], &up[0], n)
}

// ToHalves converts x to binary16. The length is a multiple of 16.
func ToHalves(dst []uint16, x []float32) {
	n := len(x)
	if n == 0 || n%16 != 0 || len(dst) < n {
		panic(fmt.Sprintf("blocks: %d numbers to %d halves", n, len(dst)))
	}
	active.toHalf(&dst[0], &x[0], n)
}

// MulHalves sets 32 columns of C to A·B, or, if add, adds it to them: A has m
// rows of k float32, lda apart; B has k rows of 32 binary16, ldb apart; C has m
// rows of 32 float32, ldc apart.
func MulHalves(m, k int, a []float32, lda int, b []uint16, ldb int, c []float32, ldc int, add bool) {
	if m < 1 || k < 1 || lda < 0 || ldb < 0 || ldc < Cols || len(a) < (m-1)*lda+k || len(b) < (k-1)*ldb+Cols || len(c) < (m-1)*ldc+Cols {
		panic(fmt.Sprintf("blocks: a product of %d×%d and %d×%d in %d, %d and %d numbers", m, k, k, Cols, len(a), len(b), len(c)))
	}
	for r := 0; r < m; {
		var t *halfTile
		for i := range active.halves {
			if t = &active.halves[i]; t.rows <= m-r {
				break
			}
		}
		t.run(&a[r*lda], lda*4, &b[0], ldb*2, k, &c[r*ldc], ldc*4, !add)
		r += t.rows
	}
}

// QuantizeQ8 writes x, whose length is a multiple of 32, as Q8_0.
func QuantizeQ8(dst []byte, x []float32) {
	var q [32]int8
	var scale float32
	var sums [2]int32
	for ; len(x) > 0; x, dst = x[32:], dst[34:] {
		active.quantize(&q[0], &scale, &sums[0], &x[:32][0], 1)
		h := ToHalf(scale)
		dst[0], dst[1] = byte(h&0xff), byte(h>>8)
		for i, v := range q {
			dst[2+i] = byte(v) //nolint:gosec // the same bits
		}
	}
}
