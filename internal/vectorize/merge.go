package vectorize

import (
	"cmp"
	"errors"
	"slices"
)

const (
	// So many segments of about one size become one.
	mergeAt = 4
	// If one row in so many is dead, a segment is written anew.
	wornAt = 3
)

// mergeAll merges until nothing is to be merged.
func (k *keeper) mergeAll() error {
	for k.ctx.Err() == nil {
		x := k.x
		x.mu.RLock()
		chosen := chooseMerge(x.segs, x.flush.rows, k.calm.Load())
		for i := range chosen {
			chosen[i].acquire()
		}
		meta := x.meta
		x.mu.RUnlock()
		if len(chosen) == 0 {
			return nil
		}
		err := k.mergeParts(chosen, meta)
		if err := errors.Join(err, chosen.release()); err != nil {
			return err
		}
	}
	return nil
}

// chooseMerge returns the parts that should become one: several of about one size,
// or one of which much is dead; when it is calm also those without a graph, however
// few they are. Base is how many rows the smallest have.
func chooseMerge(segs []part, base int, calm bool) parts { //nolint:revive // what else to look for
	tiers := make(map[int]parts)
	var flat parts
	for i := range segs {
		p := &segs[i]
		if n := p.docs.t.Rows; p.dead.Count()*wornAt >= n {
			return parts{*p}
		}
		tier := 0
		for size := base; size*2 < p.live(); size *= mergeAt {
			tier++
		}
		tiers[tier] = append(tiers[tier], *p)
		if len(tiers[tier]) == mergeAt {
			return tiers[tier]
		}
		if p.vectors.Config().Flat {
			flat = append(flat, *p)
		}
	}
	if calm {
		return flat
	}
	return nil
}

// mergeParts makes one segment of the live rows of parts and puts it in their place.
func (k *keeper) mergeParts(chosen parts, meta []MetadataIndex) error {
	x := k.x
	src := newMergedRows(chosen)
	var s *segment
	if src.Len() > 0 {
		var err error
		if s, err = x.build(k.ctx, src, meta, false); err != nil {
			return err
		}
	}
	x.mu.Lock()
	now := make(map[*segment]*part)
	for i := range x.segs {
		now[x.segs[i].segment] = &x.segs[i]
	}
	merged := make(map[*segment]bool)
	for i := range chosen {
		merged[chosen[i].segment] = true
	}
	left := slices.DeleteFunc(slices.Clone(x.segs), func(p part) bool { return merged[p.segment] })
	if s != nil {
		p := part{segment: s}
		for i, r := range src.rows {
			if now[chosen[r.part].segment].dead.Has(r.row) { // died meanwhile
				p.kill(uint32(i))
			}
		}
		left = append(left, p)
	}
	x.segs = left
	x.gen++
	x.mu.Unlock()
	var errs []error
	for i := range chosen {
		errs = append(errs, chosen[i].release()) // the index's own use
	}
	defer x.made(s)
	return errors.Join(append(errs, x.save())...)
}

// mergedRows are the live rows of several parts, in order.
type mergedRows struct {
	parts parts
	rows  []partRow
}

type partRow struct {
	part int
	row  uint32
}

func newMergedRows(ps parts) *mergedRows {
	m := &mergedRows{parts: ps}
	for i := range ps {
		for row := range uint32(ps[i].docs.t.Rows) { //nolint:gosec // a segment has fewer
			if !ps[i].dead.Has(row) {
				m.rows = append(m.rows, partRow{i, row})
			}
		}
	}
	if len(ps) > 1 {
		slices.SortFunc(m.rows, m.compare)
	}
	return m
}

func (m *mergedRows) compare(a, b partRow) int {
	if a.part == b.part {
		return cmp.Compare(a.row, b.row) // they are in order there
	}
	p, q := m.parts[a.part].docs, m.parts[b.part].docs
	return cmp.Or(compareStrings(p.space(a.row), q.space(b.row)), compareStrings(string(p.id(a.row)), string(q.id(b.row))))
}

// Len implements rowSource.
func (m *mergedRows) Len() int { return len(m.rows) }

func (m *mergedRows) doc(row int) doc {
	r := m.rows[row]
	d := m.parts[r.part].docs
	return doc{string(d.id(r.row)), d.space(r.row), d.metadata(r.row), d.seqs[r.row]}
}

// Vector implements ann.Source.
func (m *mergedRows) Vector(dst []float32, row int) ([]float32, error) {
	r := m.rows[row]
	return m.parts[r.part].vectors.Vector(dst, int(r.row))
}
