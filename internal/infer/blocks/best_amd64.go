package blocks

import (
	"math"

	"golang.org/x/sys/cpu"
)

//go:noescape
func dotQ4Avx512(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func dotQ8Avx512(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func dotQ4KAvx512(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func dotQ6KAvx512(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func openQ4Avx512(src *byte, units int, q *uint8, scale, least *float32, ahead int)

//go:noescape
func openQ8Avx512(src *byte, units int, q *uint8, scale, least *float32, ahead int)

//go:noescape
func openQ4KAvx512(src *byte, units int, q *uint8, scale, least *float32, ahead int)

//go:noescape
func openQ6KAvx512(src *byte, units int, q *uint8, scale, least *float32, ahead int)

//go:noescape
func interleaveAvx512(dst, src *uint8, stride, n int)

//go:noescape
func panel6Avx512(a *int8, lda int, scale *float32, lds int, b *uint8, weights *float32, groups, steps int, c *float32, ldc int)

//go:noescape
func panel4Avx512(a *int8, lda int, scale *float32, lds int, b *uint8, weights *float32, groups, steps int, c *float32, ldc int)

//go:noescape
func panel2Avx512(a *int8, lda int, scale *float32, lds int, b *uint8, weights *float32, groups, steps int, c *float32, ldc int)

//go:noescape
func panel1Avx512(a *int8, lda int, scale *float32, lds int, b *uint8, weights *float32, groups, steps int, c *float32, ldc int)

//go:noescape
func half6Avx512(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)

//go:noescape
func half4Avx512(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)

//go:noescape
func half2Avx512(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)

//go:noescape
func half1Avx512(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)

//go:noescape
func quantizeAvx512(q *int8, scale *float32, sums *int32, x *float32, n int)

//go:noescape
func swigluAvx512(dst, gate, up *float32, n int)

//go:noescape
func toHalfAvx512(dst *uint16, x *float32, n int)

//go:noescape
func dotQ4Avx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func dotQ8Avx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func dotQ4KAvx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func dotQ6KAvx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)

//go:noescape
func half2Avx2(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)

//go:noescape
func half1Avx2(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)

// usable returns what this processor can run, the best first.
func usable() []set {
	var sets []set
	x := &cpu.X86
	if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI {
		sets = append(sets, avx512())
	}
	// The package cannot ask for F16C, which each processor with AVX2 has.
	if x.HasAVX2 && x.HasFMA {
		sets = append(sets, avx2())
	}
	return append(sets, portable())
}

// avx2 has the loops of one vector, and of attention; the rest is Go's.
func avx2() set {
	s := portable()
	s.name, s.few = "avx2", math.MaxInt
	s.dot = func(t Type, w *byte, rowBytes, rows int, pack *byte, units int, dst *float32) {
		switch t { //nolint:exhaustive // only quantised types get here
		case Q4:
			dotQ4Avx2(w, rowBytes, rows, pack, units, dst)
		case Q8:
			dotQ8Avx2(w, rowBytes, rows, pack, units, dst)
		case Q4K:
			dotQ4KAvx2(w, rowBytes, rows, pack, units, dst)
		default:
			dotQ6KAvx2(w, rowBytes, rows, pack, units, dst)
		}
	}
	s.halves = []halfTile{{2, half2Avx2}, {1, half1Avx2}}
	return s
}

func avx512() set {
	return set{
		name: "avx512-vnni", few: 2,
		dot: func(t Type, w *byte, rowBytes, rows int, pack *byte, units int, dst *float32) {
			switch t { //nolint:exhaustive // only quantised types get here
			case Q4:
				dotQ4Avx512(w, rowBytes, rows, pack, units, dst)
			case Q8:
				dotQ8Avx512(w, rowBytes, rows, pack, units, dst)
			case Q4K:
				dotQ4KAvx512(w, rowBytes, rows, pack, units, dst)
			default:
				dotQ6KAvx512(w, rowBytes, rows, pack, units, dst)
			}
		},
		open: func(t Type, src *byte, units int, q *uint8, scale, least *float32, ahead int) {
			switch t { //nolint:exhaustive // only quantised types get here
			case Q4:
				openQ4Avx512(src, units, q, scale, least, ahead)
			case Q8:
				openQ8Avx512(src, units, q, scale, least, ahead)
			case Q4K:
				openQ4KAvx512(src, units, q, scale, least, ahead)
			default:
				openQ6KAvx512(src, units, q, scale, least, ahead)
			}
		},
		interleave: interleaveAvx512,
		panels:     []panel{{6, panel6Avx512}, {4, panel4Avx512}, {2, panel2Avx512}, {1, panel1Avx512}},
		halves:     []halfTile{{6, half6Avx512}, {4, half4Avx512}, {2, half2Avx512}, {1, half1Avx512}},
		quantize:   quantizeAvx512,
		swiglu:     swigluAvx512,
		toHalf:     toHalfAvx512,
	}
}
