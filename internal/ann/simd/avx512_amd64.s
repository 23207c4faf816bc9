#include "textflag.h"

// The loops over rows share a shape. R13 points at the row that comes `ahead`
// rows later (the last one, near the end), and each step through a row fetches
// the same part of that one: the rows lie anywhere in memory, and it takes some
// of them in flight to hide how long each is under way.

#define ahead 6

// Sets AX to the address of row number (SI), or advances R13 likewise.
#define ROWADDR(ptr, dst) \
	MOVL  (ptr), dst      \
	IMULQ R8, dst         \
	ADDQ  DI, dst

// func dotU4Avx512(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
TEXT ·dotU4Avx512(SB), NOSPLIT, $0-56
	MOVQ out+0(FP), R12
	MOVQ q+8(FP), SI
	MOVQ codes+16(FP), DI
	MOVQ stride+24(FP), R8
	MOVQ rows+32(FP), R9
	MOVQ n+40(FP), R10
	MOVQ dims+48(FP), R11
	LEAQ -4(R9)(R10*4), DX    // last row number
	SHRQ $1, R11              // bytes of a row
	MOVL $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z10

	MOVQ $ahead, CX
	CMPQ CX, R10
	CMOVQGT R10, CX
	MOVQ R9, R14
warm4:
	ROWADDR(R14, AX)
	XORQ BX, BX
warm4row:
	PREFETCHT0 (AX)(BX*1)
	ADDQ $64, BX
	CMPQ BX, R11
	JLT  warm4row
	ADDQ $4, R14
	DECQ CX
	JNZ  warm4

row4:
	ROWADDR(R9, AX)
	LEAQ (ahead*4)(R9), R14
	CMPQ R14, DX
	CMOVQHI DX, R14
	ROWADDR(R14, R13)
	MOVQ SI, BX
	XORQ CX, CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
step4:
	VMOVDQU64 (AX)(CX*1), Z4
	PREFETCHT0 (R13)(CX*1)
	VPANDNQ Z4, Z10, Z5
	VPANDQ Z10, Z4, Z4
	VPDPBUSD (BX), Z4, Z0
	VPDPBUSD 64(BX), Z5, Z1 // 16 times the high halves, where they are
	ADDQ $128, BX
	ADDQ $64, CX
	CMPQ CX, R11
	JLT  step4
	VPSRAD $4, Z1, Z1
	VPADDD Z1, Z0, Z0
	VEXTRACTI64X4 $1, Z0, Y1
	VPADDD Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPADDD X1, X0, X0
	VMOVD X0, (R12)
	ADDQ $4, R12
	ADDQ $4, R9
	DECQ R10
	JNZ  row4
	VZEROUPPER
	RET

// func dotU8Avx512(out *int32, q *int8, codes *byte, stride int, rows *uint32, n, dims int)
TEXT ·dotU8Avx512(SB), NOSPLIT, $0-56
	MOVQ out+0(FP), R12
	MOVQ q+8(FP), SI
	MOVQ codes+16(FP), DI
	MOVQ stride+24(FP), R8
	MOVQ rows+32(FP), R9
	MOVQ n+40(FP), R10
	MOVQ dims+48(FP), R11
	LEAQ -4(R9)(R10*4), DX

	MOVQ $ahead, CX
	CMPQ CX, R10
	CMOVQGT R10, CX
	MOVQ R9, R14
warm8:
	ROWADDR(R14, AX)
	XORQ BX, BX
warm8row:
	PREFETCHT0 (AX)(BX*1)
	ADDQ $64, BX
	CMPQ BX, R11
	JLT  warm8row
	ADDQ $4, R14
	DECQ CX
	JNZ  warm8

row8:
	ROWADDR(R9, AX)
	LEAQ (ahead*4)(R9), R14
	CMPQ R14, DX
	CMOVQHI DX, R14
	ROWADDR(R14, R13)
	XORQ CX, CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
step8:
	VMOVDQU64 (AX)(CX*1), Z4
	VMOVDQU64 64(AX)(CX*1), Z5
	PREFETCHT0 (R13)(CX*1)
	PREFETCHT0 64(R13)(CX*1)
	VPDPBUSD (SI)(CX*1), Z4, Z0
	VPDPBUSD 64(SI)(CX*1), Z5, Z1
	ADDQ $128, CX
	CMPQ CX, R11
	JLT  step8
	VPADDD Z1, Z0, Z0
	VEXTRACTI64X4 $1, Z0, Y1
	VPADDD Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPADDD X1, X0, X0
	VMOVD X0, (R12)
	ADDQ $4, R12
	ADDQ $4, R9
	DECQ R10
	JNZ  row8
	VZEROUPPER
	RET

// func dotF32Avx512(a, b *float32, n int) float32
TEXT ·dotF32Avx512(SB), NOSPLIT, $0-28
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ n+16(FP), CX
	VXORPS Z0, Z0, Z0
	VXORPS Z1, Z1, Z1
	VXORPS Z2, Z2, Z2
	VXORPS Z3, Z3, Z3
	SUBQ $64, CX
	JLT  fdrest
fdstep:
	VMOVUPS (SI), Z4
	VMOVUPS 64(SI), Z5
	VMOVUPS 128(SI), Z6
	VMOVUPS 192(SI), Z7
	VFMADD231PS (DI), Z4, Z0
	VFMADD231PS 64(DI), Z5, Z1
	VFMADD231PS 128(DI), Z6, Z2
	VFMADD231PS 192(DI), Z7, Z3
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $64, CX
	JGE  fdstep
fdrest:
	ADDQ $64, CX
fd16:
	CMPQ CX, $16
	JLT  fdtail
	VMOVUPS (SI), Z4
	VFMADD231PS (DI), Z4, Z0
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JMP  fd16
fdtail:
	MOVL $1, AX                // a mask of CX ones: what lies behind is not read
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1
	VMOVUPS.Z (SI), K1, Z4
	VMOVUPS.Z (DI), K1, Z5
	VFMADD231PS Z5, Z4, Z1
	VADDPS Z1, Z0, Z0
	VADDPS Z3, Z2, Z2
	VADDPS Z2, Z0, Z0
	VEXTRACTF64X4 $1, Z0, Y1
	VADDPS Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS X1, X0, X0
	VPERMILPS $0x4e, X0, X1
	VADDPS X1, X0, X0
	VPERMILPS $0xb1, X0, X1
	VADDSS X1, X0, X0
	VZEROUPPER
	MOVSS X0, ret+24(FP)
	RET

// func l2F32Avx512(a, b *float32, n int) float32
TEXT ·l2F32Avx512(SB), NOSPLIT, $0-28
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DI
	MOVQ n+16(FP), CX
	VXORPS Z0, Z0, Z0
	VXORPS Z1, Z1, Z1
	VXORPS Z2, Z2, Z2
	VXORPS Z3, Z3, Z3
	SUBQ $64, CX
	JLT  flrest
flstep:
	VMOVUPS (SI), Z4
	VMOVUPS 64(SI), Z5
	VMOVUPS 128(SI), Z6
	VMOVUPS 192(SI), Z7
	VSUBPS (DI), Z4, Z4
	VSUBPS 64(DI), Z5, Z5
	VSUBPS 128(DI), Z6, Z6
	VSUBPS 192(DI), Z7, Z7
	VFMADD231PS Z4, Z4, Z0
	VFMADD231PS Z5, Z5, Z1
	VFMADD231PS Z6, Z6, Z2
	VFMADD231PS Z7, Z7, Z3
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $64, CX
	JGE  flstep
flrest:
	ADDQ $64, CX
fl16:
	CMPQ CX, $16
	JLT  fltail
	VMOVUPS (SI), Z4
	VSUBPS (DI), Z4, Z4
	VFMADD231PS Z4, Z4, Z0
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JMP  fl16
fltail:
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1
	VMOVUPS.Z (SI), K1, Z4
	VMOVUPS.Z (DI), K1, Z5
	VSUBPS Z5, Z4, Z4
	VFMADD231PS Z4, Z4, Z1
	VADDPS Z1, Z0, Z0
	VADDPS Z3, Z2, Z2
	VADDPS Z2, Z0, Z0
	VEXTRACTF64X4 $1, Z0, Y1
	VADDPS Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS X1, X0, X0
	VPERMILPS $0x4e, X0, X1
	VADDPS X1, X0, X0
	VPERMILPS $0xb1, X0, X1
	VADDSS X1, X0, X0
	VZEROUPPER
	MOVSS X0, ret+24(FP)
	RET
