package vectorize

import "github.com/selvage-dev/selvage/internal/ann"

// memory holds the vectors that are in no segment yet. It is guarded by Index.mu,
// except for what a memView has of it.
type memory struct {
	vectors *ann.Mem
	rows    []memRow // of vectors
	byID    map[string]uint32
	spaces  map[string][]uint32 // the rows of each namespace, those that are gone too
	dead    *ann.Bitmap         // the rows that are gone
	bytes   int64               // about what it takes up
}

// memRow is what belongs to a row beside its vector. All but values and gone are
// never changed once the row is there.
type memRow struct {
	id       string
	ns       string
	metadata []byte
	seq      uint64   // of the mutation that brought it
	values   []scalar // of the metadata indexes
	gone     bool
}

// newMemory returns an empty memory for an index of this configuration.
func newMemory(c *Config) (*memory, error) {
	vectors, err := ann.NewMem(ann.Config{Dim: c.Dimensions, Metric: c.Metric.ann()})
	if err != nil {
		return nil, err
	}
	return &memory{vectors: vectors, byID: make(map[string]uint32), spaces: make(map[string][]uint32), dead: ann.NewBitmap(0)}, nil
}

// put adds a vector whose id is not there.
func (m *memory) put(v *Vector, seq uint64, values []scalar) error {
	row, err := m.vectors.Append(v.Values)
	if err != nil {
		return err
	}
	at := uint32(row) //nolint:gosec // memory is flushed long before
	m.rows = append(m.rows, memRow{id: v.ID, ns: v.Namespace, metadata: v.Metadata, seq: seq, values: values})
	m.byID[v.ID] = at
	m.spaces[v.Namespace] = append(m.spaces[v.Namespace], at)
	m.bytes += int64(4*len(v.Values) + len(v.Metadata) + len(v.ID) + len(v.Namespace) + rowOverhead)
	return nil
}

const rowOverhead = 160 // bytes of a row and its map entry, about

// remove takes a vector away and reports whether it was there. Its row stays: a
// segment may be made of it, or a query be reading it.
func (m *memory) remove(id string) (ns string, ok bool) {
	row, ok := m.byID[id]
	if !ok {
		return "", false
	}
	delete(m.byID, id)
	if int(row) >= m.dead.Len() {
		m.dead = m.dead.Grow(2 * len(m.rows))
	}
	m.dead.Set(row)
	r := &m.rows[row]
	r.gone = true
	return r.ns, true
}

// vector returns what is stored in a row. Values are the caller's, the rest is shared.
func (m *memory) vector(row uint32, want fields) Vector {
	return vectorOf(m.vectors, &m.rows[row], row, want)
}

func vectorOf(vectors *ann.Mem, r *memRow, row uint32, want fields) Vector {
	v := Vector{ID: r.id, Namespace: r.ns}
	if want.metadata {
		v.Metadata = r.metadata
	}
	if want.values {
		v.Values, _ = vectors.Vector(nil, int(row)) // it is there
	}
	return v
}

// reindex fills in what the metadata indexes hold of each row, after there were
// more or fewer of them.
func (m *memory) reindex(meta []MetadataIndex) {
	for i := range m.rows {
		if r := &m.rows[i]; !r.gone {
			r.values = indexed(meta, r.metadata, r.seq)
		}
	}
}

// memView is what a query may find in memory, as it was at one moment. It is read
// without the lock: nothing that it has is changed.
type memView struct {
	vectors *ann.Mem
	rows    []memRow
	allowed *ann.Bitmap
}

// view returns what a query in a namespace (nil: in all) that is filtered by f may
// find. The caller holds Index.mu.
func (m *memory) view(ns *string, f filter) memView {
	v := memView{m.vectors, m.rows, ann.NewBitmap(len(m.rows))}
	switch {
	case ns != nil:
		for _, row := range m.spaces[*ns] {
			if r := &m.rows[row]; !r.gone && f.matches(r.values) {
				v.allowed.Set(row)
			}
		}
	case f != nil:
		for i := range m.rows {
			if r := &m.rows[i]; !r.gone && f.matches(r.values) {
				v.allowed.Set(uint32(i))
			}
		}
	default:
		v.allowed.SetAll()
		v.allowed.AndNot(m.dead)
	}
	return v
}

// search returns the k nearest rows.
func (v *memView) search(q []float32, k int, exact bool) ([]ann.Candidate, error) {
	if v.allowed.Count() == 0 {
		return nil, nil
	}
	return v.vectors.Search(nil, q, ann.SearchOptions{K: k, Filter: v.allowed, Exact: exact})
}
