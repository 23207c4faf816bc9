package vectorize

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/ann"
)

// Level is how much metadata a query returns.
type Level string

// The levels.
const (
	MetadataNone    Level = "none"
	MetadataIndexed Level = "indexed"
	MetadataAll     Level = "all"
)

// Query asks for the nearest vectors.
type Query struct {
	Vector   []float32
	VectorID string // stands in for Vector: that of a vector in the index
	// TopK is how many; 0 means 5.
	TopK         int
	Namespace    *string // nil: all of them
	Filter       json.RawMessage
	ReturnValues bool
	Metadata     Level // "" means none
	// Exact compares with every vector there is; it is ours.
	Exact bool
}

// Match is a vector that was found.
type Match struct {
	Vector // values and metadata as far as they were asked for

	Score float32
}

const defaultTopK = 5

// Query returns the nearest vectors, the nearest first.
func (x *Index) Query(q *Query) ([]Match, error) {
	if err := x.limits.checkQuery(q); err != nil {
		return nil, err
	}
	f, err := x.limits.parseFilter(q.Filter)
	if err != nil {
		return nil, err
	}
	vector, err := x.queryVector(q)
	if err != nil {
		return nil, err
	}
	x.mu.RLock()
	meta := x.meta // never changed in place
	if err := f.bind(meta); err != nil {
		x.mu.RUnlock()
		return nil, err
	}
	views := x.views(q.Namespace, f)
	parts := x.snapshot()
	x.mu.RUnlock()
	found, err := x.search(q, vector, f, meta, views, parts)
	if err := errors.Join(err, parts.release()); err != nil {
		return nil, corrupt(x.name, err)
	}
	return x.matches(q, meta, found), nil
}

// queryVector returns the vector that a query is for, which it checks.
func (x *Index) queryVector(q *Query) ([]float32, error) {
	if q.VectorID != "" {
		found, err := x.get([]string{q.VectorID}, fields{values: true})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, Fail(CodeNoVector, "vector with id=%q is not in the index", clip(q.VectorID))
		}
		return found[0].Values, nil
	}
	if len(q.Vector) != x.Dimensions {
		return nil, Fail(CodeQueryVector, "invalid query vector, expected %d dimensions, and got %d dimensions", x.Dimensions, len(q.Vector))
	}
	if problem := checkValues(x.Metric, q.Vector); problem != "" {
		return nil, Fail(CodeQueryVector, "invalid query vector, %s", problem)
	}
	return q.Vector, nil
}

// scored is a vector that was found, with its exact distance.
type scored struct {
	v    Vector // its own memory
	dist float64
	seq  uint64
}

// hit is a candidate: the smaller its distance, the nearer it is.
type hit struct {
	dist   float32
	source int // below the number of views one of them, else a part
	row    uint32
}

// search returns the nearest of memory and of the segments, in no order.
func (x *Index) search(q *Query, vector []float32, f filter, meta []MetadataIndex, views []memView, ps parts) ([]scored, error) {
	var hits []hit
	add := func(source int, found []ann.Candidate) {
		for _, c := range found {
			dist := c.Score
			if x.Metric != Euclidean {
				dist = -dist // the engine's dot product is larger when nearer
			}
			hits = append(hits, hit{dist, source, c.Row})
		}
	}
	for i := range views {
		found, err := views[i].search(vector, q.TopK, q.Exact)
		if err != nil {
			return nil, err
		}
		add(i, found)
	}
	for i := range ps {
		found, err := ps[i].search(vector, q.Namespace, f, meta, q.TopK, q.Exact)
		if err != nil {
			return nil, err
		}
		add(len(views)+i, found)
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.dist, b.dist) })
	hits = hits[:min(len(hits), q.TopK)]
	out := make([]scored, len(hits))
	want := fields{values: true, metadata: q.Metadata == MetadataAll || q.Metadata == MetadataIndexed}
	for i, h := range hits {
		s := &out[i]
		if h.source < len(views) {
			m := &views[h.source]
			r := &m.rows[h.row]
			s.v, s.seq = vectorOf(m.vectors, r, h.row, want), r.seq
		} else {
			p := ps[h.source-len(views)].segment
			var err error
			if s.v, err = p.vector(h.row, want); err != nil {
				return nil, err
			}
			s.seq = p.docs.seqs[h.row]
		}
		s.dist = x.Metric.exact(vector, s.v.Values)
	}
	return out, nil
}

// matches puts what was found in order and keeps what was asked for.
func (x *Index) matches(q *Query, meta []MetadataIndex, found []scored) []Match {
	slices.SortFunc(found, func(a, b scored) int { return cmp.Or(cmp.Compare(a.dist, b.dist), cmp.Compare(a.v.ID, b.v.ID)) })
	out := make([]Match, len(found))
	for i, s := range found {
		m := Match{Vector: s.v, Score: float32(x.Metric.score(s.dist))}
		if !q.ReturnValues {
			m.Values = nil
		}
		switch q.Metadata {
		case MetadataAll:
		case MetadataIndexed:
			m.Metadata = onlyIndexed(meta, s.v.Metadata, s.seq)
		case MetadataNone, "":
			m.Metadata = nil
		}
		out[i] = m
	}
	return out
}

func (l *Limits) checkQuery(q *Query) error {
	if q.TopK == 0 {
		q.TopK = defaultTopK
	}
	switch {
	case q.TopK < 0:
		return Fail(CodeTopK, "top K must be at least 1, but got %d", q.TopK)
	case q.TopK > l.TopK:
		return Fail(CodeTopK, "max top K is %d, but got %d", l.TopK, q.TopK)
	case (q.ReturnValues || q.Metadata == MetadataAll) && q.TopK > l.TopKFull:
		return Fail(CodeTopK, "with returnValues=true or returnMetadata=all, max top K is %d, but got %d; for a top K up to %d, retry with returnValues=false and returnMetadata=indexed", l.TopKFull, q.TopK, l.TopK)
	case q.Namespace != nil && len(*q.Namespace) > l.NamespaceBytes:
		return Fail(CodeLongNamespace, "namespace too long; max is %d bytes, got %d bytes", l.NamespaceBytes, len(*q.Namespace))
	case len(q.VectorID) > l.IDBytes:
		return Fail(CodeLongID, "id too long; max is %d bytes, got %d bytes", l.IDBytes, len(q.VectorID))
	}
	switch q.Metadata {
	case "", MetadataNone, MetadataIndexed, MetadataAll:
		return nil
	}
	return Fail(CodeBody, "Failed to parse the request body as JSON: returnMetadata: expected \"none\", \"indexed\" or \"all\"")
}

// Get returns the vectors with these ids, in their order, without those that are
// not there.
func (x *Index) Get(ids []string) ([]Vector, error) {
	if err := x.limits.checkIDs(ids, x.limits.GetIDs); err != nil {
		return nil, err
	}
	return x.get(ids, fields{values: true, metadata: true})
}

// get returns vectors; values and metadata are the caller's.
func (x *Index) get(ids []string, want fields) ([]Vector, error) {
	x.mu.RLock()
	out := make([]Vector, len(ids))
	stored := make([]string, len(ids)) // ids that may be in a segment
	for i, id := range ids {
		if m, row, ok := x.inMemory(id); ok {
			out[i] = m.vector(row, want)
		} else {
			stored[i] = id
		}
	}
	parts := x.snapshot()
	x.mu.RUnlock()
	var err error
	for i, id := range stored {
		if at, row, ok := find(parts, id); ok && id != "" && err == nil {
			out[i], err = parts[at].vector(row, want)
		}
	}
	if err := errors.Join(err, parts.release()); err != nil {
		return nil, corrupt(x.name, err)
	}
	return slices.DeleteFunc(out, func(v Vector) bool { return v.ID == "" }), nil
}

// inMemory returns where the vector with the id is if it is in no segment.
func (x *Index) inMemory(id string) (m *memory, row uint32, ok bool) {
	if row, ok := x.mem.byID[id]; ok {
		return x.mem, row, true
	}
	if x.frozen == nil {
		return nil, 0, false
	}
	row, ok = x.frozen.byID[id]
	return x.frozen, row, ok
}

// Stats says what an index holds.
type Stats struct {
	Count     int
	Mutation  uuid.UUID // the last that is visible; nil when there was none
	Processed time.Time // when it came
}

// Stats returns what the index holds.
func (x *Index) Stats() Stats {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return Stats{Count: x.count, Mutation: x.mutation, Processed: x.time}
}
