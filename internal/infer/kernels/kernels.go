package kernels

import "unsafe"

const (
	// Cols is the number of columns of a panel, and of a tile.
	Cols = 32
	// Rows is the most rows that a tile has.
	Rows = 12
	// Lanes is what the length of a row passed to a row operation is a multiple of.
	Lanes = 16
)

// set is one implementation of the operations. Pointers are to first elements;
// the exported functions have checked what lies behind them, so that a loop in
// assembly needs no check of its own. Strides are in bytes.
type set struct {
	name string
	// int8 computes tiles of exactly so many rows, the most first, one last.
	int8    []tileInt8
	int16   []tileInt16
	float32 []tileFloat32
	// quantize16 fills rows of n, one after the other; x's are ld bytes apart.
	quantize16 func(dst *int16, x *float32, rows, ld, n int, most float32, scale *float32)
	// transpose turns 16×16 numbers; strides are in bytes.
	transpose func(dst *int32, ldDst int, src *int32, ldSrc int)
	largest   func(dst, x *float32, rows, ld int)
	pairs     func(dst *int16, x *float32, rows, ld int, factor *float32)
	softmax16 func(dst *int16, x *float32, n int, scale, most float32) float32
	quantize  func(dst *uint8, x, mask *float32, n int) float32
	layerNorm func(dst, x, gain, bias *float32, n int, eps float32)
	softmax   func(x *float32, n int, scale float32)
	finish    func(f *finish)
}

// tileInt8 sets c[rows×32] to A·B; a's rows are lda bytes apart. It asks the memory for
// 16 bytes at ahead for each k, which will be read next; they may lie outside of anything.
type tileInt8 struct {
	rows int
	run  func(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)
}

// tileInt16 sets c[rows×32] to A·B for pairs of 16 bits.
type tileInt16 struct {
	rows int
	run  func(a *int16, lda int, b *int16, k2 int, c *int32)
}

// tileFloat32 sets c[rows×32] to A·B; b's rows are ldb bytes apart, so that a
// panel may lie inside of a wider matrix.
type tileFloat32 struct {
	rows int
	run  func(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)
}

// finish is what [Finish] passes to assembly, which knows the offsets.
type finish struct {
	tile, rowScale, colScale, bias, extra, residual, dst unsafe.Pointer
	rows, ldResidual, ldDst                              uintptr
	flags                                                uintptr
}

const (
	flagGELU  = 1 // apply GELU before the residual is added
	flagFloat = 2 // the tile has float32, and no scales apply
)

// active is what the exported functions use. It is set once, before main.
var active = usable()[0] //nolint:gochecknoglobals // the processor does not change while we run

// Level names the instructions in use: "avx512-vnni", "avx2" or "portable".
func Level() string { return active.name }
