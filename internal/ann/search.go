package ann

import (
	"math/bits"
	"runtime/debug"
)

// scratch is the memory of one search, used again by later ones.
type scratch struct {
	best top
	scorer
}

// Search appends to dst the rows nearest to query, best first, at most o.K of
// them; fewer if fewer are allowed.
func (s *Segment) Search(dst []Candidate, query []float32, o SearchOptions) (_ []Candidate, err error) {
	norm, err := s.cfg.query(query)
	if err != nil || o.K <= 0 || s.n == 0 {
		return dst, err
	}
	if err := s.acquire(); err != nil {
		return dst, err
	}
	defer s.guard(debug.SetPanicOnFault(true), &err)
	sc := s.scratch.Get().(*scratch) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer s.scratch.Put(sc)
	sc.scorer = scorer{metric: s.cfg.Metric, query: query, norm: norm}
	return s.exact(dst, sc, &o)
}

// exact compares the query with every allowed row.
func (s *Segment) exact(dst []Candidate, sc *scratch, o *SearchOptions) ([]Candidate, error) {
	sc.best.reset(min(o.K, s.n))
	for i := range s.sound {
		for w := o.allowedWord(i, s.n); w != 0; w &= w - 1 {
			row := uint32(i<<6 + bits.TrailingZeros64(w)) //nolint:gosec // below n
			v, err := s.vector(row)
			if err != nil {
				return dst, err
			}
			if rank := s.cfg.Metric.rank(sc.of(v, s.norms[row])); sc.best.wants(rank) {
				sc.best.push(rank, row)
			}
		}
	}
	return sc.best.appendTo(dst, s.cfg.Metric), nil
}

// appendTo appends what was kept, best first.
func (t *top) appendTo(dst []Candidate, m Metric) []Candidate {
	for _, r := range t.sorted() {
		dst = append(dst, Candidate{Row: r.row, Score: m.rank(r.rank)})
	}
	return dst
}

// query checks a query and returns its length.
func (c Config) query(v []float32) (float32, error) {
	if len(v) != c.Dim {
		return 0, c.Check(v)
	}
	norm, err := c.norm(v)
	return float32(norm), err
}
