package ann

import (
	"math"
	"math/bits"
	"runtime/debug"
	"slices"
	"unsafe"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

// How a search goes about it, by measurement (doc.go).
const (
	exactRows   = 256   // so few are compared as they are
	scanRows    = 10000 // so many have their codes scanned: a walk costs as much
	scanShare   = 100   // and so small a part of the rows, which is thin to walk in
	scanBatch   = 256
	leastEf     = 120
	mostFinal   = 64 // candidates that are compared as they are, at most
	finalOfK    = 4  // or times K
	leastFinal  = 8  // and at least
	deviations  = 3  // by how many standard deviations an estimate may be off
	rowsAhead   = 2  // vectors that are fetched before they are needed
	expectBytes = 512
	manyDeleted = 4 // a walk goes around deleted rows if they are a share of 1/4
)

// scratch is the memory of one search, used again by later ones.
type scratch struct {
	best top
	walk walk
	unit []float32
	scorer
}

// begin prepares for a search, one of n rows by o.
func (sc *scratch) begin(m Metric, query []float32, norm float32, o *SearchOptions, n int) {
	sc.scorer = scorer{metric: m, query: query, norm: norm}
	sc.walk.cost = Cost{}
	o.within(n)
}

// end tells what the search did.
func (sc *scratch) end(o *SearchOptions) {
	if o.Cost != nil {
		c := &sc.walk.cost
		o.Cost.Vectors += c.Vectors
		o.Cost.Codes += c.Codes
		o.Cost.Lists += c.Lists
		o.Cost.Words += c.Words
	}
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
	sc.begin(s.cfg.Metric, query, norm, &o, s.n)
	defer sc.end(&o)
	allowed := o.count(&sc.walk.cost)
	if o.Exact || allowed <= exactRows {
		return s.exact(dst, sc, &o)
	}
	s.encodeQuery(sc)
	final := max(mostFinal, finalOfK*o.K)
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
	return s.scan(sc, o, max(mostFinal, finalOfK*o.K))
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
	first, end := o.words()
	w.cost.Words += end - first
	for i := first; i < end; i++ {
		for word := o.allowedWord(i); word != 0; word &= word - 1 {
			w.rows = append(w.rows, uint32(i<<6+bits.TrailingZeros64(word))) //nolint:gosec // below n
		}
		if len(w.rows) >= scanBatch-64 || i == end-1 {
			w.cost.Codes += len(w.rows)
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

// rescore compares the candidates that are allowed with the query as they are:
// the first of them, and of the others, up to final, those that may still be
// better by what their estimates were worth so far.
func (s *Segment) rescore(dst []Candidate, sc *scratch, o *SearchOptions, from []ranked, final int) ([]Candidate, error) {
	w := &sc.walk
	w.near = w.near[:0]
	for _, c := range from {
		if c.row &^= done; o.allowed(c.row) {
			w.near = append(w.near, c)
			if len(w.near) == final {
				break
			}
		}
	}
	sc.best.reset(min(o.K, s.n))
	var errs spread
	for i, c := range w.near {
		if i >= o.K && i >= leastFinal && c.rank+errs.most() < s.cfg.Metric.estimate(sc.best.items[0].rank) {
			break
		}
		if i+rowsAhead < len(w.near) {
			s.expect(w.near[i+rowsAhead].row)
		}
		w.cost.Vectors++
		v, err := s.vector(c.row)
		if err != nil {
			return dst, err
		}
		rank := s.cfg.Metric.rank(sc.of(v, s.norms[c.row]))
		errs.add(s.cfg.Metric.estimate(rank) - c.rank)
		if sc.best.wants(rank) {
			sc.best.push(rank, c.row)
		}
	}
	return sc.best.appendTo(dst, s.cfg.Metric), nil
}

// expect fetches the beginning of a vector; the processor sees the rest coming.
func (s *Segment) expect(row uint32) {
	at := int(row) * s.cfg.Dim
	simd.Prefetch(unsafe.Pointer(&s.vectors[at]), min(4*s.cfg.Dim, expectBytes)) //nolint:gosec // a row
}

// estimate turns a rank into what codes estimate, but for a number that is the
// same for all rows.
func (m Metric) estimate(rank float32) float32 {
	if m == Euclidean {
		return -rank * rank / 2
	}
	return rank
}

// spread is how much estimates differ from what is true.
type spread struct {
	n, sum, squares float32
}

func (s *spread) add(x float32) {
	s.n++
	s.sum += x
	s.squares += x * x
}

// most returns what is to be added to an estimate so that hardly ever more is
// true.
func (s *spread) most() float32 {
	mean := s.sum / s.n
	return mean + deviations*float32(math.Sqrt(float64(max(0, s.squares/s.n-mean*mean))))
}

// exact compares the query with every allowed row.
func (s *Segment) exact(dst []Candidate, sc *scratch, o *SearchOptions) ([]Candidate, error) {
	sc.best.reset(min(o.K, s.n))
	first, end := o.words()
	sc.walk.cost.Words += end - first
	for i := first; i < end; i++ {
		for w := o.allowedWord(i); w != 0; w &= w - 1 {
			sc.walk.cost.Vectors++
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
