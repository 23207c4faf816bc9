package ann

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// memChunk is how many rows a chunk of a Mem has.
const (
	memChunk   = 256
	chunkWords = memChunk / 64
)

// Mem is a growing set of vectors in memory. Searches scan the codes of all of
// them, so it is for the some ten thousand that are too fresh for a segment. All methods may be called concurrently.
type Mem struct {
	cfg    Config
	append sync.Mutex
	// n is how many rows there are. A row is written before n says so and never
	// changes after, which is why searches need no lock.
	n       atomic.Int64
	chunks  atomic.Pointer[[]*chunk]
	scratch sync.Pool
}

type chunk struct {
	vectors []float32
	norms   [memChunk]float32
	codes   *codes
}

func newChunk(dim int) *chunk {
	// What the vectors have in common is not known yet: codes are relative to
	// zero, and have eight bits to make up for it.
	c := newCodes(dim, 8, make([]float32, dim))
	c.data = make([]byte, c.size(memChunk))
	return &chunk{vectors: make([]float32, memChunk*dim), codes: c}
}

// NewMem returns an empty Mem.
func NewMem(c Config) (*Mem, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	m := &Mem{cfg: c}
	m.chunks.Store(new([]*chunk))
	m.scratch.New = func() any { return new(scratch) }
	return m, nil
}

// Append adds vectors, which it copies, and returns the row of the first; the
// others follow it. When one of them cannot be stored, none is. Searches that
// begin after it returns see them.
func (m *Mem) Append(vectors ...[]float32) (first int, err error) {
	norms := make([]float32, len(vectors))
	for i, v := range vectors {
		if norms[i], err = m.cfg.query(v); err != nil {
			return 0, atRow(err, i)
		}
	}
	m.append.Lock()
	defer m.append.Unlock()
	first = int(m.n.Load())
	chunks := *m.chunks.Load()
	if need := (first + len(vectors) + memChunk - 1) / memChunk; need > len(chunks) {
		chunks = slices.Clone(chunks)
		for len(chunks) < need {
			chunks = append(chunks, newChunk(m.cfg.Dim))
		}
		m.chunks.Store(&chunks)
	}
	unit, rest := make([]float32, m.cfg.Dim), make([]float32, m.cfg.Dim)
	for i, v := range vectors {
		c, at := chunks[(first+i)/memChunk], (first+i)%memChunk
		copy(c.vectors[at*m.cfg.Dim:], v)
		c.norms[at] = norms[i]
		if m.cfg.Metric == Cosine {
			v = scaled(unit, v, 1/norms[i])
		}
		c.codes.encode(uint32(at), v, rest, m.cfg.Metric) //nolint:gosec // below memChunk
	}
	m.n.Store(int64(first + len(vectors)))
	return first, nil
}

// Len returns the number of rows.
func (m *Mem) Len() int { return int(m.n.Load()) }

// Config returns the dimensions and the metric.
func (m *Mem) Config() Config { return m.cfg }

// Vector appends the vector of row to dst.
func (m *Mem) Vector(dst []float32, row int) ([]float32, error) {
	if n := m.Len(); row < 0 || row >= n {
		return dst, fmt.Errorf("ann: row %d of %d", row, n)
	}
	v, _ := m.vector(*m.chunks.Load(), row)
	return append(dst, v...), nil
}

func (m *Mem) vector(chunks []*chunk, row int) (v []float32, norm float32) {
	c, at := chunks[row/memChunk], row%memChunk
	return c.vectors[at*m.cfg.Dim : (at+1)*m.cfg.Dim], c.norms[at]
}

// Search is [Segment.Search]. What is appended while it runs may be missing.
func (m *Mem) Search(dst []Candidate, query []float32, o SearchOptions) ([]Candidate, error) {
	norm, err := m.cfg.query(query)
	n := m.Len()
	if err != nil || o.K <= 0 || n == 0 {
		return dst, err
	}
	sc := m.scratch.Get().(*scratch) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer m.scratch.Put(sc)
	sc.begin(m.cfg.Metric, query, norm, &o, n)
	defer sc.end(&o)
	chunks := *m.chunks.Load()
	if !o.Exact && o.count(&sc.walk.cost) > exactRows {
		m.scan(sc, &o, chunks)
	} else {
		sc.walk.rows = sc.walk.rows[:0]
		first, end := o.words()
		sc.walk.cost.Words += end - first
		for i := first; i < end; i++ {
			for w := o.allowedWord(i); w != 0; w &= w - 1 {
				sc.walk.rows = append(sc.walk.rows, uint32(i<<6+bits.TrailingZeros64(w))) //nolint:gosec // below n
			}
		}
	}
	sc.best.reset(min(o.K, n))
	sc.walk.cost.Vectors += len(sc.walk.rows)
	for _, row := range sc.walk.rows {
		v, norm := m.vector(chunks, int(row))
		if rank := m.cfg.Metric.rank(sc.of(v, norm)); sc.best.wants(rank) {
			sc.best.push(rank, row)
		}
	}
	return sc.best.appendTo(dst, m.cfg.Metric), nil
}

// scan sets sc.walk.rows to the allowed rows that are best by their codes.
func (m *Mem) scan(sc *scratch, o *SearchOptions, chunks []*chunk) {
	w := &sc.walk
	v := sc.query
	if m.cfg.Metric == Cosine {
		sc.unit = slices.Grow(sc.unit[:0], len(v))
		v = scaled(sc.unit, v, 1/sc.norm)
	}
	chunks[0].codes.query(&w.query, v)
	sc.best.reset(max(mostFinal, finalOfK*o.K))
	first, end := o.words()
	w.cost.Words += end - first
	for i := first / chunkWords; i*chunkWords < end; i++ {
		w.rows = w.rows[:0]
		for at := max(first, i*chunkWords); at < min(end, (i+1)*chunkWords); at++ {
			for word := o.allowedWord(at); word != 0; word &= word - 1 {
				w.rows = append(w.rows, uint32((at-i*chunkWords)<<6+bits.TrailingZeros64(word))) //nolint:gosec // below memChunk
			}
		}
		w.cost.Codes += len(w.rows)
		ranks := w.room()
		chunks[i].codes.rank(ranks, &w.query, w.rows)
		for k, rank := range ranks {
			if sc.best.wants(rank) {
				sc.best.push(rank, uint32(i*memChunk)+w.rows[k]) //nolint:gosec // below the rows
			}
		}
	}
	w.rows = w.rows[:0]
	for _, c := range sc.best.items {
		w.rows = append(w.rows, c.row)
	}
}
