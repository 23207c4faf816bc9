package infer

import "math"

// mean sets v to the average of rows of the same length.
func mean(v, rows []float32) {
	n := len(rows) / len(v)
	for i := 0; i < len(rows); i += len(v) {
		for j, x := range rows[i : i+len(v)] {
			v[j] += x
		}
	}
	for j := range v {
		v[j] /= float32(n)
	}
}

// Normalize scales v to the length 1, unless it is zero.
func Normalize(v []float32) {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		return
	}
	f := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= f
	}
}

// cosine is that of the angle between a and b; mask, if not nil, has a factor for each.
func cosine(a, b, mask []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if mask != nil {
			x, y = x*float64(mask[i]), y*float64(mask[i])
		}
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 && bb == 0 {
		return 1
	}
	return ab / math.Sqrt(aa*bb)
}
