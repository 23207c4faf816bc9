package ann

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// spaceRows is how many rows a namespace of the tests has.
const spaceRows = 1000

// TestRangeCosts counts what a search does among 1,000 rows that lie somewhere
// in many others: no more than if there were only these.
func TestRangeCosts(t *testing.T) {
	c := Config{Dim: 32, Metric: Cosine, Flat: true}
	all, queries := clustered(c.Metric, c.Dim, 40*spaceRows, 5)
	const first = 17*spaceRows + 13
	end := first + spaceRows
	alone := buildTable(t, c, table{all.vectors[first*c.Dim : end*c.Dim], c.Dim})
	among := buildTable(t, c, all)
	mem, err := NewMem(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all.Len() {
		if _, err := mem.Append(all.row(i)); err != nil {
			t.Fatal(err)
		}
	}
	even, evenAlone := NewBitmapRange(first, end), NewBitmap(spaceRows)
	for i := 0; i < spaceRows; i += 2 {
		even.Set(uint32(first + i))
		evenAlone.Set(uint32(i))
	}
	dead := NewBitmap(all.Len())
	for i := 0; i < all.Len(); i += 3 {
		dead.Set(uint32(i))
	}
	rows := Range{First: first, End: end}
	for name, o := range map[string]struct{ among, alone SearchOptions }{
		"all of it":  {SearchOptions{K: 10, Rows: rows}, SearchOptions{K: 10}},
		"a filter":   {SearchOptions{K: 10, Rows: rows, Filter: even}, SearchOptions{K: 10, Filter: evenAlone}},
		"exact":      {SearchOptions{K: 10, Rows: rows, Exact: true}, SearchOptions{K: 10, Exact: true}},
		"some dead":  {SearchOptions{K: 10, Rows: rows, Deleted: dead}, SearchOptions{K: 10}},
		"one before": {SearchOptions{K: 10, Rows: Range{0, spaceRows}}, SearchOptions{K: 10}},
	} {
		for i := range queries.Len() {
			var few Cost
			o.alone.Cost = &few
			if _, err := alone.Search(nil, queries.row(i), o.alone); err != nil {
				t.Fatal(err)
			}
			for _, s := range []interface {
				Search(dst []Candidate, query []float32, o SearchOptions) ([]Candidate, error)
			}{among, mem} {
				var many Cost
				o.among.Cost = &many
				if _, err := s.Search(nil, queries.row(i), o.among); err != nil {
					t.Fatal(err)
				}
				// A range that begins within a word has one more, which both the count and
				// the scan go through. How many vectors are compared as they are depends on
				// how good their codes are.
				if many.Codes > few.Codes || many.Lists > 0 || many.Words > few.Words+2*(spaceRows/64+2) || many.Vectors > max(few.Vectors, mostFinal) {
					t.Errorf("%s: a search in %T took %+v, where only these rows are %+v", name, s, many, few)
				}
			}
		}
	}
}

// TestRangeAnswers compares what is found in ranges with comparing all of it.
func TestRangeAnswers(t *testing.T) {
	c := Config{Dim: 24, Metric: Euclidean}
	base, queries := clustered(c.Metric, c.Dim, 3000, 3)
	s := buildTable(t, c, base)
	mem, err := NewMem(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range base.Len() {
		if _, err := mem.Append(base.row(i)); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(5, 5))
	for _, r := range []Range{{}, {0, 3000}, {0, 1}, {64, 128}, {63, 65}, {100, 2900}, {2990, 9000}, {7, 7}, {4000, 5000}, {-5, 10}} {
		filter := NewBitmap(base.Len())
		for range 1500 {
			filter.Set(rng.Uint32N(uint32(base.Len())))
		}
		bounded := NewBitmapRange(max(0, r.First), max(r.End, 0))
		for row := range filter.Rows() {
			if int(row) >= r.First && int(row) < r.End {
				bounded.Set(row)
			}
		}
		if r == (Range{}) {
			bounded = filter
		}
		for i := range queries.Len() {
			want := searching(t, s, SearchOptions{K: 10, Filter: bounded, Exact: true})(queries.row(i))
			for what, o := range map[string]SearchOptions{
				"filter of all": {K: 10, Rows: r, Filter: filter}, "filter of the range": {K: 10, Rows: r, Filter: bounded},
				"exact": {K: 10, Rows: r, Filter: filter, Exact: true},
			} {
				if got := searching(t, s, o)(queries.row(i)); !slices.Equal(got, want) {
					t.Errorf("%s, %v: %v, wanted %v", what, r, got, want)
				}
				got, err := mem.Search(nil, queries.row(i), o)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, %v: memory has %v (%v), wanted %v", what, r, got, err, want)
				}
			}
		}
	}
}

// TestBitmapRanges compares sets of different ranges with maps.
func TestBitmapRanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	fill := func() (*Bitmap, map[uint32]bool) {
		first := rng.IntN(400)
		end := first + 1 + rng.IntN(400)
		b, m := NewBitmapRange(first, end), map[uint32]bool{}
		for range rng.IntN(300) {
			row := uint32(first + rng.IntN(end-first))
			b.Set(row)
			m[row] = true
		}
		return b, m
	}
	for range 300 {
		a, am := fill()
		b, bm := fill()
		if len(a.words) > (a.n-a.first)/64+2 {
			t.Fatalf("%d words for %d rows", len(a.words), a.n-a.first)
		}
		first, end := rng.IntN(900), rng.IntN(900)
		if got, want := a.CountRange(first, end), len(slices.DeleteFunc(slices.Collect(maps.Keys(am)), func(r uint32) bool { return int(r) < first || int(r) >= end })); got != want {
			t.Fatalf("%d rows from %d to %d, wanted %d", got, first, end, want)
		}
		switch rng.IntN(4) {
		case 0:
			a.And(b)
			maps.DeleteFunc(am, func(r uint32, _ bool) bool { return !bm[r] })
		case 1:
			a.AndNot(b)
			maps.DeleteFunc(am, func(r uint32, _ bool) bool { return bm[r] })
		case 2:
			a.Or(b)
			for r := range bm {
				if int(r) >= a.first && int(r) < a.n {
					am[r] = true
				}
			}
		case 3:
			a = a.Grow(a.n + 100).Clone()
			a.SetRange(a.n-70, a.n-1)
			for r := a.n - 70; r < a.n-1; r++ {
				am[uint32(r)] = true
			}
		}
		if got, want := slices.Collect(a.Rows()), slices.Sorted(maps.Keys(am)); !slices.Equal(got, want) || a.Count() != len(want) {
			t.Fatalf("rows %v, count %d; wanted %v", got, a.Count(), want)
		}
		for row := range uint32(900) {
			if a.Has(row) != am[row] {
				t.Fatalf("Has(%d) is %v", row, a.Has(row))
			}
		}
	}
}
