//go:build !race

package ann

import "testing"

// TestSearchAllocatesNothing holds the promise of the package comment. The race
// detector allocates by itself, so the runner has a part without it.
func TestSearchAllocatesNothing(t *testing.T) {
	c := Config{Dim: 64, Metric: Cosine}
	base, queries := clustered(c.Metric, c.Dim, scanRows+1000, 20)
	s := buildTable(t, c, base)
	half := NewBitmap(base.Len())
	for i := 0; i < base.Len(); i += 2 {
		half.Set(uint32(i))
	}
	ten := NewBitmap(base.Len())
	for i := 0; i < base.Len(); i += 10 {
		ten.Set(uint32(i))
	}
	dst := make([]Candidate, 0, 100)
	for name, o := range map[string]SearchOptions{
		"walk": {K: 10}, "scan": {K: 10, Filter: half}, "deleted": {K: 10, Deleted: ten}, "exact": {K: 10, Exact: true, Filter: ten},
	} {
		i := 0
		got := testing.AllocsPerRun(200, func() {
			if _, err := s.Search(dst, queries.row(i%queries.Len()), o); err != nil {
				t.Error(err)
			}
			i++
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
