package simd

import "unsafe"

// Prefetch asks the processor to fetch the n bytes that begin at p, and returns
// before they are there. It is a hint: an address that cannot be read does no
// harm, though its page is looked for.
func Prefetch(p unsafe.Pointer, n int) { prefetch((*byte)(p), n) }
