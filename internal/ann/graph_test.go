package ann

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/internal/ann/anntest"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// table is a source of vectors that lie one after the other.
type table struct {
	vectors []float32
	dim     int
}

func (f table) Len() int { return len(f.vectors) / f.dim }

func (f table) row(i int) []float32 { return f.vectors[i*f.dim : (i+1)*f.dim] }

func (f table) Vector(dst []float32, i int) ([]float32, error) { return append(dst, f.row(i)...), nil }

// clustered returns n rows as embeddings have them and q queries; with other
// metrics than cosine, of different lengths.
func clustered(m Metric, dim, n, q int) (base, queries table) {
	all := anntest.NewClustered(dim, 3).Rows(0, n+q)
	if m != Cosine {
		rng := rand.New(rand.NewPCG(8, 8))
		for i := range n + q {
			by := float32(math.Exp(0.3 * rng.NormFloat64()))
			for j := range dim {
				all[i*dim+j] *= by
			}
		}
	}
	return table{all[:n*dim], dim}, table{all[n*dim:], dim}
}

func buildTable(tb testing.TB, c Config, src Source) *Segment {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "segment")
	if err := Build(tb.Context(), fsx.FS{}, path, c, src); err != nil {
		tb.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// recall is the share of the exact answers that find gives, over the queries.
func recall(tb testing.TB, s *Segment, queries table, o SearchOptions, find func(q []float32) []Candidate) float64 {
	tb.Helper()
	hits, all := 0, 0
	for i := range queries.Len() {
		exact := o
		exact.Exact = true
		want, err := s.Search(nil, queries.row(i), exact)
		if err != nil {
			tb.Fatal(err)
		}
		got := find(queries.row(i))
		for _, w := range want {
			all++
			// By score: where two are equal, either will do.
			if slices.ContainsFunc(got, func(c Candidate) bool { return math.Abs(float64(c.Score-w.Score)) < 1e-5 }) {
				hits++
			}
		}
	}
	return float64(hits) / float64(all)
}

func searching(tb testing.TB, s *Segment, o SearchOptions) func(q []float32) []Candidate {
	tb.Helper()
	return func(q []float32) []Candidate {
		got, err := s.Search(nil, q, o)
		if err != nil {
			tb.Fatal(err)
		}
		return got
	}
}

// walking follows the graph where Search would rather scan, so that tests need
// not be large.
func walking(tb testing.TB, s *Segment, o SearchOptions) func(q []float32) []Candidate {
	tb.Helper()
	return func(q []float32) []Candidate {
		norm, err := s.cfg.query(q)
		if err != nil {
			tb.Fatal(err)
		}
		sc := new(scratch)
		sc.begin(s.cfg.Metric, q, norm, &o, s.n)
		s.encodeQuery(sc)
		got, err := s.rescore(nil, sc, &o, s.follow(sc, &o, o.count(&sc.walk.cost)), max(mostFinal, finalOfK*o.K))
		if err != nil {
			tb.Fatal(err)
		}
		return got
	}
}

func TestRecall(t *testing.T) {
	for _, c := range []Config{{Dim: 96, Metric: Cosine}, {Dim: 300, Metric: Cosine}, {Dim: 96, Metric: Euclidean}, {Dim: 96, Metric: DotProduct}} {
		t.Run(fmt.Sprint(c.Metric, c.Dim), func(t *testing.T) {
			base, queries := clustered(c.Metric, c.Dim, 3000, 60)
			s := buildTable(t, c, base)
			least := map[int]float64{1: 0.99, 10: 0.99, 100: 0.99}
			if c.Metric != Cosine { // Different lengths are harder.
				least = map[int]float64{1: 0.93, 10: 0.97, 100: 0.98}
			}
			for _, k := range []int{1, 10, 100} {
				o := SearchOptions{K: k}
				r := recall(t, s, queries, o, walking(t, s, o))
				t.Logf("recall at %d: %.3f", k, r)
				if wanted := least[k]; r < wanted {
					t.Errorf("recall at %d is %.3f, wanted %g", k, r, wanted)
				}
			}
		})
	}
}

// TestFilteredWalk filters by rows chosen at random, and by those that are
// farthest from where the queries are.
func TestFilteredWalk(t *testing.T) {
	c := Config{Dim: 64, Metric: Cosine}
	base, queries := clustered(c.Metric, c.Dim, 4000, 30)
	s := buildTable(t, c, base)
	far, err := s.Search(nil, queries.row(0), SearchOptions{K: base.Len(), Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for _, share := range []int{2, 10, 50, 90} {
		random, distant := NewBitmap(base.Len()), NewBitmap(base.Len())
		for i := range base.Len() {
			if rng.IntN(100) < share {
				random.Set(uint32(i))
			}
			if i >= base.Len()*(100-share)/100 {
				distant.Set(far[i].Row)
			}
		}
		for name, f := range map[string]*Bitmap{"random": random, "distant": distant} {
			o := SearchOptions{K: 10, Filter: f}
			r := recall(t, s, queries, o, walking(t, s, o))
			if r < 0.95 {
				t.Errorf("%s %d %%: recall %.3f", name, share, r)
			}
		}
	}
}

// TestDeletedNeighbourhood deletes all rows around a query, which fill what a
// walk finds.
func TestDeletedNeighbourhood(t *testing.T) {
	c := Config{Dim: 48, Metric: Cosine}
	base, queries := clustered(c.Metric, c.Dim, 4000, 5)
	s := buildTable(t, c, base)
	for i := range queries.Len() {
		q := table{queries.row(i), c.Dim}
		near := searching(t, s, SearchOptions{K: 600, Exact: true})(q.vectors)
		o := SearchOptions{K: 10, Deleted: NewBitmap(base.Len())}
		for _, x := range near {
			o.Deleted.Set(x.Row)
		}
		if r := recall(t, s, q, o, walking(t, s, o)); r < 0.9 {
			t.Errorf("query %d: recall %.2f", i, r)
		}
	}
}

// TestEqualVectors has lists of neighbours full of rows that are no farther
// from each other than from anything.
func TestEqualVectors(t *testing.T) {
	c := Config{Dim: 16, Metric: Cosine}
	base, _ := clustered(c.Metric, c.Dim, 3000, 0)
	for i := range 2400 {
		copy(base.row(i), base.row(0))
	}
	s := buildTable(t, c, base)
	var w walk
	s.codes.query(&w.query, base.row(2900))
	s.graph.search(&w, s.codes, s.n, s.n)
	if reached := len(w.best); reached != s.n {
		t.Errorf("a walk that keeps everything met %d of %d rows", reached, s.n)
	}
	if got := searching(t, s, SearchOptions{K: 1})(base.row(2900)); got[0].Row != 2900 {
		t.Errorf("row 2900 is nearest to itself, not %v", got)
	}
}

func TestConcurrentSearches(t *testing.T) {
	c := Config{Dim: 32, Metric: DotProduct}
	base, queries := clustered(c.Metric, c.Dim, graphMinimum+200, 20)
	s := buildTable(t, c, base)
	var want [][]Candidate
	for i := range queries.Len() {
		want = append(want, searching(t, s, SearchOptions{K: 5})(queries.row(i)))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				for i := range queries.Len() {
					got, err := s.Search(nil, queries.row(i), SearchOptions{K: 5})
					if err != nil || !slices.Equal(got, want[i]) {
						t.Errorf("query %d: %v (%v), alone %v", i, got, err, want[i])
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestMemScan has so many fresh rows that their codes are scanned, some of them
// not allowed.
func TestMemScan(t *testing.T) {
	for _, m := range []Metric{Cosine, Euclidean, DotProduct} {
		c := Config{Dim: 200, Metric: m}
		base, queries := clustered(m, c.Dim, 1900, 30)
		mem, err := NewMem(c)
		if err != nil {
			t.Fatal(err)
		}
		deleted := NewBitmap(base.Len())
		for i := range base.Len() {
			if _, err := mem.Append(base.row(i)); err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				deleted.Set(uint32(i))
			}
		}
		s := buildTable(t, c, base)
		o := SearchOptions{K: 10, Deleted: deleted}
		r := recall(t, s, queries, o, func(q []float32) []Candidate {
			got, err := mem.Search(nil, q, o)
			if err != nil {
				t.Fatal(err)
			}
			return got
		})
		if r < 0.99 {
			t.Errorf("%s: recall %.3f", m, r)
		}
	}
}
