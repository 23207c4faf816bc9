#include "textflag.h"

// Numbers for exp: x = n·ln2 + r, and exp(r) by a polynomial (Cephes expf).
DATA expf<>+0(SB)/4, $0xc2ae0000 // -87
DATA expf<>+4(SB)/4, $0x3fb8aa3b // 1.4426950408889634
DATA expf<>+8(SB)/4, $0x3f318000 // 0.693359375
DATA expf<>+12(SB)/4, $0xb95e8083 // -0.00021219444
DATA expf<>+16(SB)/4, $0x39506967 // 0.000198756915
DATA expf<>+20(SB)/4, $0x3ab743ce // 0.0013981999507
DATA expf<>+24(SB)/4, $0x3c088908 // 0.0083334519073
DATA expf<>+28(SB)/4, $0x3d2aa9c1 // 0.041665795894
DATA expf<>+32(SB)/4, $0x3e2aaaaa // 0.16666665459
DATA expf<>+36(SB)/4, $0x3f000000 // 0.50000001201
DATA expf<>+40(SB)/4, $0x3f800000 // 1
GLOBL expf<>(SB), RODATA|NOPTR, $44

// Numbers for erf(z) = z·P(z²)/Q(z²) on [-4, 4]; the highest power first.
DATA erff<>+0(SB)/4, $0x3f3504f3 // 0.7071067811865476
DATA erff<>+4(SB)/4, $0x40800000 // 4
DATA erff<>+8(SB)/4, $0xc0800000 // -4
DATA erff<>+12(SB)/4, $0xaf95df0b // -2.72614225801306e-10
DATA erff<>+16(SB)/4, $0x32edffee // 2.77068142495902e-08
DATA erff<>+20(SB)/4, $0xb60cff51 // -2.10102402082508e-06
DATA erff<>+24(SB)/4, $0xb86ec2d2 // -5.69250639462346e-05
DATA erff<>+28(SB)/4, $0xba40ac63 // -0.000734990630326855
DATA erff<>+32(SB)/4, $0xbb41a1f6 // -0.00295459980854025
DATA erff<>+36(SB)/4, $0xbc83dbd4 // -0.0160960333262415
DATA erff<>+40(SB)/4, $0xb77460cd // -1.45660718464996e-05
DATA erff<>+44(SB)/4, $0xb95fbd29 // -0.000213374055278905
DATA erff<>+48(SB)/4, $0xbadc924e // -0.00168282697438203
DATA erff<>+52(SB)/4, $0xbbf19bf8 // -0.00737332916720468
DATA erff<>+56(SB)/4, $0xbc69b6a7 // -0.0142647390514189
DATA erff<>+60(SB)/4, $0x3f000000 // 0.5
GLOBL erff<>(SB), RODATA|NOPTR, $64

// Folds the 16 numbers of a register into its lowest, with Y and X of the same
// number and another as scratch.
#define FOLD(op, z, y, x, ty, tx) \
	VEXTRACTF64X4 $1, z, ty       \
	op            ty, y, y        \
	VEXTRACTF128  $1, y, tx       \
	op            tx, x, x        \
	VPERMILPD     $1, x, tx       \
	op            tx, x, x        \
	VMOVSHDUP     x, tx           \
	op            tx, x, x

// func quantizeAvx512(dst *uint8, x, mask *float32, n int) float32
TEXT ·quantizeAvx512(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ mask+16(FP), DX
	MOVQ n+24(FP), CX
	MOVL $0x7fffffff, AX
	VPBROADCASTD AX, Z5
	VPXORD Z0, Z0, Z0
	XORQ BX, BX
largest:
	VMOVUPS (SI)(BX*4), Z1
	VMULPS  (DX)(BX*4), Z1, Z1
	VPANDD  Z5, Z1, Z1
	VMAXPS  Z1, Z0, Z0
	ADDQ    $16, BX
	CMPQ    BX, CX
	JLT     largest
	FOLD(VMAXPS, Z0, Y0, X0, Y1, X1)
	MOVL    $0x42fe0000, AX // 127
	VMOVD   AX, X2
	VDIVSS  X2, X0, X3      // the scale
	VMOVSS  X3, ret+32(FP)
	VXORPS  X4, X4, X4
	VUCOMISS X4, X0
	JEQ     inverse         // of zeros: by zero, not by infinity
	VDIVSS  X0, X2, X4
inverse:
	VBROADCASTSS X4, Z4
	MOVL $0x80, AX
	VPBROADCASTD AX, Z6
	XORQ BX, BX
bytes:
	VMOVUPS   (SI)(BX*4), Z1
	VMULPS    (DX)(BX*4), Z1, Z1
	VMULPS    Z4, Z1, Z1
	VCVTPS2DQ Z1, Z1
	VPXORD    Z6, Z1, Z1
	VPMOVDB   Z1, (DI)(BX*1)
	ADDQ      $16, BX
	CMPQ      BX, CX
	JLT       bytes
	VZEROUPPER
	RET

// func layerNormAvx512(dst, x, gain, bias *float32, n int, eps float32)
TEXT ·layerNormAvx512(SB), NOSPLIT, $0-44
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ gain+16(FP), R8
	MOVQ bias+24(FP), R9
	MOVQ n+32(FP), CX
	VCVTSI2SSQ CX, X9, X9
	VPXORD Z0, Z0, Z0
	XORQ BX, BX
sum:
	VADDPS (SI)(BX*4), Z0, Z0
	ADDQ   $16, BX
	CMPQ   BX, CX
	JLT    sum
	FOLD(VADDPS, Z0, Y0, X0, Y1, X1)
	VDIVSS X9, X0, X0
	VBROADCASTSS X0, Z8     // the mean
	VPXORD Z0, Z0, Z0
	XORQ BX, BX
squares:
	VMOVUPS (SI)(BX*4), Z1
	VSUBPS  Z8, Z1, Z1
	VFMADD231PS Z1, Z1, Z0
	ADDQ    $16, BX
	CMPQ    BX, CX
	JLT     squares
	FOLD(VADDPS, Z0, Y0, X0, Y1, X1)
	VDIVSS  X9, X0, X0
	VADDSS  eps+40(FP), X0, X0
	VSQRTSS X0, X0, X0
	MOVL    $0x3f800000, AX
	VMOVD   AX, X1
	VDIVSS  X0, X1, X1
	VBROADCASTSS X1, Z7
	XORQ BX, BX
write:
	VMOVUPS (SI)(BX*4), Z1
	VSUBPS  Z8, Z1, Z1
	VMULPS  Z7, Z1, Z1
	VMOVUPS (R8)(BX*4), Z2
	VFMADD213PS (R9)(BX*4), Z2, Z1
	VMOVUPS Z1, (DI)(BX*4)
	ADDQ    $16, BX
	CMPQ    BX, CX
	JLT     write
	VZEROUPPER
	RET

// Sets n numbers at SI to exp(x·scale - max), scale in Z10; their sum is in X12, one in
// X30.
#define EXPS \
	VMOVUPS (SI), Z0                 \
	XORQ BX, BX                      \
largest:                                 \
	VMAXPS (SI)(BX*4), Z0, Z0        \
	ADDQ   $16, BX                   \
	CMPQ   BX, CX                    \
	JLT    largest                   \
	FOLD(VMAXPS, Z0, Y0, X0, Y1, X1) \
	VBROADCASTSS X0, Z0              \
	VMULPS Z10, Z0, Z11              \
	VBROADCASTSS expf<>+0(SB), Z20   \
	VBROADCASTSS expf<>+4(SB), Z21   \
	VBROADCASTSS expf<>+8(SB), Z22   \
	VBROADCASTSS expf<>+12(SB), Z23  \
	VBROADCASTSS expf<>+16(SB), Z24  \
	VBROADCASTSS expf<>+20(SB), Z25  \
	VBROADCASTSS expf<>+24(SB), Z26  \
	VBROADCASTSS expf<>+28(SB), Z27  \
	VBROADCASTSS expf<>+32(SB), Z28  \
	VBROADCASTSS expf<>+36(SB), Z29  \
	VBROADCASTSS expf<>+40(SB), Z30  \
	VPXORD Z12, Z12, Z12             \
	XORQ BX, BX                      \
exps:                                    \
	VMOVUPS (SI)(BX*4), Z0           \
	VFMSUB213PS Z11, Z10, Z0         \
	VMAXPS  Z20, Z0, Z0              \
	VMULPS  Z21, Z0, Z1              \
	VRNDSCALEPS $8, Z1, Z1           \
	VFNMADD231PS Z22, Z1, Z0         \
	VFNMADD231PS Z23, Z1, Z0         \
	VMOVAPS Z24, Z2                  \
	VFMADD213PS Z25, Z0, Z2          \
	VFMADD213PS Z26, Z0, Z2          \
	VFMADD213PS Z27, Z0, Z2          \
	VFMADD213PS Z28, Z0, Z2          \
	VFMADD213PS Z29, Z0, Z2          \
	VMULPS  Z0, Z0, Z3               \
	VADDPS  Z30, Z0, Z0              \
	VFMADD213PS Z0, Z3, Z2           \
	VSCALEFPS Z1, Z2, Z2             \
	VADDPS  Z2, Z12, Z12             \
	VMOVUPS Z2, (SI)(BX*4)           \
	ADDQ    $16, BX                  \
	CMPQ    BX, CX                   \
	JLT     exps                     \
	FOLD(VADDPS, Z12, Y12, X12, Y1, X1)

// func softmaxAvx512(x *float32, n int, scale float32)
TEXT ·softmaxAvx512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS scale+16(FP), Z10
	EXPS
	VDIVSS  X12, X30, X12
	VBROADCASTSS X12, Z12
	XORQ BX, BX
divide:
	VMULPS  (SI)(BX*4), Z12, Z0
	VMOVUPS Z0, (SI)(BX*4)
	ADDQ    $16, BX
	CMPQ    BX, CX
	JLT     divide
	VZEROUPPER
	RET

// func softmax16Avx512(dst *int16, x *float32, n int, scale, most float32) float32
TEXT ·softmax16Avx512(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS scale+24(FP), Z10
	EXPS
	VMOVSS  most+28(FP), X1
	VDIVSS  X12, X1, X1     // what keeps the sum of all below most
	MOVL    $0x46fffe00, AX // 32767, for the largest, which is one
	VMOVD   AX, X2
	VMINSS  X2, X1, X1
	VMULSS  X1, X12, X2
	VDIVSS  X2, X30, X2
	VMOVSS  X2, ret+32(FP)
	VBROADCASTSS X1, Z1
	XORQ BX, BX
words:
	VMULPS  (SI)(BX*4), Z1, Z0
	VCVTPS2DQ Z0, Z0
	VPMOVSDW  Z0, (DI)(BX*2)
	ADDQ    $16, BX
	CMPQ    BX, CX
	JLT     words
	VZEROUPPER
	RET

// func quantize16Avx512(dst *int16, x *float32, rows, ld, n int, most float32, scale *float32)
TEXT ·quantize16Avx512(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ rows+16(FP), R8
	MOVQ ld+24(FP), R9
	MOVQ n+32(FP), CX
	VMOVSS most+40(FP), X2
	MOVQ scale+48(FP), R10
	MOVL $0x7fffffff, AX
	VPBROADCASTD AX, Z5
row:
	VPXORD Z0, Z0, Z0
	XORQ BX, BX
largest:
	VPANDD (SI)(BX*4), Z5, Z1
	VMAXPS Z1, Z0, Z0
	ADDQ   $16, BX
	CMPQ   BX, CX
	JLT    largest
	FOLD(VMAXPS, Z0, Y0, X0, Y1, X1)
	VDIVSS X2, X0, X3
	VMOVSS X3, (R10)
	VXORPS X4, X4, X4
	VUCOMISS X4, X0
	JEQ    inverse
	VDIVSS X0, X2, X4
inverse:
	VBROADCASTSS X4, Z4
	XORQ BX, BX
words:
	VMULPS (SI)(BX*4), Z4, Z1
	VCVTPS2DQ Z1, Z1
	VPMOVSDW  Z1, (DI)(BX*2)
	ADDQ   $16, BX
	CMPQ   BX, CX
	JLT    words
	LEAQ   (DI)(CX*2), DI
	ADDQ   R9, SI
	ADDQ   $4, R10
	DECQ   R8
	JNZ    row
	VZEROUPPER
	RET

// func largestAvx512(dst, x *float32, rows, ld int)
TEXT ·largestAvx512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ ld+24(FP), R9
	MOVL $0x7fffffff, AX
	VPBROADCASTD AX, Z5
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
row:
	VPANDD (SI), Z5, Z2
	VPANDD 64(SI), Z5, Z3
	VMAXPS Z2, Z0, Z0
	VMAXPS Z3, Z1, Z1
	ADDQ R9, SI
	DECQ CX
	JNZ  row
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VZEROUPPER
	RET

// func pairsAvx512(dst *int16, x *float32, rows, ld int, factor *float32)
TEXT ·pairsAvx512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ rows+16(FP), CX
	MOVQ ld+24(FP), R9
	MOVQ factor+32(FP), R10
	VMOVUPS (R10), Z6
	VMOVUPS 64(R10), Z7
	MOVL $0xffff, AX
	VPBROADCASTD AX, Z5
pair:
	VMULPS (SI), Z6, Z0
	VMULPS 64(SI), Z7, Z1
	VCVTPS2DQ Z0, Z0
	VCVTPS2DQ Z1, Z1
	VPANDD Z5, Z0, Z0
	VPANDD Z5, Z1, Z1
	CMPQ CX, $1
	JEQ  store              // the last of an odd number
	ADDQ R9, SI
	VMULPS (SI), Z6, Z2
	VMULPS 64(SI), Z7, Z3
	VCVTPS2DQ Z2, Z2
	VCVTPS2DQ Z3, Z3
	VPSLLD $16, Z2, Z2
	VPSLLD $16, Z3, Z3
	VPORD Z2, Z0, Z0
	VPORD Z3, Z1, Z1
store:
	VMOVDQU32 Z0, (DI)
	VMOVDQU32 Z1, 64(DI)
	ADDQ $128, DI
	ADDQ R9, SI
	SUBQ $2, CX
	JGT  pair
	VZEROUPPER
	RET

// GELU of Z0 and Z1, in place: x/2·(1 + erf(x/sqrt 2)).
#define GELU \
	VMULPS Z12, Z0, Z2         \
	VMULPS Z12, Z1, Z3         \
	VMINPS Z13, Z2, Z2         \
	VMINPS Z13, Z3, Z3         \
	VMAXPS Z14, Z2, Z2         \
	VMAXPS Z14, Z3, Z3         \
	VMULPS Z2, Z2, Z4          \
	VMULPS Z3, Z3, Z5          \
	VMOVAPS Z15, Z6            \
	VMOVAPS Z15, Z7            \
	VMOVAPS Z22, Z8            \
	VMOVAPS Z22, Z9            \
	VFMADD213PS Z16, Z4, Z6    \
	VFMADD213PS Z16, Z5, Z7    \
	VFMADD213PS Z23, Z4, Z8    \
	VFMADD213PS Z23, Z5, Z9    \
	VFMADD213PS Z17, Z4, Z6    \
	VFMADD213PS Z17, Z5, Z7    \
	VFMADD213PS Z24, Z4, Z8    \
	VFMADD213PS Z24, Z5, Z9    \
	VFMADD213PS Z18, Z4, Z6    \
	VFMADD213PS Z18, Z5, Z7    \
	VFMADD213PS Z25, Z4, Z8    \
	VFMADD213PS Z25, Z5, Z9    \
	VFMADD213PS Z19, Z4, Z6    \
	VFMADD213PS Z19, Z5, Z7    \
	VFMADD213PS Z26, Z4, Z8    \
	VFMADD213PS Z26, Z5, Z9    \
	VFMADD213PS Z20, Z4, Z6    \
	VFMADD213PS Z20, Z5, Z7    \
	VFMADD213PS Z21, Z4, Z6    \
	VFMADD213PS Z21, Z5, Z7    \
	VMULPS Z2, Z6, Z6          \
	VMULPS Z3, Z7, Z7          \
	VDIVPS Z8, Z6, Z6          \
	VDIVPS Z9, Z7, Z7          \
	VMULPS Z27, Z0, Z0         \
	VMULPS Z27, Z1, Z1         \
	VFMADD213PS Z0, Z6, Z0     \
	VFMADD213PS Z1, Z7, Z1

// func finishAvx512(f *finish)
TEXT ·finishAvx512(SB), NOSPLIT, $0-8
	MOVQ f+0(FP), AX
	MOVQ 0(AX), SI   // tile
	MOVQ 8(AX), R8   // scale of each row
	MOVQ 16(AX), R9  // scale of each column
	MOVQ 24(AX), R10 // bias
	MOVQ 32(AX), R11 // extra
	MOVQ 40(AX), R12 // residual
	MOVQ 48(AX), DI  // dst
	MOVQ 56(AX), CX  // rows
	MOVQ 64(AX), R13 // bytes from a row of the residual to the next
	MOVQ 72(AX), DX  // and of dst
	MOVQ 80(AX), BX  // flags
	VMOVUPS (R10), Z30
	VMOVUPS 64(R10), Z31
	TESTQ $2, BX
	JNZ  gelus
	VMOVUPS (R9), Z28
	VMOVUPS 64(R9), Z29
gelus:
	TESTQ $1, BX
	JZ   row
	VBROADCASTSS erff<>+0(SB), Z12
	VBROADCASTSS erff<>+4(SB), Z13
	VBROADCASTSS erff<>+8(SB), Z14
	VBROADCASTSS erff<>+12(SB), Z15
	VBROADCASTSS erff<>+16(SB), Z16
	VBROADCASTSS erff<>+20(SB), Z17
	VBROADCASTSS erff<>+24(SB), Z18
	VBROADCASTSS erff<>+28(SB), Z19
	VBROADCASTSS erff<>+32(SB), Z20
	VBROADCASTSS erff<>+36(SB), Z21
	VBROADCASTSS erff<>+40(SB), Z22
	VBROADCASTSS erff<>+44(SB), Z23
	VBROADCASTSS erff<>+48(SB), Z24
	VBROADCASTSS erff<>+52(SB), Z25
	VBROADCASTSS erff<>+56(SB), Z26
	VBROADCASTSS erff<>+60(SB), Z27
row:
	VMOVDQU32 (SI), Z0
	VMOVDQU32 64(SI), Z1
	TESTQ $2, BX
	JNZ  floats
	VCVTDQ2PS Z0, Z0
	VCVTDQ2PS Z1, Z1
	VBROADCASTSS (R8), Z2
	VMULPS Z28, Z2, Z3
	VMULPS Z29, Z2, Z4
	VFMADD213PS Z30, Z3, Z0
	VFMADD213PS Z31, Z4, Z1
	ADDQ $4, R8
	TESTQ R11, R11
	JZ   act
	VADDPS (R11), Z0, Z0
	VADDPS 64(R11), Z1, Z1
	ADDQ $128, R11
	JMP  act
floats:
	VADDPS Z30, Z0, Z0
	VADDPS Z31, Z1, Z1
act:
	TESTQ $1, BX
	JZ   residual
	GELU
residual:
	TESTQ R12, R12
	JZ   store
	VADDPS (R12), Z0, Z0
	VADDPS 64(R12), Z1, Z1
	ADDQ R13, R12
store:
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ DX, DI
	ADDQ $128, SI
	DECQ CX
	JNZ  row
	VZEROUPPER
	RET
