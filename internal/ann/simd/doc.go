// Package simd has the inner loops of vector search: dot products and squared
// distances of one query with many rows, on float32, on 8-bit and on 4-bit
// codes.
//
// Each operation has a portable version in Go and versions in assembly; which
// one runs is decided once, at start, by what the processor says it can do.
// [Level] names the choice. All versions of an integer operation give the same
// number; those of a float operation add in different orders and agree to
// rounding.
//
// Operations take rows by number: row r begins at r*stride. They panic when a
// row lies outside of the data, as a slice expression would; nothing is read
// beyond it. Data may begin at any address, and any length is served; what is
// aligned to 64 bytes is faster.
package simd
