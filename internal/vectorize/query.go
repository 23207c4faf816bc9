package vectorize

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
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
	found := x.searchMemory(q, vector, f)
	parts := x.snapshot()
	x.mu.RUnlock()
	stored, err := x.searchParts(q, parts, vector, f, meta)
	if err := errors.Join(err, parts.release()); err != nil {
		return nil, corrupt(x.name, err)
	}
	return x.matches(q, meta, append(found, stored...)), nil
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

func unit(v []float32) []float32 {
	scale := float32(1 / norm(v))
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = x * scale
	}
	return out
}

// scored is a vector that was found, with its exact distance.
type scored struct {
	v    Vector // its own memory
	dist float64
	seq  uint64
}

// searchMemory returns the nearest that are in no segment yet.
func (x *Index) searchMemory(q *Query, vector []float32, f filter) []scored {
	scaled := vector
	if x.Metric == Cosine {
		scaled = unit(vector)
	}
	sources := []*memory{x.mem}
	if x.frozen != nil {
		sources = append(sources, x.frozen)
	}
	t := topk{k: q.TopK}
	for i, m := range sources {
		m.search(scaled, q.Namespace, f, i, &t)
	}
	out := make([]scored, len(t.heap))
	for i, h := range t.heap {
		m := sources[h.source]
		v := m.vector(h.row)
		out[i] = scored{v, x.Metric.exact(vector, v.Values), m.rows[h.row].seq}
		if q.ReturnValues {
			out[i].v.Values = slices.Clone(v.Values) // those in memory move
		} else {
			out[i].v.Values = nil
		}
	}
	return out
}

// searchParts returns the nearest of the segments.
func (x *Index) searchParts(q *Query, ps parts, vector []float32, f filter, meta []MetadataIndex) ([]scored, error) {
	t := topk{k: q.TopK}
	for i := range ps {
		found, err := ps[i].search(vector, q.Namespace, f, meta, q.TopK, q.Exact)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			dist := c.Score
			if x.Metric != Euclidean {
				dist = -dist // the engine's dot product is larger when nearer
			}
			t.push(hit{dist, i, c.Row})
		}
	}
	out := make([]scored, len(t.heap))
	for i, h := range t.heap {
		s := ps[h.source].segment
		v, err := s.vector(h.row, fields{values: true, metadata: q.Metadata == MetadataAll || q.Metadata == MetadataIndexed})
		if err != nil {
			return nil, err
		}
		out[i] = scored{v, x.Metric.exact(vector, v.Values), s.docs.seqs[h.row]}
	}
	return out, nil
}

// matches puts what was found in order and keeps what was asked for.
func (x *Index) matches(q *Query, meta []MetadataIndex, found []scored) []Match {
	slices.SortFunc(found, func(a, b scored) int { return cmp.Or(cmp.Compare(a.dist, b.dist), cmp.Compare(a.v.ID, b.v.ID)) })
	found = found[:min(len(found), q.TopK)]
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
		v, ok := x.inMemory(id)
		if !ok {
			stored[i] = id
			continue
		}
		v.Values = slices.Clone(v.Values)
		out[i] = v
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

// inMemory returns a vector that is in no segment; it shares memory.
func (x *Index) inMemory(id string) (Vector, bool) {
	if row, ok := x.mem.byID[id]; ok {
		return x.mem.vector(row), true
	}
	if x.frozen != nil {
		if row, ok := x.frozen.byID[id]; ok {
			return x.frozen.vector(row), true
		}
	}
	return Vector{}, false
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
