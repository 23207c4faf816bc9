package ann

import (
	"math"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

// scorer computes exact scores of one query.
type scorer struct {
	metric Metric
	query  []float32
	norm   float32
}

// of returns the score of vector v of length norm.
func (s *scorer) of(v []float32, norm float32) float32 {
	switch s.metric {
	case Euclidean:
		return float32(math.Sqrt(float64(simd.L2F32(s.query, v))))
	case Cosine:
		return max(-1, min(1, simd.DotF32(s.query, v)/(s.norm*norm)))
	case DotProduct:
	}
	return simd.DotF32(s.query, v)
}

// rank turns a score into a number of which more is better, and back.
func (m Metric) rank(score float32) float32 {
	if m == Euclidean {
		return -score
	}
	return score
}
