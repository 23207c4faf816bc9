package ann_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/selvage-dev/selvage/internal/ann"
)

// TestBitmapAgainstMap compares random operations with those of a map.
func TestBitmapAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for _, n := range []int{1, 63, 64, 65, 1000} {
		fill := func() (*ann.Bitmap, map[uint32]bool) {
			b, m := ann.NewBitmap(n), map[uint32]bool{}
			for range n / 2 {
				row := rng.Uint32N(uint32(n))
				if b.Set(row) == m[row] {
					t.Fatalf("Set(%d) said it was missing wrongly", row)
				}
				m[row] = true
			}
			return b, m
		}
		for range 50 {
			a, am := fill()
			b, bm := fill()
			row := rng.Uint32N(uint32(n))
			if a.Unset(row) != am[row] {
				t.Fatalf("Unset(%d) said it was there wrongly", row)
			}
			delete(am, row)
			switch rng.IntN(5) {
			case 0:
				a.And(b)
				maps.DeleteFunc(am, func(r uint32, _ bool) bool { return !bm[r] })
			case 1:
				a.AndNot(b)
				maps.DeleteFunc(am, func(r uint32, _ bool) bool { return bm[r] })
			case 2:
				a.Or(b)
				maps.Copy(am, bm)
			case 3:
				end := rng.IntN(n + 1)
				first := rng.IntN(end + 1)
				a.SetRange(first, end)
				for r := first; r < end; r++ {
					am[uint32(r)] = true
				}
			case 4:
				a = a.Grow(2 * n)
				a.Set(uint32(2*n - 1))
				am[uint32(2*n-1)] = true
			}
			if got, want := slices.Collect(a.Rows()), slices.Sorted(maps.Keys(am)); !slices.Equal(got, want) || a.Count() != len(want) {
				t.Fatalf("of %d: rows %v, count %d; wanted %v", n, got, a.Count(), want)
			}
		}
		all := ann.NewBitmap(n)
		all.SetAll()
		if all.Count() != n || len(slices.Collect(all.Rows())) != n || all.Has(uint32(n)) {
			t.Errorf("SetAll of %d has %d", n, all.Count())
		}
	}
}
