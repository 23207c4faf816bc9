package simd

import "fmt"

// Block is the number of dimensions that codes come in. Queries and codes are
// padded to whole blocks. Of 4-bit codes, byte i of the 64 of a block has
// dimension i in its low half and dimension 64+i in its high half.
const Block = 128

// DotF32 returns the sum of a[i]*b[i]. It panics if b is shorter than a.
func DotF32(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	b = b[:len(a)]
	return active.dotF32(&a[0], &b[0], len(a))
}

// L2F32 returns the sum of (a[i]-b[i])². It panics if b is shorter than a.
func L2F32(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	b = b[:len(a)]
	return active.l2F32(&a[0], &b[0], len(a))
}

// DotU8Rows sets out[i] to the sum over j of q[j] times byte j of row rows[i]:
// rows have len(q) bytes. It panics if len(q) is not whole blocks. Up to 65536
// dimensions cannot overflow.
func DotU8Rows(out []int32, q []int8, codes []byte, stride int, rows []uint32) {
	if len(rows) == 0 {
		return
	}
	check(len(q), len(codes), len(q), stride, rows)
	active.dotU8(&out[:len(rows)][0], &q[0], &codes[0], stride, &rows[0], len(rows), len(q))
}

// DotU4Rows is DotU8Rows for 4-bit codes: rows have len(q)/2 bytes.
func DotU4Rows(out []int32, q []int8, codes []byte, stride int, rows []uint32) {
	if len(rows) == 0 {
		return
	}
	check(len(q), len(codes), len(q)/2, stride, rows)
	active.dotU4(&out[:len(rows)][0], &q[0], &codes[0], stride, &rows[0], len(rows), len(q))
}

// Level names the instructions in use: "avx512", "avx2", "neon" or "portable".
func Level() string { return active.name }

// check panics unless dims are whole blocks and every row of size bytes lies
// within data of n bytes.
func check(dims, n, size, stride int, rows []uint32) {
	if dims == 0 || dims%Block != 0 {
		panic(fmt.Sprintf("simd: %d dimensions are not whole blocks of %d", dims, Block))
	}
	var last uint32
	for _, r := range rows {
		last = max(last, r)
	}
	if stride < 0 || int(last)*stride+size > n {
		panic(fmt.Sprintf("simd: row %d of %d bytes ends beyond %d bytes of data", last, size, n))
	}
}
