package ann_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// rows is a source in memory.
type rows [][]float32

func (r rows) Len() int { return len(r) }

func (r rows) Vector(dst []float32, row int) ([]float32, error) { return append(dst, r[row]...), nil }

func randomRows(rng *rand.Rand, n, dim int) rows {
	r := make(rows, n)
	for i := range r {
		r[i] = make([]float32, dim)
		for j := range r[i] {
			r[i][j] = float32(rng.NormFloat64())
		}
	}
	return r
}

// score is the platform's definition, in float64.
func score(m ann.Metric, a, b []float32) float64 {
	var dot, aa, bb, l2 float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb, l2 = dot+x*y, aa+x*x, bb+y*y, l2+(x-y)*(x-y)
	}
	switch m {
	case ann.Cosine:
		return dot / math.Sqrt(aa*bb)
	case ann.Euclidean:
		return math.Sqrt(l2)
	case ann.DotProduct:
	}
	return dot
}

// nearest is the slow, obvious search.
func nearest(m ann.Metric, r rows, q []float32, k int, allowed func(row int) bool) []ann.Candidate {
	var all []ann.Candidate
	for i, v := range r {
		if allowed == nil || allowed(i) {
			all = append(all, ann.Candidate{Row: uint32(i), Score: float32(score(m, q, v))})
		}
	}
	slices.SortFunc(all, func(a, b ann.Candidate) int {
		if m == ann.Euclidean {
			return cmp.Compare(a.Score, b.Score)
		}
		return cmp.Compare(b.Score, a.Score)
	})
	return all[:min(k, len(all))]
}

// build makes and opens a segment that is closed with the test.
func build(tb testing.TB, c ann.Config, src ann.Source) *ann.Segment {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "segment")
	if err := ann.Build(tb.Context(), fsx.FS{}, path, c, src); err != nil {
		tb.Fatal(err)
	}
	return openSegment(tb, path)
}

func openSegment(tb testing.TB, path string) *ann.Segment {
	tb.Helper()
	s, err := ann.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

type searcher interface {
	Search(dst []ann.Candidate, query []float32, o ann.SearchOptions) ([]ann.Candidate, error)
}

func search(tb testing.TB, s searcher, q []float32, o ann.SearchOptions) []ann.Candidate {
	tb.Helper()
	got, err := s.Search(nil, q, o)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// same fails unless both have the same rows with scores equal to 1e-4. Rows
// whose scores are that close may stand in either order.
func same(tb testing.TB, got, want []ann.Candidate) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%d answers, wanted %d", len(got), len(want))
	}
	for i := range got {
		if d := math.Abs(float64(got[i].Score - want[i].Score)); d > 1e-4*max(1, math.Abs(float64(want[i].Score))) {
			tb.Errorf("answer %d is row %d with %g, wanted row %d with %g", i, got[i].Row, got[i].Score, want[i].Row, want[i].Score)
		}
	}
}

var metrics = []ann.Metric{ann.Cosine, ann.Euclidean, ann.DotProduct}

func TestExact(t *testing.T) {
	for _, dim := range []int{1, 3, 32, 100, 1536} {
		for _, m := range metrics {
			rng := rand.New(rand.NewPCG(uint64(dim), uint64(m)))
			r := randomRows(rng, 700, dim)
			c := ann.Config{Dim: dim, Metric: m}
			mem, err := ann.NewMem(c)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := mem.Append(r...); err != nil {
				t.Fatal(err)
			}
			filter, deleted := ann.NewBitmap(len(r)), ann.NewBitmap(len(r))
			for i := range r {
				if rng.IntN(3) == 0 {
					filter.Set(uint32(i))
				}
				if rng.IntN(5) == 0 {
					deleted.Set(uint32(i))
				}
			}
			for _, s := range []searcher{build(t, c, r), mem} {
				for range 10 {
					q := randomRows(rng, 1, dim)[0]
					same(t, search(t, s, q, ann.SearchOptions{K: 10, Exact: true}), nearest(m, r, q, 10, nil))
					same(t, search(t, s, q, ann.SearchOptions{K: 20, Exact: true, Filter: filter, Deleted: deleted}),
						nearest(m, r, q, 20, func(i int) bool { return filter.Has(uint32(i)) && !deleted.Has(uint32(i)) }))
				}
				same(t, search(t, s, r[0], ann.SearchOptions{K: 5000, Exact: true}), nearest(m, r, r[0], 5000, nil))
			}
		}
	}
}

func TestEmptySegment(t *testing.T) {
	s := build(t, ann.Config{Dim: 4, Metric: ann.Cosine}, rows{})
	if got := search(t, s, []float32{1, 2, 3, 4}, ann.SearchOptions{K: 3}); len(got) != 0 {
		t.Errorf("an empty segment answered %v", got)
	}
}

func TestRefusedVectors(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	c := ann.Config{Dim: 2, Metric: ann.Cosine}
	mem, err := ann.NewMem(c)
	if err != nil {
		t.Fatal(err)
	}
	s := build(t, c, rows{{1, 2}})
	for _, bad := range [][]float32{{1}, {1, 2, 3}, {0, 0}, {inf, 1}, {nan, 1}, {1e30, 1}, nil} {
		path := filepath.Join(t.TempDir(), "refused")
		_, appended := mem.Append([]float32{1, 2}, bad)
		_, asked := s.Search(nil, bad, ann.SearchOptions{K: 1})
		for what, err := range map[string]error{
			"Build": ann.Build(t.Context(), fsx.FS{}, path, c, rows{{1, 2}, bad}), "Append": appended, "Search": asked, "Check": c.Check(bad),
		} {
			var v *ann.VectorError
			if !errors.As(err, &v) || (what == "Build" || what == "Append") && v.Row != 1 {
				t.Errorf("%s of %v: %v", what, bad, err)
			}
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("a refused build left %v", left)
		}
	}
	if mem.Len() != 0 {
		t.Errorf("%d rows of refused batches were added", mem.Len())
	}
	// Zero has a distance and a dot product.
	if err := (ann.Config{Dim: 2, Metric: ann.Euclidean}).Check([]float32{0, 0}); err != nil {
		t.Error(err)
	}
}

func TestVectorsAsGiven(t *testing.T) {
	r := rows{{1, 2, 3}, {1e-8, -4, 5}, {7e7, 0, -0.5}}
	s := build(t, ann.Config{Dim: 3, Metric: ann.DotProduct}, r)
	for i := range r {
		got, err := s.Vector(nil, i)
		if err != nil || !slices.Equal(got, r[i]) {
			t.Errorf("row %d is %v (%v), wanted %v", i, got, err, r[i])
		}
	}
	for _, row := range []int{-1, 3} {
		if _, err := s.Vector(nil, row); err == nil {
			t.Errorf("row %d was given", row)
		}
	}
}

func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	c := ann.Config{Dim: 24, Metric: ann.Euclidean}
	a, b := randomRows(rng, 300, c.Dim), randomRows(rng, 200, c.Dim)
	deleted := ann.NewBitmap(len(a))
	for i := 0; i < len(a); i += 7 {
		deleted.Set(uint32(i))
	}
	mem, err := ann.NewMem(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mem.Append(b...); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "merged")
	if err := ann.Merge(t.Context(), fsx.FS{}, path, c, ann.Input{From: build(t, c, a), Deleted: deleted}, ann.Input{From: mem}); err != nil {
		t.Fatal(err)
	}
	var want rows
	for i, v := range a {
		if !deleted.Has(uint32(i)) {
			want = append(want, v)
		}
	}
	want = append(want, b...)
	s := openSegment(t, path)
	if s.Len() != len(want) {
		t.Fatalf("%d rows, wanted %d", s.Len(), len(want))
	}
	for i, v := range want {
		if got, err := s.Vector(nil, i); err != nil || !slices.Equal(got, v) {
			t.Fatalf("row %d differs (%v)", i, err)
		}
	}
	if err := ann.Merge(t.Context(), fsx.FS{}, path, ann.Config{Dim: 24, Metric: ann.Cosine}, ann.Input{From: s}); err == nil {
		t.Error("a segment of another metric was merged")
	}
}

func TestCanceledBuildLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	dir := t.TempDir()
	err := ann.Build(ctx, fsx.FS{}, filepath.Join(dir, "s"), ann.Config{Dim: 2, Metric: ann.Cosine}, rows{{1, 2}})
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

func TestCloseWaitsForSearches(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	c := ann.Config{Dim: 64, Metric: ann.Cosine}
	r := randomRows(rng, 2000, c.Dim)
	s := build(t, c, r)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for {
				got, err := s.Search(nil, r[i], ann.SearchOptions{K: 1, Exact: true})
				if errors.Is(err, ann.ErrClosed) {
					return
				}
				if err != nil || got[0].Row != uint32(i) {
					t.Errorf("found %v (%v), wanted row %d", got, err, i)
					return
				}
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if _, err := s.Vector(nil, 0); !errors.Is(err, ann.ErrClosed) {
		t.Errorf("a closed segment gave a vector (%v)", err)
	}
}

func TestMemBesideAppends(t *testing.T) {
	c := ann.Config{Dim: 8, Metric: ann.Euclidean}
	mem, err := ann.NewMem(c)
	if err != nil {
		t.Fatal(err)
	}
	r := randomRows(rand.New(rand.NewPCG(3, 3)), 3000, c.Dim)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				n := mem.Len()
				if n > 0 {
					got, err := mem.Search(nil, r[n-1], ann.SearchOptions{K: 1})
					if err != nil || len(got) != 1 || got[0].Score != 0 {
						t.Errorf("row %d was appended and the search gave %v (%v)", n-1, got, err)
						return
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i, v := range r {
		first, err := mem.Append(v)
		if err != nil || first != i {
			t.Fatalf("row %d (%v), wanted %d", first, err, i)
		}
	}
	close(done)
	wg.Wait()
}
