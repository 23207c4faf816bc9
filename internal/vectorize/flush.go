package vectorize

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/selvage-dev/selvage/internal/ann"
)

// flush makes a segment of frozen memory. It has no graph: under a stream of
// mutations a graph for each would take a core, and be of use until the next merge.
func (k *keeper) flush() error {
	x := k.x
	x.mu.RLock()
	frozen, at := x.frozen, x.frozenAt
	var src *frozenRows
	if frozen != nil {
		src = newFrozenRows(frozen)
	}
	x.mu.RUnlock()
	if frozen == nil {
		return nil
	}
	var s *segment
	if src.Len() > 0 {
		var err error
		if s, err = x.build(k.ctx, src, at.meta, true); err != nil {
			k.trouble.Store(&err)
			return err
		}
	}
	x.mu.Lock()
	if s != nil {
		p := part{segment: s}
		for i, row := range src.order {
			if frozen.rows[row].gone { // while it was made
				p.kill(uint32(i))
			}
		}
		x.segs = append(slices.Clone(x.segs), p)
		x.gen++
	}
	x.frozen, x.flushed = nil, at
	x.mu.Unlock()
	k.trouble.Store(nil)
	wake(k.done)
	wake(k.flushed)
	wake(k.merge)
	defer x.made(s)
	return x.save()
}

// kill marks a row of a part that nobody reads yet.
func (p *part) kill(row uint32) {
	if p.dead == nil {
		p.dead = ann.NewBitmap(p.docs.t.Rows)
	}
	p.dead.Set(row)
}

// backgroundWorkers is how many cores the making of a segment takes: the others are
// for queries.
func backgroundWorkers() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// rowSource is what a segment is made of: rows in the order of their namespaces, then
// of their ids.
type rowSource interface {
	docSource
	ann.Source
}

// build makes and opens a segment, flat as package ann has it or with a graph. The
// caller says when it is made.
func (x *Index) build(ctx context.Context, src rowSource, meta []MetadataIndex, flat bool) (*segment, error) {
	c := ann.Config{Dim: x.Dimensions, Metric: x.Metric.ann(), Workers: backgroundWorkers(), Flat: flat}
	id := x.begin()
	err := writeDocs(x.fs, filepath.Join(x.dir, docsName(id)), src, meta)
	if err == nil {
		err = ann.Build(ctx, x.fs, filepath.Join(x.dir, vectorsName(id)), c, src)
	}
	var s *segment
	if err == nil {
		s, err = openSegment(x.dir, id, &x.Config)
	}
	if err != nil {
		x.made(&segment{id: id})
		return nil, errors.Join(err, removeSegment(x.fs, x.dir, id))
	}
	return s, nil
}

// frozenRows are the rows of frozen memory that were there when it began. What it
// reads of them does not change any more.
type frozenRows struct {
	m     *memory
	order []uint32
}

// newFrozenRows returns the rows that are live now; the caller holds the index's lock.
func newFrozenRows(m *memory) *frozenRows {
	s := &frozenRows{m: m, order: make([]uint32, 0, len(m.byID))}
	for i := range m.rows {
		if r := &m.rows[i]; !r.gone {
			s.order = append(s.order, uint32(i))
		}
	}
	slices.SortFunc(s.order, func(a, b uint32) int {
		p, q := &m.rows[a], &m.rows[b]
		return cmp.Or(compareStrings(p.ns, q.ns), compareStrings(p.id, q.id))
	})
	return s
}

// Len implements rowSource.
func (s *frozenRows) Len() int { return len(s.order) }

func (s *frozenRows) doc(row int) doc {
	r := &s.m.rows[s.order[row]]
	return doc{r.id, r.ns, r.metadata, r.seq}
}

// Vector implements ann.Source.
func (s *frozenRows) Vector(dst []float32, row int) ([]float32, error) {
	return s.m.vectors.Vector(dst, int(s.order[row]))
}
