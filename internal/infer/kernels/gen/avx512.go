package main

import "fmt"

// avx512 is tiles in 32 registers of 16 numbers: Z0 to Z23 hold the tile, two for each
// row; Z30 and Z31 one step of the panel; Z24 to Z29 take turns with the numbers of A,
// each broadcast to all columns.
func avx512() string {
	f := &file{}
	f.WriteString(heading)
	for _, rows := range []int{12, 8, 4, 1} {
		f.int8Avx512(rows)
	}
	for _, rows := range []int{12, 8, 4, 1} {
		f.int16Avx512(rows)
	}
	for _, rows := range []int{12, 8, 4, 1} {
		f.float32Avx512(rows)
	}
	f.transposeAvx512()
	return f.String()
}

func (f *file) int16Avx512(rows int) {
	f.function(fmt.Sprintf("int16x%dAvx512", rows), "a *int16, lda int, b *int16, k2 int, c *int32",
		"R8", "R9", "BX", "CX", "DI")
	f.rowAddresses(rows)
	for i := range 2 * rows {
		f.line("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	f.WriteString("loop:\n")
	f.line("VMOVDQU32 (BX), Z30")
	f.line("VMOVDQU32 64(BX), Z31")
	for i := range rows {
		x := 24 + i%6
		f.line("VPBROADCASTD %s, Z%d", row(i), x)
		f.line("VPDPWSSD Z30, Z%d, Z%d", x, 2*i)
		f.line("VPDPWSSD Z31, Z%d, Z%d", x, 2*i+1)
	}
	f.nextNumbers(rows)
	f.line("ADDQ $128, BX")
	f.line("DECQ CX")
	f.line("JNZ  loop")
	for i := range 2 * rows {
		f.line("VMOVDQU32 Z%d, %d(DI)", i, 64*i)
	}
	f.line("VZEROUPPER")
	f.line("RET")
}

// transposeAvx512 turns 16 rows of 16 numbers: numbers of pairs of rows, then pairs of
// these, are put beside each other within 128 bits; then such quarters change places.
func (f *file) transposeAvx512() {
	f.function("transposeAvx512", "dst *int32, ldDst int, src *int32, ldSrc int", "DI", "R9", "SI", "R8")
	for i := range 16 {
		f.line("VMOVDQU32 (SI), Z%d", i)
		f.line("ADDQ R8, SI")
	}
	for i := 0; i < 16; i += 2 {
		f.line("VPUNPCKLDQ Z%d, Z%d, Z%d", i+1, i, 16+i)
		f.line("VPUNPCKHDQ Z%d, Z%d, Z%d", i+1, i, 17+i)
	}
	for i := 0; i < 16; i += 4 { // Z(i+k) gets columns k, 4+k, 8+k and 12+k of rows i to i+3
		f.line("VPUNPCKLQDQ Z%d, Z%d, Z%d", 18+i, 16+i, i)
		f.line("VPUNPCKHQDQ Z%d, Z%d, Z%d", 18+i, 16+i, i+1)
		f.line("VPUNPCKLQDQ Z%d, Z%d, Z%d", 19+i, 17+i, i+2)
		f.line("VPUNPCKHQDQ Z%d, Z%d, Z%d", 19+i, 17+i, i+3)
	}
	const even, odd = "$0x88", "$0xdd" // quarters 0 and 2, or 1 and 3, of both
	for k := range 4 {
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", even, k+4, k, 16+k)
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", odd, k+4, k, 20+k)
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", even, k+12, k+8, 24+k)
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", odd, k+12, k+8, 28+k)
	}
	for k := range 4 {
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", even, 24+k, 16+k, k)
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", even, 28+k, 20+k, 4+k)
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", odd, 24+k, 16+k, 8+k)
		f.line("VSHUFI32X4 %s, Z%d, Z%d, Z%d", odd, 28+k, 20+k, 12+k)
	}
	for i := range 16 {
		f.line("VMOVDQU32 Z%d, (DI)", i)
		f.line("ADDQ R9, DI")
	}
	f.line("VZEROUPPER")
	f.line("RET")
}

func (f *file) int8Avx512(rows int) {
	f.function(fmt.Sprintf("int8x%dAvx512", rows), "a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8",
		"R8", "R9", "BX", "R13", "CX", "DI", "SI")
	f.rowAddresses(rows)
	f.line("VMOVDQU32 (R13), Z30")
	f.line("VMOVDQU32 64(R13), Z31")
	f.line("VPXORD Z24, Z24, Z24")
	for i := range rows {
		f.line("VPSUBD Z30, Z24, Z%d", 2*i)
		f.line("VPSUBD Z31, Z24, Z%d", 2*i+1)
	}
	f.WriteString("loop:\n")
	f.line("VMOVDQU32 (BX), Z30")
	f.line("VMOVDQU32 64(BX), Z31")
	f.line("PREFETCHT1 (SI)") // into the second level: the first has this panel
	for i := range rows {
		x := 24 + i%6
		f.line("VPBROADCASTD %s, Z%d", row(i), x)
		f.line("VPDPBUSD Z30, Z%d, Z%d", x, 2*i)
		f.line("VPDPBUSD Z31, Z%d, Z%d", x, 2*i+1)
	}
	f.nextNumbers(rows)
	f.line("ADDQ $128, BX")
	f.line("ADDQ $64, SI")
	f.line("DECQ CX")
	f.line("JNZ  loop")
	for i := range rows {
		f.line("VMOVDQU32 Z%d, %d(DI)", 2*i, 128*i)
		f.line("VMOVDQU32 Z%d, %d(DI)", 2*i+1, 128*i+64)
	}
	f.line("VZEROUPPER")
	f.line("RET")
}

func (f *file) float32Avx512(rows int) {
	f.function(fmt.Sprintf("float32x%dAvx512", rows), "a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int",
		"R8", "R9", "BX", "R13", "CX", "DI", "SI")
	f.rowAddresses(rows)
	for i := range 2 * rows {
		f.line("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	f.WriteString("loop:\n")
	f.line("VMOVUPS (BX), Z30")
	f.line("VMOVUPS 64(BX), Z31")
	for i := range rows {
		x := 24 + i%6
		f.line("VBROADCASTSS %s, Z%d", row(i), x)
		f.line("VFMADD231PS Z30, Z%d, Z%d", x, 2*i)
		f.line("VFMADD231PS Z31, Z%d, Z%d", x, 2*i+1)
	}
	f.nextNumbers(rows)
	f.line("ADDQ R13, BX")
	f.line("DECQ CX")
	f.line("JNZ  loop")
	for i := range rows {
		f.line("VMOVUPS Z%d, (DI)", 2*i)
		f.line("VMOVUPS Z%d, 64(DI)", 2*i+1)
		f.line("ADDQ SI, DI")
	}
	f.line("VZEROUPPER")
	f.line("RET")
}
