package build

import (
	"math"
	"slices"
)

// sparse is a matrix by its rows.
type sparse [][]cell

type cell struct {
	col int32
	x   float32
}

// widest is the most different words of a bag that is counted. There are few larger ones,
// of entries such as "person", and they would be most of the matrix.
const widest = 150

// mutual returns the positive pointwise mutual information of each two words.
func mutual(bags []bag, words []string) sparse {
	id := make(map[string]int32, len(words))
	for i, w := range words {
		id[w] = int32(i)
	}
	counts := make([]map[int32]float32, len(words))
	for i := range counts {
		counts[i] = map[int32]float32{}
	}
	for _, b := range bags {
		var in []cell
		for w, x := range b {
			if i, ok := id[w]; ok {
				in = append(in, cell{i, min(x, most)})
			}
		}
		if len(in) > widest {
			continue
		}
		norm := float32(1 / math.Sqrt(float64(len(in))))
		for _, p := range in {
			for _, q := range in {
				// A pair comes once for each bag: the order of sums is that of the bags.
				counts[p.col][q.col] += float32(p.x*q.x) * norm
			}
		}
	}
	m := make(sparse, len(words))
	for i, row := range counts {
		m[i] = make([]cell, 0, len(row))
		for col, x := range row {
			m[i] = append(m[i], cell{col, x})
		}
		slices.SortFunc(m[i], func(a, b cell) int { return int(a.col - b.col) })
		counts[i] = nil
	}
	return m.information()
}

// information turns counts into mutual information. Contexts are smoothed with the power
// 0.75, or rare ones would be the strongest.
func (m sparse) information() sparse {
	sums, smooth := make([]float64, len(m)), make([]float64, len(m))
	total := 0.0
	for i, row := range m {
		for _, c := range row {
			sums[i] += float64(c.x)
		}
		smooth[i] = math.Pow(sums[i], 0.75)
		total += smooth[i]
	}
	for i, row := range m {
		kept := row[:0]
		for _, c := range row {
			if v := math.Log(float64(c.x) * total / (sums[i] * smooth[c.col])); v > 0 {
				kept = append(kept, cell{c.col, float32(v)})
			}
		}
		m[i] = kept
	}
	return m
}

// transposed returns the matrix by its columns.
func (m sparse) transposed() sparse {
	t := make(sparse, len(m))
	for i, row := range m {
		for _, c := range row {
			t[c.col] = append(t[c.col], cell{int32(i), c.x})
		}
	}
	return t
}

// times returns the product with a dense matrix of the width l.
func (m sparse) times(x []float32, l int) []float32 {
	y := make([]float32, len(m)*l)
	parallel(len(m), func(from, to int) {
		for i := from; i < to; i++ {
			out := y[i*l : (i+1)*l]
			for _, c := range m[i] {
				in := x[int(c.col)*l : (int(c.col)+1)*l]
				for j := range out {
					out[j] += float32(c.x * in[j])
				}
			}
		}
	})
	return y
}
