package ann

import (
	"fmt"
	"unsafe"
)

// Files are little endian and are used as they lie in memory. Every platform
// we build for is little endian; endian_big.go keeps the others from compiling.

// bytesOf returns the memory of xs.
func bytesOf[T uint32 | float32 | int8](xs []T) []byte {
	if len(xs) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&xs[0])), len(xs)*int(unsafe.Sizeof(xs[0]))) //nolint:gosec // the slice's own memory
}

// view is the reverse: b must begin at a multiple of four, as parts do.
func view[T uint32 | float32](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	if uintptr(unsafe.Pointer(&b[0]))%4 != 0 || len(b)%4 != 0 { //nolint:gosec // only asked, not used
		panic(fmt.Sprintf("ann: %d bytes are no array of words", len(b)))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/4) //nolint:gosec // aligned, as just checked
}
