package vectorize

import "math"

// dot returns the dot product of two vectors of one length. Four sums run beside
// each other, which keeps the rounding error small too.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
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
	return s0 + s1 + s2 + s3
}

// squared returns the square of the distance between two vectors of one length.
func squared(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
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
	return s0 + s1 + s2 + s3
}

// norm returns the length of a vector. The sum is of 64 bits: squares of large
// values do not fit 32.
func norm(a []float32) float64 {
	var s float64
	for _, x := range a {
		s += float64(x) * float64(x)
	}
	return math.Sqrt(s)
}

// exact returns the distance of v from q by the metric, computed in 64 bits from
// the vectors as they are stored: what scores are made of.
func (m Metric) exact(q, v []float32) float64 {
	var s float64
	switch m {
	case Euclidean:
		for i, x := range q {
			d := float64(x) - float64(v[i])
			s += d * d
		}
		return math.Sqrt(s)
	case Cosine, Dot:
		for i, x := range q {
			s += float64(x) * float64(v[i])
		}
	}
	if m == Cosine {
		if n := norm(q) * norm(v); n > 0 {
			s /= n
		}
		s = max(-1, min(1, s))
	}
	return -s
}

// score is what the caller sees of an exact distance.
func (m Metric) score(dist float64) float64 {
	if m.higher() {
		return -dist
	}
	return dist
}
