package vectorize

import "math"

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
