package simd

import "unsafe"

// kernels is one set of implementations. Pointers are to the first element;
// the exported functions have checked what lies behind them, so that a loop in
// assembly needs no check of its own.
type kernels struct {
	name   string
	dotF32 func(a, b *float32, n int) float32
	l2F32  func(a, b *float32, n int) float32
	dotU8  func(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
	dotU4  func(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
}

// active is what the exported functions use. It is set once, before main.
var active = usable()[0] //nolint:gochecknoglobals // the processor does not change while we run

func portable() kernels {
	return kernels{
		name: "portable",
		dotF32: func(a, b *float32, n int) float32 {
			return dotF32Go(unsafe.Slice(a, n), unsafe.Slice(b, n))
		},
		l2F32: func(a, b *float32, n int) float32 {
			return l2F32Go(unsafe.Slice(a, n), unsafe.Slice(b, n))
		},
		dotU8: func(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int) {
			o, qs := unsafe.Slice(out, n), unsafe.Slice(q, dims)
			for i, r := range unsafe.Slice(rows, n) {
				o[i] = dotU8Go(qs, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(codes), int(r)*stride)), dims))
			}
		},
		dotU4: func(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int) {
			o, qs := unsafe.Slice(out, n), unsafe.Slice(q, dims)
			for i, r := range unsafe.Slice(rows, n) {
				o[i] = dotU4Go(qs, unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(codes), int(r)*stride)), dims/2))
			}
		},
	}
}
