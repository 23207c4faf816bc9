package ann

import (
	"math/bits"
	"runtime/debug"
	"slices"
)

// How a search goes about it, by measurement (doc.go).
const (
	exactRows   = 256   // so few are compared as they are
	scanRows    = 10000 // so many have their codes scanned: a walk costs as much
	scanShare   = 100   // and so small a part of the rows, which is thin to walk in
	scanBatch   = 256
	leastEf     = 120
	leastFinal  = 40 // candidates that are compared as they are, at least
	finalOfK    = 3  // and times K
	manyDeleted = 4  // a walk goes around deleted rows if they are a share of 1/4
)

// scratch is the memory of one search, used again by later ones.
type scratch struct {
	best top
	walk walk
	unit []float32
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
	allowed := s.n - o.Deleted.Count()
	if o.Filter != nil {
		allowed = min(s.n, o.Filter.Count())
	}
	if o.Exact || allowed <= exactRows {
		return s.exact(dst, sc, &o)
	}
	s.encodeQuery(sc)
	final := max(leastFinal, finalOfK*o.K)
	if allowed <= max(scanRows, s.n/scanShare) || len(s.graph.links) == 0 {
		return s.rescore(dst, sc, &o, s.scan(sc, &o, final), final)
	}
	return s.rescore(dst, sc, &o, s.follow(sc, &o, allowed), final)
}

// follow returns candidates from the graph, best first. If the walk met too few
// that are allowed, they are from a scan instead.
func (s *Segment) follow(sc *scratch, o *SearchOptions, allowed int) []ranked {
	ef, w := o.Ef, &sc.walk
	if ef <= 0 {
		ef = leastEf + o.K
	}
	ef = max(ef, o.K)
	enough := min(o.K, allowed)
	// A few deleted rows are in the way only where they are many: then the walk
	// is done again around them.
	if o.Filter == nil && (s.n-allowed) < s.n/manyDeleted {
		s.graph.search(w, s.codes, s.n, ef)
		if s.n == allowed || countAllowed(w.best, o, enough) == enough {
			return w.best
		}
	}
	s.graph.searchAllowed(w, s.codes, s.n, ef, o)
	if len(w.best) >= enough {
		return w.best
	}
	return s.scan(sc, o, max(leastFinal, finalOfK*o.K))
}

// countAllowed counts the candidates that may be answers, up to limit.
func countAllowed(from []ranked, o *SearchOptions, limit int) int {
	n := 0
	for _, c := range from {
		if n < limit && o.allowed(c.row&^done) {
			n++
		}
	}
	return n
}

// encodeQuery sets what codes are compared with.
func (s *Segment) encodeQuery(sc *scratch) {
	v := sc.query
	if s.cfg.Metric == Cosine {
		sc.unit = slices.Grow(sc.unit[:0], len(v))
		v = scaled(sc.unit, v, 1/sc.norm)
	}
	s.codes.query(&sc.walk.query, v)
}

// scan returns the best allowed rows by their codes.
func (s *Segment) scan(sc *scratch, o *SearchOptions, keep int) []ranked {
	sc.best.reset(keep)
	w := &sc.walk
	w.rows = w.rows[:0]
	for i := range s.sound {
		for word := o.allowedWord(i, s.n); word != 0; word &= word - 1 {
			w.rows = append(w.rows, uint32(i<<6+bits.TrailingZeros64(word))) //nolint:gosec // below n
		}
		if len(w.rows) >= scanBatch-64 || i == len(s.sound)-1 {
			ranks := w.room()
			s.codes.rank(ranks, &w.query, w.rows)
			for j, rank := range ranks {
				if sc.best.wants(rank) {
					sc.best.push(rank, w.rows[j])
				}
			}
			w.rows = w.rows[:0]
		}
	}
	return sc.best.sorted()
}

// rescore compares the first final of the candidates that are allowed with the
// query as they are.
func (s *Segment) rescore(dst []Candidate, sc *scratch, o *SearchOptions, from []ranked, final int) ([]Candidate, error) {
	w := &sc.walk
	w.rows = w.rows[:0]
	for _, c := range from {
		row := c.row &^ done
		if !o.allowed(row) {
			continue
		}
		w.rows = append(w.rows, row)
		if len(w.rows) == final {
			break
		}
	}
	sc.best.reset(min(o.K, s.n))
	for _, row := range w.rows {
		v, err := s.vector(row)
		if err != nil {
			return dst, err
		}
		if rank := s.cfg.Metric.rank(sc.of(v, s.norms[row])); sc.best.wants(rank) {
			sc.best.push(rank, row)
		}
	}
	return sc.best.appendTo(dst, s.cfg.Metric), nil
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
