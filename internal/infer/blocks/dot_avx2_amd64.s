#include "textflag.h"

// The inner loops for processors with AVX2, FMA and F16C. Products of bytes go
// through words: of weights without a sign of at most 6 bits, and of Q8_0's
// without theirs, two do not overflow.

// Indexes of lanes: 0 to 3 in all, then pairs in halves.
DATA each8<>+0(SB)/8, $0x0000000000000000
DATA each8<>+8(SB)/8, $0x0101010101010101
DATA each8<>+16(SB)/8, $0x0202020202020202
DATA each8<>+24(SB)/8, $0x0303030303030303
GLOBL each8<>(SB), RODATA|NOPTR, $32
DATA pair8<>+0(SB)/8, $0x0101010100000000
DATA pair8<>+8(SB)/8, $0x0303030302020202
DATA pair8<>+16(SB)/8, $0x0505050504040404
DATA pair8<>+24(SB)/8, $0x0707070706060606
GLOBL pair8<>(SB), RODATA|NOPTR, $32

#define START \
	MOVQ w+0(FP), SI \
	MOVQ rowBytes+8(FP), R8 \
	MOVQ rows+16(FP), R9 \
	MOVQ pack+24(FP), R10 \
	MOVQ units+32(FP), R11 \
	MOVQ dst+40(FP), DI \
	MOVL $0x00010001, AX \
	VMOVD AX, X14 \
	VPBROADCASTD X14, Y14 \
	MOVL $0x0f0f0f0f, AX \
	VMOVD AX, X15 \
	VPBROADCASTD X15, Y15

#define TOTAL \
	VEXTRACTF128 $1, Y0, X1 \
	VADDPS X1, X0, X0 \
	VPERMILPS $0x4e, X0, X1 \
	VADDPS X1, X0, X0 \
	VPERMILPS $0xb1, X0, X1 \
	VADDSS X1, X0, X0 \
	VMOVSS X0, (DI) \
	ADDQ $4, DI \
	ADDQ R8, SI

// TWO4 adds the products of two blocks of Q4_0.
#define TWO4(at, low, begin, scale) \
	VMOVDQU at+2(BX), X1 \
	VINSERTI128 $1, at+20(BX), Y1, Y1 \
	VPSRLW $4, Y1, Y2 \
	VPAND Y15, Y1, Y1 \
	VPAND Y15, Y2, Y2 \
	VPMADDUBSW low(DX), Y1, Y1 \
	VPMADDUBSW low+64(DX), Y2, Y2 \
	VPADDW Y2, Y1, Y1 \
	VPMADDWD Y14, Y1, Y1 \
	VPADDD begin(DX), Y1, Y1 \
	VCVTDQ2PS Y1, Y1 \
	VPXOR X3, X3, X3 \
	VPINSRW $0, at(BX), X3, X3 \
	VPINSRW $1, at+18(BX), X3, X3 \
	VCVTPH2PS X3, X3 \
	VPERMPS Y3, Y13, Y3 \
	VMULPS scale(DX), Y3, Y3 \
	VFMADD231PS Y3, Y1, Y0

// func dotQ4Avx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)
TEXT ·dotQ4Avx2(SB), NOSPLIT, $0-48
	START
	VPMOVZXBD pair8<>+0(SB), Y13
row:
	MOVQ SI, BX
	MOVQ R10, DX
	MOVQ R11, CX
	VXORPS Y0, Y0, Y0
unit:
	PREFETCHT0 2048(BX)
	TWO4(0, 0, 128, 192)
	TWO4(36, 32, 160, 224)
	ADDQ $72, BX
	ADDQ $256, DX
	DECQ CX
	JNZ unit
	TOTAL
	DECQ R9
	JNZ row
	VZEROUPPER
	RET

// ONE8 adds the products of a block of Q8_0: magnitudes, times activations with
// the weights' signs.
#define ONE8(at, q, scale) \
	VMOVDQU at+2(BX), Y1 \
	VMOVDQU q(DX), Y2 \
	VPSIGNB Y1, Y2, Y2 \
	VPABSB Y1, Y1 \
	VPMADDUBSW Y2, Y1, Y1 \
	VPMADDWD Y14, Y1, Y1 \
	VCVTDQ2PS Y1, Y1 \
	VPXOR X3, X3, X3 \
	VPINSRW $0, at(BX), X3, X3 \
	VCVTPH2PS X3, X3 \
	VBROADCASTSS X3, Y3 \
	VMULPS scale(DX), Y3, Y3 \
	VFMADD231PS Y3, Y1, Y0

// func dotQ8Avx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)
TEXT ·dotQ8Avx2(SB), NOSPLIT, $0-48
	START
row:
	MOVQ SI, BX
	MOVQ R10, DX
	MOVQ R11, CX
	VXORPS Y0, Y0, Y0
unit:
	PREFETCHT0 2048(BX)
	ONE8(0, 0, 128)
	ONE8(34, 32, 160)
	ADDQ $68, BX
	ADDQ $192, DX
	DECQ CX
	JNZ unit
	TOTAL
	DECQ R9
	JNZ row
	VZEROUPPER
	RET

// GROUP adds the products of 32 weights, times lanes of a vector of scales.
#define GROUP(w, q, scales, lanes) \
	VPMADDUBSW q(DX), w, Y1 \
	VPMADDWD Y14, Y1, Y1 \
	VCVTDQ2PS Y1, Y1 \
	VPERMPS scales, lanes, Y2 \
	VFMADD231PS Y2, Y1, Y0

// CHUNK adds the products of 32 bytes of Q4_K, which are two groups.
#define CHUNK(at, low, high, scales, lane0, lane1) \
	VMOVDQU at(BX), Y3 \
	VPSRLW $4, Y3, Y4 \
	VPAND Y15, Y3, Y3 \
	VPAND Y15, Y4, Y4 \
	GROUP(Y3, low, scales, lane0) \
	GROUP(Y4, high, scales, lane1)

// func dotQ4KAvx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)
TEXT ·dotQ4KAvx2(SB), NOSPLIT, $0-48
	START
	VPMOVZXBD each8<>+0(SB), Y9
	VPMOVZXBD each8<>+8(SB), Y10
	VPMOVZXBD each8<>+16(SB), Y11
	VPMOVZXBD each8<>+24(SB), Y12
	VPMOVZXBD pair8<>+0(SB), Y13
row:
	MOVQ SI, BX
	MOVQ R10, DX
	MOVQ R11, CX
	VXORPS Y0, Y0, Y0
unit:
	PREFETCHT0 2048(BX)
	PREFETCHT0 2112(BX)
	MOVQ 4(BX), AX
	MOVL 12(BX), R12
	MOVQ R12, R13
	SHLQ $28, R13
	ORQ R13, R12
	MOVQ $0x0f0f0f0f0f0f0f0f, R13
	ANDQ R13, R12
	MOVQ AX, R13
	SHRQ $2, R13
	MOVQ $0x3030303030303030, R14
	ANDQ R14, R13
	ORQ R13, R12
	MOVQ $0x3f3f3f3f3f3f3f3f, R13
	ANDQ R13, AX
	VMOVQ AX, X5
	VMOVQ R12, X6
	VPMOVZXBD X5, Y5
	VPMOVZXBD X6, Y6
	VCVTDQ2PS Y5, Y5
	VCVTDQ2PS Y6, Y6
	VMOVD (BX), X3
	VCVTPH2PS X3, X3
	VPERMPS Y3, Y13, Y3
	VMULPS 256(DX), Y3, Y4
	VMULPS Y4, Y5, Y5
	VMULPS 288(DX), Y3, Y4
	VMULPS Y4, Y6, Y6
	VXORPS Y7, Y7, Y7
	VBLENDPS $0xf0, Y5, Y7, Y8
	VADDPS Y8, Y0, Y0
	VBLENDPS $0xf0, Y6, Y7, Y8
	VADDPS Y8, Y0, Y0
	CHUNK(16, 0, 64, Y5, Y9, Y10)
	CHUNK(48, 32, 96, Y5, Y11, Y12)
	CHUNK(80, 128, 192, Y6, Y9, Y10)
	CHUNK(112, 160, 224, Y6, Y11, Y12)
	ADDQ $144, BX
	ADDQ $320, DX
	DECQ CX
	JNZ unit
	TOTAL
	DECQ R9
	JNZ row
	VZEROUPPER
	RET

// HALF adds the products of half a block of Q6_K.
#define HALF(low, high, q, scales) \
	VMOVDQU high(BX), Y8 \
	VMOVDQU low(BX), Y3 \
	VPAND Y15, Y3, Y4 \
	VPSLLW $4, Y8, Y7 \
	VPAND Y13, Y7, Y7 \
	VPOR Y7, Y4, Y4 \
	GROUP(Y4, q, scales, Y9) \
	VPSRLW $4, Y3, Y3 \
	VPAND Y15, Y3, Y3 \
	VPAND Y13, Y8, Y7 \
	VPOR Y7, Y3, Y3 \
	GROUP(Y3, q+64, scales, Y11) \
	VMOVDQU low+32(BX), Y3 \
	VPAND Y15, Y3, Y4 \
	VPSLLW $2, Y8, Y7 \
	VPAND Y13, Y7, Y7 \
	VPOR Y7, Y4, Y4 \
	GROUP(Y4, q+32, scales, Y10) \
	VPSRLW $4, Y3, Y3 \
	VPAND Y15, Y3, Y3 \
	VPSRLW $2, Y8, Y7 \
	VPAND Y13, Y7, Y7 \
	VPOR Y7, Y3, Y3 \
	GROUP(Y3, q+96, scales, Y12)

// func dotQ6KAvx2(w *byte, rowBytes, rows int, pack *byte, units int, dst *float32)
TEXT ·dotQ6KAvx2(SB), NOSPLIT, $0-48
	START
	VPMOVZXBD pair8<>+0(SB), Y9
	VPMOVZXBD pair8<>+8(SB), Y10
	VPMOVZXBD pair8<>+16(SB), Y11
	VPMOVZXBD pair8<>+24(SB), Y12
	MOVL $0x30303030, AX
	VMOVD AX, X13
	VPBROADCASTD X13, Y13
row:
	MOVQ SI, BX
	MOVQ R10, DX
	MOVQ R11, CX
	VXORPS Y0, Y0, Y0
unit:
	PREFETCHT0 2048(BX)
	PREFETCHT0 2112(BX)
	PREFETCHT0 2176(BX)
	VPBROADCASTW 208(BX), X3
	VCVTPH2PS X3, Y3
	VPMOVSXBD 192(BX), Y5
	VPMOVSXBD 200(BX), Y6
	VCVTDQ2PS Y5, Y5
	VCVTDQ2PS Y6, Y6
	VMULPS Y3, Y5, Y5
	VMULPS Y3, Y6, Y6
	VMULPS 256(DX), Y5, Y5
	VMULPS 288(DX), Y6, Y6
	VFMADD231PS 320(DX), Y5, Y0
	VFMADD231PS 352(DX), Y6, Y0
	HALF(0, 128, 0, Y5)
	HALF(64, 160, 128, Y6)
	ADDQ $210, BX
	ADDQ $384, DX
	DECQ CX
	JNZ unit
	TOTAL
	DECQ R9
	JNZ row
	VZEROUPPER
	RET

#define TIMES(a, t, c0, c1, c2, c3) \
	VBROADCASTSS a, t \
	VFMADD231PS t, Y12, c0 \
	VFMADD231PS t, Y13, c1 \
	VFMADD231PS t, Y14, c2 \
	VFMADD231PS t, Y15, c3

// func half2Avx2(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)
TEXT ·half2Avx2(SB), NOSPLIT, $0-57
	MOVQ a+0(FP), R8
	MOVQ lda+8(FP), R9
	MOVQ b+16(FP), BX
	MOVQ ldb+24(FP), DX
	MOVQ k+32(FP), CX
	MOVQ c+40(FP), DI
	MOVQ ldc+48(FP), SI
	MOVBLZX fresh+56(FP), R11
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	TESTQ R11, R11
	JNZ step
	VMOVUPS 0(DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	VMOVUPS 0(DI)(SI*1), Y4
	VMOVUPS 32(DI)(SI*1), Y5
	VMOVUPS 64(DI)(SI*1), Y6
	VMOVUPS 96(DI)(SI*1), Y7
step:
	VCVTPH2PS (BX), Y12
	VCVTPH2PS 16(BX), Y13
	VCVTPH2PS 32(BX), Y14
	VCVTPH2PS 48(BX), Y15
	TIMES((R8), Y8, Y0, Y1, Y2, Y3)
	TIMES((R8)(R9*1), Y9, Y4, Y5, Y6, Y7)
	ADDQ $4, R8
	ADDQ DX, BX
	DECQ CX
	JNZ step
	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VMOVUPS Y4, 0(DI)(SI*1)
	VMOVUPS Y5, 32(DI)(SI*1)
	VMOVUPS Y6, 64(DI)(SI*1)
	VMOVUPS Y7, 96(DI)(SI*1)
	VZEROUPPER
	RET

// func half1Avx2(a *float32, lda int, b *uint16, ldb, k int, c *float32, ldc int, fresh bool)
TEXT ·half1Avx2(SB), NOSPLIT, $0-57
	MOVQ a+0(FP), R8
	MOVQ lda+8(FP), R9
	MOVQ b+16(FP), BX
	MOVQ ldb+24(FP), DX
	MOVQ k+32(FP), CX
	MOVQ c+40(FP), DI
	MOVQ ldc+48(FP), SI
	MOVBLZX fresh+56(FP), R11
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	TESTQ R11, R11
	JNZ step
	VMOVUPS 0(DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
step:
	VCVTPH2PS (BX), Y12
	VCVTPH2PS 16(BX), Y13
	VCVTPH2PS 32(BX), Y14
	VCVTPH2PS 48(BX), Y15
	TIMES((R8), Y8, Y0, Y1, Y2, Y3)
	ADDQ $4, R8
	ADDQ DX, BX
	DECQ CX
	JNZ step
	VMOVUPS Y0, 0(DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	VZEROUPPER
	RET
