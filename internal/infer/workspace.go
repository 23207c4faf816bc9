package infer

import "github.com/selvage-dev/selvage/internal/infer/kernels"

// scratch is what one member of a team needs for itself.
type scratch struct {
	tile   kernels.Tile
	row    []float32
	keys   []float32
	values []float32
	scores []float32
	// Of attention in 16 bits: one head of one sequence.
	queries16, rows16, keys16, values16, shares []int16
	queryScale, keyScale, valueScale            []float32
	rowScale                                    [kernels.Rows]float32
}

// workspace is the buffers of one batch.
type workspace struct {
	x, y, qkv, up []float32
	in            input
	// observe, if not nil, is told what a linear reads. It is how a model is
	// calibrated.
	observe func(l *linear, x []float32)
}

// rowsOf is how many rows buffers have for n tokens: tiles of four rows are
// the smallest that are efficient, and the last may be filled with anything.
func rowsOf(n int) int { return (n + 3) &^ 3 }

// grow makes room for n tokens.
func (w *workspace) grow(c *config, n int) {
	m := rowsOf(n)
	w.x, w.y = sized(w.x, m*c.hidden), sized(w.y, m*c.hidden)
	w.qkv, w.up = sized(w.qkv, m*3*c.hidden), sized(w.up, m*c.intermediate)
	k := max(c.hidden, c.intermediate)
	w.in.int8, w.in.scale = sized(w.in.int8, m*k), sized(w.in.scale, m)
	w.in.outliers = sized(w.in.outliers, m*(k/leastShare+1))
}

// sized returns a slice of n elements, s if it has room.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// leastShare is the smallest share of [outlierBounds].
const leastShare = 12
