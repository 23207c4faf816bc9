package infer

import (
	"math"

	"github.com/selvage-dev/selvage/internal/infer/kernels"
)

// The scoreFloats are how many scores are computed before they are used, so that
// they are still in the cache.
const scoreFloats = 16 << 10

// exactAttention computes one head for one sequence of n tokens: softmax(Q·Kᵀ/√d)·V.
// Rows of qkv are queries, keys and values of all heads, one for each token;
// dst has rows of all heads' results.
func exactAttention(s *scratch, c *config, head, n int, qkv, dst []float32) {
	d, h := c.head(), c.hidden
	ld, padded := 3*h, kernels.Padded(n)
	s.packKeys(n, d, ld, qkv[h+head*d:])
	s.values = sized(s.values, n*d)
	for i := range n {
		copy(s.values[i*d:(i+1)*d], qkv[i*ld+2*h+head*d:])
	}
	block := max(kernels.Rows, scoreFloats/padded/kernels.Rows*kernels.Rows)
	s.scores = sized(s.scores, min(block, n)*padded)
	scale := float32(1 / math.Sqrt(float64(d)))
	for r := 0; r < n; r += block {
		m := min(block, n-r)
		for p := 0; p < padded; p += kernels.Cols {
			kernels.MulFloat32(m, d, qkv[r*ld+head*d:], ld, s.keys[p*d:], kernels.Cols, s.scores[p:], padded)
		}
		for i := range m {
			row := s.scores[i*padded : (i+1)*padded]
			for j := n; j < padded; j++ {
				row[j] = -1e30
			}
			kernels.Softmax(row, scale)
		}
		for p := 0; p < d; p += kernels.Cols {
			kernels.MulFloat32(m, n, s.scores, padded, s.values[p:], d, dst[r*h+head*d+p:], h)
		}
	}
}

// packKeys transposes keys of d channels into panels of [kernels.Cols] tokens.
// Tokens beyond the last are zeros.
func (s *scratch) packKeys(n, d, ld int, keys []float32) {
	padded := kernels.Padded(n)
	s.keys = sized(s.keys, padded*d)
	clear(s.keys[(padded-kernels.Cols)*d:])
	for i := range n {
		row := keys[i*ld : i*ld+d]
		panel := s.keys[i/kernels.Cols*kernels.Cols*d+i%kernels.Cols:]
		for j, v := range row {
			panel[j*kernels.Cols] = v
		}
	}
}
