package kernels

import "golang.org/x/sys/cpu"

//go:noescape
func int8x12Avx512(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)

//go:noescape
func int8x8Avx512(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)

//go:noescape
func int8x4Avx512(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)

//go:noescape
func int8x1Avx512(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)

//go:noescape
func float32x12Avx512(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)

//go:noescape
func float32x8Avx512(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)

//go:noescape
func float32x4Avx512(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)

//go:noescape
func float32x1Avx512(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)

//go:noescape
func int8x2Avx2(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)

//go:noescape
func int8x1Avx2(a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8)

//go:noescape
func float32x3Avx2(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)

//go:noescape
func float32x1Avx2(a *float32, lda int, b *float32, ldb, k int, c *float32, ldc int)

//go:noescape
func int16x12Avx512(a *int16, lda int, b *int16, k2 int, c *int32)

//go:noescape
func int16x8Avx512(a *int16, lda int, b *int16, k2 int, c *int32)

//go:noescape
func int16x4Avx512(a *int16, lda int, b *int16, k2 int, c *int32)

//go:noescape
func int16x1Avx512(a *int16, lda int, b *int16, k2 int, c *int32)

//go:noescape
func int16x2Avx2(a *int16, lda int, b *int16, k2 int, c *int32)

//go:noescape
func int16x1Avx2(a *int16, lda int, b *int16, k2 int, c *int32)

//go:noescape
func quantize16Avx512(dst *int16, x *float32, rows, ld, n int, most float32, scale *float32)

//go:noescape
func transposeAvx512(dst *int32, ldDst int, src *int32, ldSrc int)

//go:noescape
func largestAvx512(dst, x *float32, rows, ld int)

//go:noescape
func pairsAvx512(dst *int16, x *float32, rows, ld int, factor *float32)

//go:noescape
func softmax16Avx512(dst *int16, x *float32, n int, scale, most float32) float32

//go:noescape
func quantizeAvx512(dst *uint8, x, mask *float32, n int) float32

//go:noescape
func layerNormAvx512(dst, x, gain, bias *float32, n int, eps float32)

//go:noescape
func softmaxAvx512(x *float32, n int, scale float32)

//go:noescape
func finishAvx512(f *finish)

// usable returns what this processor can run, the best first.
func usable() []set {
	var sets []set
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI {
		sets = append(sets, set{
			name:       "avx512-vnni",
			int8:       []tileInt8{{12, int8x12Avx512}, {8, int8x8Avx512}, {4, int8x4Avx512}, {1, int8x1Avx512}},
			float32:    []tileFloat32{{12, float32x12Avx512}, {8, float32x8Avx512}, {4, float32x4Avx512}, {1, float32x1Avx512}},
			int16:      []tileInt16{{12, int16x12Avx512}, {8, int16x8Avx512}, {4, int16x4Avx512}, {1, int16x1Avx512}},
			quantize16: quantize16Avx512,
			transpose:  transposeAvx512,
			largest:    largestAvx512,
			pairs:      pairsAvx512,
			softmax16:  softmax16Avx512,
			quantize:   quantizeAvx512,
			layerNorm:  layerNormAvx512,
			softmax:    softmaxAvx512,
			finish:     finishAvx512,
		})
	}
	if x.HasAVX2 && x.HasFMA {
		s := portable()
		s.name = "avx2"
		s.int8 = []tileInt8{{2, int8x2Avx2}, {1, int8x1Avx2}}
		s.int16 = []tileInt16{{2, int16x2Avx2}, {1, int16x1Avx2}}
		s.float32 = []tileFloat32{{3, float32x3Avx2}, {1, float32x1Avx2}}
		sets = append(sets, s)
	}
	return append(sets, portable())
}
