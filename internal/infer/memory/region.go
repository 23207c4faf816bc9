// Package memory has memory outside of the Go heap: weights that were made, and mapped files.
package memory

import "unsafe"

// Region is memory outside of the Go heap for quantised weights, in large pages
// where the system has them: a product walks through all of it, and the
// collector has nothing to look for there. What is freed is the system's at
// once, whatever the collector does.
type Region struct {
	bytes []byte
	used  int
}

// Reset takes back all that was taken. What is taken next may have any numbers.
func (r *Region) Reset() { r.used = 0 }

// Take returns the next n bytes, zeroed the first time.
func (r *Region) Take(n int) []int8 {
	b := r.Bytes(n)
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), n) //nolint:gosec // the same bytes, signed
}

// Bytes is Take for unsigned bytes.
func (r *Region) Bytes(n int) []byte {
	b := r.bytes[r.used : r.used+n : r.used+n]
	r.used += (n + 63) &^ 63
	return b
}

// Halves is Take for n numbers of 16 bits.
func (r *Region) Halves(n int) []uint16 {
	b := r.Bytes(2 * n)
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), n) //nolint:gosec // aligned to 64 bytes
}

// Len is the size of the region.
func (r *Region) Len() int { return len(r.bytes) }
