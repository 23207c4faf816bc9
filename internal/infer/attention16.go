package infer

import (
	"math"

	"github.com/selvage-dev/selvage/internal/infer/kernels"
)

const (
	// The mostWord is the largest number of queries, keys and values in 16 bits: products
	// of 128 pairs of them stay below 2^31. Longer heads have smaller ones.
	mostWord = 4095
	// The mostShare bounds the sum of a row of shares, so that their products with values
	// do too, however many tokens there are: (mostShare + tokens/2)·mostWord < 2^31.
	mostShare = 480_000
)

// attention is [exactAttention] with numbers of 16 bits, which are multiplied twice as
// fast: queries and keys have a scale for each token, values one for each channel, shares
// one for each query. These are finer by far than what 8 bits left of the activations
// that they are computed from.
func attention(s *scratch, c *config, head, n int, qkv, dst []float32) {
	d, h := c.head(), c.hidden
	ld, padded := 3*h, kernels.Padded(n)
	s.pack16(n, d, ld, qkv[head*d:], h)
	block := max(kernels.Rows, scoreFloats/padded/kernels.Rows*kernels.Rows)
	s.scores = sized(s.scores, block*padded)
	s.shares = sized(s.shares, kernels.Rows*padded)
	var bias [kernels.Cols]float32
	even := (n + 1) &^ 1
	for r := 0; r < n; r += block {
		m := min(block, n-r)
		s.score16(r, m, n, d, bias[:])
		for i := 0; i < m; i += kernels.Rows {
			rows := min(kernels.Rows, m-i)
			for j := range rows {
				s.rowScale[j] = kernels.Softmax16(s.shares[j*padded:(j+1)*padded], s.scores[(i+j)*padded:(i+j+1)*padded], 1, mostShare)
			}
			for p := 0; p < d; p += kernels.Cols {
				s.tile.Int16(rows, even, s.shares, padded, s.values16[p*even:])
				s.tile.FinishInt8(rows, &kernels.Finish{
					RowScale: s.rowScale[:rows], ColScale: s.valueScale[p : p+kernels.Cols], Bias: bias[:],
					Dst: dst[(r+i)*h+head*d+p:], LdDst: h,
				})
			}
		}
	}
}

// score16 sets scores to those of queries [r, r+m) with all keys.
func (s *scratch) score16(r, m, n, d int, bias []float32) {
	padded := kernels.Padded(n)
	for p := 0; p < padded; p += kernels.Cols {
		for i := 0; i < m; i += kernels.Rows {
			rows := min(kernels.Rows, m-i)
			s.tile.Int16(rows, d, s.queries16[(r+i)*d:], d, s.keys16[p*d:])
			s.tile.FinishInt8(rows, &kernels.Finish{
				RowScale: s.queryScale[r+i : r+i+rows], ColScale: s.keyScale[p : p+kernels.Cols], Bias: bias,
				Dst: s.scores[i*padded+p:], LdDst: padded,
			})
		}
	}
	for i := range m {
		for j := n; j < padded; j++ {
			s.scores[i*padded+j] = -1e30
		}
	}
}

// pack16 makes queries, keys and values of one head ready, which are h channels apart.
func (s *scratch) pack16(n, d, ld int, qkv []float32, h int) {
	padded, even := kernels.Padded(n), (n+1)&^1
	most := float32(min(mostWord, math.Sqrt(math.MaxInt32/float64(d))))
	s.queries16, s.queryScale = sized(s.queries16, n*d), sized(s.queryScale, n)
	kernels.Quantize16(s.queries16, qkv, ld, d, most, s.queryScale)
	root := float32(1 / math.Sqrt(float64(d)))
	for i := range s.queryScale {
		s.queryScale[i] *= root
	}
	s.rows16, s.keys16, s.keyScale = sized(s.rows16, padded*d), sized(s.keys16, padded*d), sized(s.keyScale, padded)
	kernels.Quantize16(s.rows16, qkv[h:], ld, d, most, s.keyScale[:n])
	clear(s.rows16[n*d:])
	clear(s.keyScale[n:])
	kernels.Panels16(s.keys16, s.rows16, d)
	s.values16, s.valueScale = sized(s.values16, even*d), sized(s.valueScale, d)
	for p := 0; p < d; p += kernels.Cols {
		kernels.Values16(s.values16[p*even:], qkv[2*h+p:], n, ld, mostWord, s.valueScale[p:])
	}
}
