package ann

import (
	"fmt"
	"math"
	"runtime"
)

// MaxDim is the largest number of dimensions.
const MaxDim = 4096

// Metric says what a score is. Values are stored in files.
type Metric uint32

// The metrics, with the score of equal vectors and the order of results.
const (
	Cosine     Metric = 1 // cosine similarity, -1 to 1, best first = highest first
	Euclidean  Metric = 2 // distance (the root, not the square), best first = lowest first
	DotProduct Metric = 3 // dot product, best first = highest first
)

// String returns the platform's name of the metric.
func (m Metric) String() string {
	switch m {
	case Cosine:
		return "cosine"
	case Euclidean:
		return "euclidean"
	case DotProduct:
		return "dot-product"
	}
	return fmt.Sprintf("metric %d", uint32(m))
}

// Better says whether score a is a nearer match than b.
func (m Metric) Better(a, b float32) bool {
	if m == Euclidean {
		return a < b
	}
	return a > b
}

// Config describes the vectors of a segment or a Mem.
type Config struct {
	// Dim is the number of dimensions, 1 to MaxDim.
	Dim int
	// Metric says what nearest means.
	Metric Metric
	// Workers is how many goroutines Build and Merge use at most. 0 means one
	// per core.
	Workers int
	// Flat leaves the graph out of what Build makes: searches scan the codes then,
	// which is for segments of some ten thousand rows that are soon merged.
	Flat bool
}

func (c Config) validate() error {
	if c.Dim < 1 || c.Dim > MaxDim {
		return fmt.Errorf("ann: %d dimensions: must be 1 to %d", c.Dim, MaxDim)
	}
	switch c.Metric {
	case Cosine, Euclidean, DotProduct:
		return nil
	}
	return fmt.Errorf("ann: unknown %s", c.Metric)
}

// Check returns a [*VectorError] if v cannot be stored or asked for: wrong
// number of dimensions, a value that is not finite, or all zero with cosine.
// Values so large that their squares have no float32 sum are refused too, as no
// distance from them could be told.
func (c Config) Check(v []float32) error {
	if len(v) != c.Dim {
		return &VectorError{Reason: fmt.Sprintf("it has %d dimensions, not %d", len(v), c.Dim)}
	}
	_, err := c.norm(v)
	return err
}

// norm returns the length of v.
func (c Config) norm(v []float32) (float64, error) {
	var sum float64
	for i, x := range v {
		sum += float64(x) * float64(x)
		if x-x != 0 {
			return 0, &VectorError{Reason: fmt.Sprintf("value %d is not a finite number", i)}
		}
	}
	switch {
	case sum > math.MaxFloat32/4: // The square of the distance of two such has to be finite.
		return 0, &VectorError{Reason: "its values are too large"}
	case c.Metric == Cosine && sum < 1e-30:
		return 0, &VectorError{Reason: "it has length zero, so it has no direction to compare"}
	}
	return math.Sqrt(sum), nil
}

func (c Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.GOMAXPROCS(0)
}
