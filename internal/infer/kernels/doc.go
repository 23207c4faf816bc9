// Package kernels has the inner loops of inference: tiles of matrix products on
// integers of 8 and 16 bits and on float32, and the passes over rows between them
// (quantisation, layer normalisation, softmax, bias and activation).
//
// Each operation has a portable version in Go, which defines it, and versions
// in assembly; which one runs is decided once, at start, by what the processor
// says it can do, and [Level] names the choice (GODEBUG=cpu.avx512f=off makes it
// AVX2 where both are there). All versions of an integer
// product give the same number. Those of a float operation add in different
// orders and agree to rounding.
//
// A product is C[m×32] = A[m×k] · B[k×32]. The right-hand side comes in panels
// of [Cols] columns, so that a tile of C stays in registers while k runs. Of an
// 8-bit panel, four consecutive k of one column lie together, as the
// instructions want them: byte (k/4·32 + n)·4 + k%4.
//
// Activations are signed 8-bit numbers stored with 128 added, in an unsigned
// byte. What that adds to a product, 128 times the sum of a column, is the
// panel's offset, and is taken off inside.
//
// Tiles in assembly are written by a generator: "go generate" runs it.
//
// Operations panic when a slice is too short for what the numbers say, as a
// slice expression would; nothing is read or written beyond it.
package kernels

//go:generate go run ./gen
