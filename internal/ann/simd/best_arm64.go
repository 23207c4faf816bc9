package simd

import "golang.org/x/sys/cpu"

//go:noescape
func dotU4Neon(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)

//go:noescape
func dotU8Neon(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)

//go:noescape
func dotF32Neon(a, b *float32, n int) float32

//go:noescape
func l2F32Neon(a, b *float32, n int) float32

// usable returns what this processor can run, the best first. Every arm64 has
// NEON; SDOT came with ARMv8.2.
func usable() []kernels {
	neon := portable()
	neon.dotF32, neon.l2F32 = dotF32Neon, l2F32Neon
	neon.name = "neon"
	if cpu.ARM64.HasASIMDDP {
		neon.dotU8, neon.dotU4 = dotU8Neon, dotU4Neon
	}
	return []kernels{neon, portable()}
}
