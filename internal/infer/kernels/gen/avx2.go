package main

import "fmt"

// avx2 is tiles in 16 registers of 8 numbers.
//
// There is no product of an unsigned and a signed byte without saturation: 255·127·2 does
// not fit into 16 bits. So A is made signed again; its sign moves to B (VPSIGNB), and what
// is multiplied is at most 127·127·2.
func avx2() string {
	f := &file{}
	f.WriteString(heading)
	for _, rows := range []int{2, 1} {
		f.int8Avx2(rows)
	}
	for _, rows := range []int{2, 1} {
		f.int16Avx2(rows)
	}
	for _, rows := range []int{3, 1} {
		f.float32Avx2(rows)
	}
	return f.String()
}

// int8Avx2: Y0 to Y7 hold the tile, four for each row. Y8 and Y9 are A with its sign, Y10
// and Y11 without; Y12 takes part products, Y14 is 128 in each byte, Y15 one in each word.
// The offset is for A with 128 added, which it has no longer here.
func (f *file) int8Avx2(rows int) {
	f.function(fmt.Sprintf("int8x%dAvx2", rows), "a *uint8, lda int, b *int8, off *int32, k4 int, c *int32, ahead *int8",
		"R8", "R9", "BX", "R13", "CX", "DI", "SI")
	for i := range 4 * rows {
		f.line("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	f.line("VPCMPEQB Y15, Y15, Y15")
	f.line("VPABSB Y15, Y14")
	f.line("VPSLLW $7, Y14, Y14") // 1 in each byte: 7 places up, 128 in each
	f.line("VPSRLW $15, Y15, Y15")
	f.WriteString("loop:\n")
	f.line("PREFETCHT1 (SI)")
	for i := range rows {
		f.line("VPBROADCASTD %s, Y%d", row(i), 8+i)
		f.line("VPXOR Y14, Y%d, Y%d", 8+i, 8+i)
		f.line("VPABSB Y%d, Y%d", 8+i, 10+i)
	}
	for c := range 4 {
		f.line("VMOVDQU %d(BX), Y13", 32*c)
		for i := range rows {
			f.line("VPSIGNB Y%d, Y13, Y12", 8+i)
			f.line("VPMADDUBSW Y12, Y%d, Y12", 10+i)
			f.line("VPMADDWD Y15, Y12, Y12")
			f.line("VPADDD Y12, Y%d, Y%d", 4*i+c, 4*i+c)
		}
	}
	f.line("ADDQ $4, R8")
	f.line("ADDQ $128, BX")
	f.line("ADDQ $64, SI")
	f.line("DECQ CX")
	f.line("JNZ  loop")
	for i := range 4 * rows {
		f.line("VMOVDQU Y%d, %d(DI)", i, 32*i)
	}
	f.line("VZEROUPPER")
	f.line("RET")
}

// int16Avx2: Y0 to Y7 hold the tile, four for each row; Y8 and Y9 the numbers of A.
func (f *file) int16Avx2(rows int) {
	f.function(fmt.Sprintf("int16x%dAvx2", rows), "a *int16, lda int, b *int16, k2 int, c *int32",
		"R8", "R9", "BX", "CX", "DI")
	for i := range 4 * rows {
		f.line("VPXOR Y%d, Y%d, Y%d", i, i, i)
	}
	f.WriteString("loop:\n")
	for i := range rows {
		f.line("VPBROADCASTD %s, Y%d", row(i), 8+i)
	}
	for c := range 4 {
		f.line("VMOVDQU %d(BX), Y15", 32*c)
		for i := range rows {
			f.line("VPMADDWD Y15, Y%d, Y%d", 8+i, 10+i)
			f.line("VPADDD Y%d, Y%d, Y%d", 10+i, 4*i+c, 4*i+c)
		}
	}
	f.line("ADDQ $4, R8")
	f.line("ADDQ $128, BX")
	f.line("DECQ CX")
	f.line("JNZ  loop")
	for i := range 4 * rows {
		f.line("VMOVDQU Y%d, %d(DI)", i, 32*i)
	}
	f.line("VZEROUPPER")
	f.line("RET")
}

// float32Avx2: Y0 to Y11 hold the tile, four for each row; Y12 to Y14 the numbers of A,
// Y15 eight columns of B.
func (f *file) float32Avx2(rows int) {
	f.function(fmt.Sprintf("float32x%dAvx2", rows), "a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int",
		"R8", "R9", "BX", "R13", "CX", "DI", "SI")
	for i := range 4 * rows {
		f.line("VXORPS Y%d, Y%d, Y%d", i, i, i)
	}
	f.WriteString("loop:\n")
	for i := range rows {
		f.line("VBROADCASTSS %s, Y%d", row(i), 12+i)
	}
	for c := range 4 {
		f.line("VMOVUPS %d(BX), Y15", 32*c)
		for i := range rows {
			f.line("VFMADD231PS Y15, Y%d, Y%d", 12+i, 4*i+c)
		}
	}
	f.line("ADDQ $4, R8")
	f.line("ADDQ R13, BX")
	f.line("DECQ CX")
	f.line("JNZ  loop")
	for i := range rows {
		for c := range 4 {
			f.line("VMOVUPS Y%d, %d(DI)", 4*i+c, 32*c)
		}
		f.line("ADDQ SI, DI")
	}
	f.line("VZEROUPPER")
	f.line("RET")
}
