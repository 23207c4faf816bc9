#include "textflag.h"

// Instructions that Go's assembler has no names for. Vd is acc, all of four
// words (Arm Architecture Reference Manual, C7.2).
#define SDOT(m, n, d) WORD $(0x4E809400 | (m)<<16 | (n)<<5 | (d))
#define FSUB(m, n, d) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FADD(m, n, d) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define FADDP(m, n, d) WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d))

// See avx512_amd64.s for the shape of the loops over rows. R9 is the row that
// is fetched while R8 is worked on.
#define ahead 4

// func dotU4Neon(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
TEXT ·dotU4Neon(SB), NOSPLIT, $0-56
	MOVD out+0(FP), R0
	MOVD q+8(FP), R1
	MOVD codes+16(FP), R2
	MOVD stride+24(FP), R3
	MOVD rows+32(FP), R4
	MOVD n+40(FP), R5
	MOVD dims+48(FP), R6
	ADD  R5<<2, R4, R13
	SUB  $4, R13
	MOVD $0x0f, R7
	VDUP R7, V31.B16
row4:
	MOVWU (R4), R8
	MADD R3, R2, R8, R8
	ADD  $(ahead*4), R4, R9
	CMP  R13, R9
	CSEL HI, R13, R9, R9
	MOVWU (R9), R9
	MADD R3, R2, R9, R9
	MOVD R1, R10
	MOVD R6, R11
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
step4:
	VLD1.P 64(R8), [V2.B16, V3.B16, V4.B16, V5.B16]
	PRFM (R9), PLDL1KEEP
	ADD  $64, R9
	VLD1.P 64(R10), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1.P 64(R10), [V20.B16, V21.B16, V22.B16, V23.B16]
	VUSHR $4, V2.B16, V24.B16
	VUSHR $4, V3.B16, V25.B16
	VUSHR $4, V4.B16, V26.B16
	VUSHR $4, V5.B16, V27.B16
	VAND V31.B16, V2.B16, V2.B16
	VAND V31.B16, V3.B16, V3.B16
	VAND V31.B16, V4.B16, V4.B16
	VAND V31.B16, V5.B16, V5.B16
	SDOT(16, 2, 0)
	SDOT(17, 3, 1)
	SDOT(18, 4, 0)
	SDOT(19, 5, 1)
	SDOT(20, 24, 0)
	SDOT(21, 25, 1)
	SDOT(22, 26, 0)
	SDOT(23, 27, 1)
	SUBS $128, R11
	BGT  step4
	VADD V1.S4, V0.S4, V0.S4
	VADDV V0.S4, V0
	VMOV V0.S[0], R12
	MOVW.P R12, 4(R0)
	ADD  $4, R4
	SUBS $1, R5
	BNE  row4
	RET

// func dotU8Neon(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
// SDOT wants signs on both sides: a code less 128 has one, and 128 times the
// sum of the query makes up for it.
TEXT ·dotU8Neon(SB), NOSPLIT, $0-56
	MOVD out+0(FP), R0
	MOVD q+8(FP), R1
	MOVD codes+16(FP), R2
	MOVD stride+24(FP), R3
	MOVD rows+32(FP), R4
	MOVD n+40(FP), R5
	MOVD dims+48(FP), R6
	ADD  R5<<2, R4, R13
	SUB  $4, R13
	MOVD $0x80, R7
	VDUP R7, V31.B16
	MOVD $1, R7
	VDUP R7, V30.B16
	VEOR V0.B16, V0.B16, V0.B16
	MOVD R1, R10
	MOVD R6, R11
sum8:
	VLD1.P 64(R10), [V16.B16, V17.B16, V18.B16, V19.B16]
	SDOT(30, 16, 0)
	SDOT(30, 17, 0)
	SDOT(30, 18, 0)
	SDOT(30, 19, 0)
	SUBS $64, R11
	BGT  sum8
	VADDV V0.S4, V0
	VMOV V0.S[0], R14
	LSL  $7, R14
row8:
	MOVWU (R4), R8
	MADD R3, R2, R8, R8
	ADD  $(ahead*4), R4, R9
	CMP  R13, R9
	CSEL HI, R13, R9, R9
	MOVWU (R9), R9
	MADD R3, R2, R9, R9
	MOVD R1, R10
	MOVD R6, R11
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
step8:
	VLD1.P 64(R8), [V2.B16, V3.B16, V4.B16, V5.B16]
	PRFM (R9), PLDL1KEEP
	ADD  $64, R9
	VLD1.P 64(R10), [V16.B16, V17.B16, V18.B16, V19.B16]
	VEOR V31.B16, V2.B16, V2.B16
	VEOR V31.B16, V3.B16, V3.B16
	VEOR V31.B16, V4.B16, V4.B16
	VEOR V31.B16, V5.B16, V5.B16
	SDOT(16, 2, 0)
	SDOT(17, 3, 1)
	SDOT(18, 4, 0)
	SDOT(19, 5, 1)
	SUBS $64, R11
	BGT  step8
	VADD V1.S4, V0.S4, V0.S4
	VADDV V0.S4, V0
	VMOV V0.S[0], R12
	ADD  R14, R12
	MOVW.P R12, 4(R0)
	ADD  $4, R4
	SUBS $1, R5
	BNE  row8
	RET

// func dotF32Neon(a, b *float32, n int) float32
TEXT ·dotF32Neon(SB), NOSPLIT, $0-28
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	FMOVS ZR, F16
	SUBS $16, R2
	BLT  fdrest
fdstep:
	VLD1.P 64(R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V20.S4, V21.S4, V22.S4, V23.S4]
	VFMLA V20.S4, V4.S4, V0.S4
	VFMLA V21.S4, V5.S4, V1.S4
	VFMLA V22.S4, V6.S4, V2.S4
	VFMLA V23.S4, V7.S4, V3.S4
	SUBS $16, R2
	BGE  fdstep
fdrest:
	ADDS $16, R2
	BEQ  fdsum
fdone:
	FMOVS.P 4(R0), F17
	FMOVS.P 4(R1), F18
	FMADDS F17, F16, F18, F16
	SUBS $1, R2
	BNE  fdone
fdsum:
	FADD(1, 0, 0)
	FADD(3, 2, 2)
	FADD(2, 0, 0)
	FADDP(0, 0, 0)
	FADDP(0, 0, 0)
	FADDS F16, F0, F0
	FMOVS F0, ret+24(FP)
	RET

// func l2F32Neon(a, b *float32, n int) float32
TEXT ·l2F32Neon(SB), NOSPLIT, $0-28
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	FMOVS ZR, F16
	SUBS $16, R2
	BLT  flrest
flstep:
	VLD1.P 64(R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V20.S4, V21.S4, V22.S4, V23.S4]
	FSUB(20, 4, 4)
	FSUB(21, 5, 5)
	FSUB(22, 6, 6)
	FSUB(23, 7, 7)
	VFMLA V4.S4, V4.S4, V0.S4
	VFMLA V5.S4, V5.S4, V1.S4
	VFMLA V6.S4, V6.S4, V2.S4
	VFMLA V7.S4, V7.S4, V3.S4
	SUBS $16, R2
	BGE  flstep
flrest:
	ADDS $16, R2
	BEQ  flsum
flone:
	FMOVS.P 4(R0), F17
	FMOVS.P 4(R1), F18
	FSUBS F18, F17, F17
	FMADDS F17, F16, F17, F16
	SUBS $1, R2
	BNE  flone
flsum:
	FADD(1, 0, 0)
	FADD(3, 2, 2)
	FADD(2, 0, 0)
	FADDP(0, 0, 0)
	FADDP(0, 0, 0)
	FADDS F16, F0, F0
	FMOVS F0, ret+24(FP)
	RET
