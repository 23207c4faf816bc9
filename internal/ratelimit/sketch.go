package ratelimit

import "math"

const (
	sketchRows = 4
	sketchCols = 1 << 14 // a power of two; with four rows 256 KiB in each shard
)

// sketch counts any number of keys in a fixed space, never too little.
type sketch struct {
	cells [sketchRows][sketchCols]uint32
}

// cell derives the columns of a key from two hashes (Kirsch and Mitzenmacher,
// 2006).
func (s *sketch) cell(id [2]uint64, row int) *uint32 {
	return &s.cells[row][(id[0]>>8+uint64(row)*(id[1]|1))%sketchCols] //nolint:gosec // row is 0 to 3
}

func (s *sketch) count(id [2]uint64) int64 {
	least := uint32(math.MaxUint32)
	for row := range sketchRows {
		least = min(least, *s.cell(id, row))
	}
	return int64(least)
}

// add raises only the cells that are at the key's count ("conservative update"),
// which keeps the overestimate small.
func (s *sketch) add(id [2]uint64, n int64) {
	to := min(s.count(id)+n, math.MaxUint32)
	for row := range sketchRows {
		if c := s.cell(id, row); int64(*c) < to {
			*c = uint32(to) //nolint:gosec // at most MaxUint32, see above
		}
	}
}
