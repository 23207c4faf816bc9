// Package anntest makes vectors for tests and benchmarks of vector search.
package anntest

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync"
)

// The mixture: clusters of very different sizes, whose centres lie in a space of
// few dimensions, each stretched along some directions that it shares with
// others. Embeddings of text look like this; independent coordinates would not,
// and are much harder and much less interesting to search.
const (
	clusters    = 2000
	centerDims  = 64
	shapes      = 64
	directions  = 24
	spread      = 0.35
	noise       = 0.12
	centerDecay = 0.93
	shapeDecay  = 0.9
	blockRows   = 1024
)

// Clustered is an endless table of vectors of length one, of which any part can
// be made without the rest. It depends on dimensions and seed alone.
type Clustered struct {
	dim     int
	seed    uint64
	centers []float32
	shapes  [][]float32
	sums    []float64 // of the clusters' shares
}

// NewClustered prepares a table.
func NewClustered(dim int, seed uint64) *Clustered {
	rng := rand.New(rand.NewPCG(seed, 1<<40)) //nolint:gosec // reproducible on purpose
	c := &Clustered{dim: dim, seed: seed, centers: make([]float32, clusters*dim), shapes: make([][]float32, shapes), sums: make([]float64, clusters)}
	base := normal(rng, centerDims*dim)
	for i := range clusters {
		center, scale := c.centers[i*dim:(i+1)*dim], 1.0
		for j := range centerDims {
			add(center, float32(rng.NormFloat64()*scale/8/math.Sqrt(float64(dim))), base[j*dim:(j+1)*dim])
			scale *= centerDecay
		}
	}
	for i := range c.shapes {
		c.shapes[i] = normal(rng, directions*dim)
		scale := spread / math.Sqrt(float64(dim))
		for j := range directions {
			for k := range dim {
				c.shapes[i][j*dim+k] *= float32(scale)
			}
			scale *= shapeDecay
		}
	}
	sum := 0.0
	for i := range c.sums {
		sum += math.Pow(float64(i+1), -0.7)
		c.sums[i] = sum
	}
	return c
}

// Rows returns rows first to first+n-1, one after the other.
func (c *Clustered) Rows(first, n int) []float32 {
	out := make([]float32, n*c.dim)
	var wg sync.WaitGroup
	blocks := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for b := range blocks {
				c.block(out, first, n, b)
			}
		})
	}
	for b := first / blockRows; b*blockRows < first+n; b++ {
		blocks <- b
	}
	close(blocks)
	wg.Wait()
	return out
}

// block makes the rows of block b that lie among first to first+n-1.
func (c *Clustered) block(out []float32, first, n, b int) {
	rng := rand.New(rand.NewPCG(c.seed, uint64(b))) //nolint:gosec // reproducible on purpose; b is not negative
	row := make([]float32, c.dim)
	for i := range blockRows {
		c.row(rng, row)
		if at := b*blockRows + i - first; at >= 0 && at < n {
			copy(out[at*c.dim:], row)
		}
	}
}

func (c *Clustered) row(rng *rand.Rand, row []float32) {
	share := rng.Float64() * c.sums[clusters-1]
	k := min(sort.SearchFloat64s(c.sums, share), clusters-1)
	copy(row, c.centers[k*c.dim:(k+1)*c.dim])
	shape := c.shapes[k%shapes]
	for j := range directions {
		add(row, float32(rng.NormFloat64()), shape[j*c.dim:(j+1)*c.dim])
	}
	sd := noise / math.Sqrt(float64(c.dim))
	square := 0.0
	for i := range row {
		row[i] += float32(rng.NormFloat64() * sd)
		square += float64(row[i]) * float64(row[i])
	}
	inv := float32(1 / math.Sqrt(square))
	for i := range row {
		row[i] *= inv
	}
}

func normal(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func add(to []float32, scale float32, x []float32) {
	x = x[:len(to)]
	for i := range to {
		to[i] += scale * x[i]
	}
}
