package simd

// The portable versions are the definition of what each operation does; those
// in assembly are tested against them.

func dotF32Go(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func l2F32Go(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		d0, d1, d2, d3 := a[i]-b[i], a[i+1]-b[i+1], a[i+2]-b[i+2], a[i+3]-b[i+3]
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(a); i++ {
		d := a[i] - b[i]
		s0 += d * d
	}
	return (s0 + s1) + (s2 + s3)
}

func dotU8Go(q []int8, codes []byte) int32 {
	var s int32
	codes = codes[:len(q)]
	for i, x := range q {
		s += int32(x) * int32(codes[i])
	}
	return s
}

func dotU4Go(q []int8, codes []byte) int32 {
	var s int32
	for b := 0; b < len(q); b += Block {
		lo, hi, c := q[b:b+Block/2], q[b+Block/2:b+Block], codes[b/2:b/2+Block/2]
		for i, x := range c {
			s += int32(lo[i])*int32(x&15) + int32(hi[i])*int32(x>>4)
		}
	}
	return s
}
