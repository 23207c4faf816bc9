package vectorize

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/selvage-dev/selvage/internal/ann"
	"github.com/selvage-dev/selvage/internal/fsx"
)

// segment is an immutable part of an index: vectors, and documents beside them.
// Which of its rows are gone is kept apart, see Index.segs.
type segment struct {
	id      uint64
	vectors *ann.Segment
	docs    *docs
	// refs counts the index and the calls that read. The files' mappings go with
	// the last of them.
	refs atomic.Int64
}

// part is a segment with the rows of it that are gone, at one moment. The bitmap
// is never changed: who removes a row makes another.
type part struct {
	*segment

	dead *ann.Bitmap // nil for none
}

func (p *part) live() int { return p.docs.t.Rows - p.dead.Count() }

func vectorsName(id uint64) string { return fmt.Sprintf("%012d.vectors", id) }
func docsName(id uint64) string    { return fmt.Sprintf("%012d.docs", id) }

// openSegment opens a segment of the index in dir and checks it.
func openSegment(dir string, id uint64, c *Config) (*segment, error) {
	d, err := openDocs(filepath.Join(dir, docsName(id)))
	if err != nil {
		return nil, err
	}
	v, err := ann.Open(filepath.Join(dir, vectorsName(id)))
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	s := &segment{id: id, vectors: v, docs: d}
	s.refs.Store(1)
	if v.Len() != d.t.Rows || v.Config().Dim != c.Dimensions || v.Config().Metric != c.Metric.ann() {
		return nil, errors.Join(&CorruptError{Path: v.Path(), Reason: "it does not fit its documents"}, s.release())
	}
	return s, nil
}

func (s *segment) acquire() { s.refs.Add(1) }

func (s *segment) release() error {
	if s.refs.Add(-1) > 0 {
		return nil
	}
	return errors.Join(s.vectors.Close(), s.docs.close())
}

// remove removes the files of a segment that no manifest names.
func removeSegment(fs fsx.FS, dir string, id uint64) error {
	return removeFiles(fs, filepath.Join(dir, vectorsName(id)), filepath.Join(dir, docsName(id)))
}

// vector returns what is stored in a row. Values and metadata are the caller's.
func (s *segment) vector(row uint32, want fields) (Vector, error) {
	v := Vector{ID: string(s.docs.id(row)), Namespace: s.docs.space(row)}
	if want.metadata {
		if m := s.docs.metadata(row); m != nil {
			v.Metadata = append([]byte(nil), m...)
		}
	}
	var err error
	if want.values {
		v.Values, err = s.vectors.Vector(nil, int(row))
	}
	return v, err
}

// fields says what of a vector is wanted.
type fields struct{ values, metadata bool }

// columnOf finds the column of a metadata index. Nil: all rows are older than it.
func (s *segment) columnOf(m *MetadataIndex) *column {
	for i := range s.docs.columns {
		if c := &s.docs.columns[i]; c.ref.MetadataIndex == *m {
			return c
		}
	}
	return nil
}

// search returns the nearest rows of a namespace (nil: of all) that satisfy f.
func (p *part) search(q []float32, ns *string, f filter, meta []MetadataIndex, k int, exact bool) ([]ann.Candidate, error) {
	first, end := 0, p.docs.t.Rows
	if ns != nil {
		rows, ok := p.docs.spaces[*ns]
		if !ok {
			return nil, nil
		}
		first, end = rows[0], rows[1]
	}
	o := ann.SearchOptions{K: k, Rows: ann.Range{First: first, End: end}, Deleted: p.dead, Exact: exact}
	if f != nil {
		o.Filter = p.rows(first, end, f, meta)
		if o.Filter.Count() == 0 {
			return nil, nil
		}
	}
	return p.vectors.Search(nil, q, o)
}

// rows returns the rows from first to before end that satisfy f.
func (p *part) rows(first, end int, f filter, meta []MetadataIndex) *ann.Bitmap {
	var out *ann.Bitmap
	for i := range f {
		c := p.columnOf(&meta[f[i].index])
		set := ann.NewBitmapRange(first, end)
		if c == nil {
			c = &column{ref: &columnRef{}, numbers: make([]uint32, p.docs.t.Rows), starts: make([]uint32, 1)}
		}
		c.each(&f[i], first, end, func(row uint32) { set.Set(row) })
		if out == nil {
			out = set
		} else {
			out.And(set)
		}
	}
	return out
}

// ann returns the metric as the engine knows it.
func (m Metric) ann() ann.Metric {
	switch m {
	case Cosine:
		return ann.Cosine
	case Euclidean:
		return ann.Euclidean
	case Dot:
	}
	return ann.DotProduct
}
