package simd

import "golang.org/x/sys/cpu"

//go:noescape
func dotU4Avx512(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)

//go:noescape
func dotU8Avx512(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)

//go:noescape
func dotF32Avx512(a, b *float32, n int) float32

//go:noescape
func l2F32Avx512(a, b *float32, n int) float32

//go:noescape
func dotU4Avx2(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)

//go:noescape
func dotU8Avx2(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)

//go:noescape
func dotF32Avx2(a, b *float32, n int) float32

//go:noescape
func l2F32Avx2(a, b *float32, n int) float32

// usable returns what this processor can run, the best first.
func usable() []kernels {
	var ks []kernels
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512VL && x.HasAVX512VNNI {
		ks = append(ks, kernels{name: "avx512", dotF32: dotF32Avx512, l2F32: l2F32Avx512, dotU8: dotU8Avx512, dotU4: dotU4Avx512})
	}
	if x.HasAVX2 && x.HasFMA {
		ks = append(ks, kernels{name: "avx2", dotF32: dotF32Avx2, l2F32: l2F32Avx2, dotU8: dotU8Avx2, dotU4: dotU4Avx2})
	}
	return append(ks, portable())
}
