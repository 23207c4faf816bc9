package simd

import (
	"testing"
	"unsafe"
)

// TestPrefetchBeyond asks for what lies beyond a slice, and for addresses that
// cannot be read at all: a hint must not end the process.
func TestPrefetchBeyond(_ *testing.T) {
	b := make([]byte, 64)
	for _, n := range []int{0, 1, 64, 1 << 20} {
		Prefetch(unsafe.Pointer(&b[0]), n)
		Prefetch(nil, n)
	}
}
