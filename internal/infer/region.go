package infer

import "unsafe"

// region is memory outside of the Go heap for quantised weights, in large pages
// where the system has them: a product walks through all of it, and the
// collector has nothing to look for there. What is freed is the system's at
// once, whatever the collector does.
type region struct {
	bytes []byte
	used  int
}

// reset takes back all that was taken. What is taken next may have any numbers.
func (r *region) reset() { r.used = 0 }

// take returns the next n bytes, zeroed the first time.
func (r *region) take(n int) []int8 {
	b := r.bytes[r.used : r.used+n : r.used+n]
	r.used += (n + 63) &^ 63
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), n) //nolint:gosec // the same bytes, signed
}
