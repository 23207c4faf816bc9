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

// normalize scales v to the length 1, unless it is zero.
func normalize(v []float32) {
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
