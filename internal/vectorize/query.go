package vectorize

import (
	"cmp"
	"encoding/json"
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
	x.mu.RLock()
	defer x.mu.RUnlock()
	if err := f.bind(x.meta); err != nil {
		return nil, err
	}
	vector, err := x.queryVector(q)
	if err != nil {
		return nil, err
	}
	scaled := vector
	if x.Metric == Cosine {
		scaled = unit(vector)
	}
	t := topk{k: q.TopK}
	x.mem.search(scaled, q.Namespace, f, 0, &t)
	return x.matches(q, vector, t.heap), nil
}

// queryVector returns the vector that a query is for, which it checks.
func (x *Index) queryVector(q *Query) ([]float32, error) {
	if q.VectorID != "" {
		row, ok := x.mem.byID[q.VectorID]
		if !ok {
			return nil, Fail(CodeNoVector, "vector with id=%q is not in the index", clip(q.VectorID))
		}
		return x.mem.vector(row).Values, nil
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

// matches scores what was found from the stored vectors and puts it in order.
func (x *Index) matches(q *Query, vector []float32, hits []hit) []Match {
	type scored struct {
		v    Vector
		dist float64
		seq  uint64
	}
	found := make([]scored, len(hits))
	for i, h := range hits {
		v := x.mem.vector(h.row)
		found[i] = scored{v, x.Metric.exact(vector, v.Values), x.mem.rows[h.row].seq}
	}
	slices.SortFunc(found, func(a, b scored) int { return cmp.Or(cmp.Compare(a.dist, b.dist), cmp.Compare(a.v.ID, b.v.ID)) })
	out := make([]Match, len(found))
	for i, s := range found {
		m := Match{Vector: s.v, Score: float32(x.Metric.score(s.dist))}
		if q.ReturnValues {
			m.Values = slices.Clone(s.v.Values) // those in memory move
		} else {
			m.Values = nil
		}
		switch q.Metadata {
		case MetadataAll:
		case MetadataIndexed:
			m.Metadata = onlyIndexed(x.meta, s.v.Metadata, s.seq)
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
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]Vector, 0, len(ids))
	for _, id := range ids {
		row, ok := x.mem.byID[id]
		if !ok {
			continue
		}
		v := x.mem.vector(row)
		v.Values = slices.Clone(v.Values)
		out = append(out, v)
	}
	return out, nil
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
