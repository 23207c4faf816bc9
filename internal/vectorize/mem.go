package vectorize

import "github.com/selvage-dev/selvage/internal/ann/simd"

// memory holds the vectors that are in no segment yet. It is guarded by Index.mu.
type memory struct {
	dims   int
	metric Metric
	rows   []memRow
	byID   map[string]uint32
	spaces map[string]*space
	bytes  int64 // about what it takes up
	// frozen memory is becoming a segment: rows stay where they are, and those that
	// are removed are only marked.
	frozen bool
}

type memRow struct {
	id       string
	ns       string
	metadata []byte
	seq      uint64   // of the mutation that brought it
	values   []scalar // of the metadata indexes
	spot     int      // in its space; -1 when it is gone
	gone     bool     // from frozen memory
}

// space is what memory holds of one namespace, without gaps.
type space struct {
	rows   []uint32
	values []float32 // dims each
	scale  []float32 // 1 / length, with the cosine metric
}

func newMemory(c *Config) *memory {
	return &memory{dims: c.Dimensions, metric: c.Metric, byID: make(map[string]uint32), spaces: make(map[string]*space)}
}

// put adds a vector whose id is not there.
func (m *memory) put(v *Vector, seq uint64, values []scalar) {
	s := m.spaces[v.Namespace]
	if s == nil {
		s = &space{}
		m.spaces[v.Namespace] = s
	}
	row := uint32(len(m.rows)) //nolint:gosec // memory is flushed long before
	m.rows = append(m.rows, memRow{id: v.ID, ns: v.Namespace, metadata: v.Metadata, seq: seq, values: values, spot: len(s.rows)})
	m.byID[v.ID] = row
	s.rows = append(s.rows, row)
	s.values = append(s.values, v.Values...)
	if m.metric == Cosine {
		s.scale = append(s.scale, float32(1/norm(v.Values)))
	}
	m.bytes += int64(4*len(v.Values) + len(v.Metadata) + len(v.ID) + len(v.Namespace) + rowOverhead)
}

const rowOverhead = 160 // bytes of a row and its map entry, about

// remove takes a vector away and reports whether it was there.
func (m *memory) remove(id string) (ns string, ok bool) {
	row, ok := m.byID[id]
	if !ok {
		return "", false
	}
	delete(m.byID, id)
	r := &m.rows[row]
	if m.frozen {
		r.gone = true
		return r.ns, true
	}
	s := m.spaces[r.ns]
	last := len(s.rows) - 1
	if moved := s.rows[last]; r.spot != last {
		s.rows[r.spot] = moved
		copy(s.values[r.spot*m.dims:(r.spot+1)*m.dims], s.values[last*m.dims:])
		if s.scale != nil {
			s.scale[r.spot] = s.scale[last]
		}
		m.rows[moved].spot = r.spot
	}
	s.rows = s.rows[:last]
	s.values = s.values[:last*m.dims]
	if s.scale != nil {
		s.scale = s.scale[:last]
	}
	ns = r.ns
	if last == 0 {
		delete(m.spaces, ns)
	}
	*r = memRow{spot: -1}
	return ns, true
}

// vector returns what is stored in a row; it shares memory.
func (m *memory) vector(row uint32) Vector {
	r := &m.rows[row]
	s := m.spaces[r.ns]
	return Vector{ID: r.id, Namespace: r.ns, Values: s.values[r.spot*m.dims : (r.spot+1)*m.dims], Metadata: r.metadata}
}

// reindex fills in what the metadata indexes hold of each row, after there were
// more or fewer of them.
func (m *memory) reindex(meta []MetadataIndex) {
	for i := range m.rows {
		if r := &m.rows[i]; r.spot >= 0 {
			r.values = indexed(meta, r.metadata, r.seq)
		}
	}
}

// search shows t the vectors of a namespace (nil: of all) that match f.
func (m *memory) search(q []float32, ns *string, f filter, source int, t *topk) {
	if ns != nil {
		if s := m.spaces[*ns]; s != nil {
			m.searchSpace(s, q, f, source, t)
		}
		return
	}
	for _, s := range m.spaces {
		m.searchSpace(s, q, f, source, t)
	}
}

func (m *memory) searchSpace(s *space, q []float32, f filter, source int, t *topk) {
	for i, row := range s.rows {
		if m.frozen && m.rows[row].gone || f != nil && !f.matches(m.rows[row].values) {
			continue
		}
		v := s.values[i*m.dims : (i+1)*m.dims]
		var dist float32
		switch m.metric {
		case Cosine:
			dist = -simd.DotF32(q, v) * s.scale[i]
		case Euclidean:
			dist = simd.L2F32(q, v)
		case Dot:
			dist = -simd.DotF32(q, v)
		}
		t.push(hit{dist, source, row})
	}
}
