package kernels

import (
	"fmt"
	"unsafe"
)

// Int16 sets the first rows of the tile to A·B in 16 bits: A has rows of k numbers, lda
// apart; panel has k rows of 32, two of them together, as four are in 8 bits. The number
// k is even. The caller sees to it that no sum leaves 32 bits.
func (t *Tile) Int16(rows, k int, a []int16, lda int, panel []int16) {
	if rows < 1 || rows > Rows || k < 2 || k%2 != 0 || lda < k || len(panel) < k*Cols || len(a) < (rows-1)*lda+k {
		panic(fmt.Sprintf("kernels: a tile of %d rows of %d words, %d apart, in %d", rows, k, lda, len(a)))
	}
	for r := 0; r < rows; {
		f := pickInt16(rows - r)
		f.run(&a[r*lda], 2*lda, &panel[0], k/2, &t.ints[r*Cols])
		r += f.rows
	}
}

func pickInt16(rows int) *tileInt16 {
	fs := active.int16
	for i := range fs {
		if fs[i].rows <= rows {
			return &fs[i]
		}
	}
	panic("kernels: no tile of one row")
}

// Quantize16 sets dst to rows of n numbers of x, ld apart, in 16 bits, so that the largest
// of each row is most; scale gets what to multiply a row by. The number n is a multiple of
// [Lanes].
func Quantize16(dst []int16, x []float32, ld, n int, most float32, scale []float32) {
	rows := len(scale)
	if rows == 0 {
		return
	}
	check(n)
	if ld < n || len(x) < (rows-1)*ld+n || len(dst) < rows*n {
		panic(fmt.Sprintf("kernels: %d rows of %d numbers, %d apart, in %d", rows, n, ld, len(x)))
	}
	active.quantize16(&dst[0], &x[0], rows, 4*ld, n, most, &scale[0])
}

// Panels16 turns tokens, rows of k words, into panels of 32 of them, as [Tile.Int16] takes
// them: src has whole panels of tokens; k is a multiple of 32.
func Panels16(dst, src []int16, k int) {
	const side = 16 // of what is turned at once, in pairs
	tokens := len(src) / k
	if k%(2*side) != 0 || tokens%Cols != 0 || len(dst) < tokens*k {
		panic(fmt.Sprintf("kernels: panels of %d words of %d tokens", k, tokens))
	}
	for t := 0; t < tokens; t += side {
		panel := dst[t/Cols*Cols*k+2*(t%Cols):]
		for i := 0; i < k/2; i += side {
			active.transpose(pair(&panel[2*i*Cols]), 4*Cols, pair(&src[t*k+2*i]), 2*k)
		}
	}
}

// Values16 makes a panel of 32 columns of x, whose rows are ld apart, in 16 bits: scale
// gets what to multiply each column by. An odd last row is followed by zeros.
func Values16(dst []int16, x []float32, rows, ld int, most float32, scale []float32) {
	if rows < 1 || ld < Cols || len(x) < (rows-1)*ld+Cols || len(dst) < (rows+1)/2*2*Cols || len(scale) < Cols {
		panic(fmt.Sprintf("kernels: a panel of %d rows, %d apart, in %d numbers", rows, ld, len(x)))
	}
	active.largest(&scale[0], &x[0], rows, 4*ld)
	var factor [Cols]float32
	for i, m := range scale[:Cols] {
		if m > 0 {
			factor[i] = most / m
		}
		scale[i] = m / most
	}
	active.pairs(&dst[0], &x[0], rows, 4*ld, &factor[0])
}

// Softmax16 is [Softmax] with the result in 16 bits; it returns what to multiply it by. No
// number is larger than 32767, and their sum not than most, but for rounding. It overwrites
// x.
func Softmax16(dst []int16, x []float32, scale, most float32) float32 {
	check(len(x))
	dst = dst[:len(x)]
	return active.softmax16(&dst[0], &x[0], len(x), scale, most)
}

// pair is two words as one number.
func pair(w *int16) *int32 { return (*int32)(unsafe.Pointer(w)) }
