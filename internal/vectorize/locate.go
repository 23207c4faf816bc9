package vectorize

// location is where in the segments an id is.
type location struct {
	segment *segment
	row     uint32
}

// located is what a look-up of a group's ids found in the segments before the lock
// was taken: with the lock held it would keep queries waiting.
type located struct {
	gen int // of the segments that were looked through
	ids map[string]location
}

// locate looks for the ids of a group in the segments. It is the writer's, and
// nobody else makes rows live or dead.
func (x *Index) locate(frame []*mutation) *located {
	x.mu.RLock()
	out := &located{gen: x.gen, ids: make(map[string]location)}
	parts := x.snapshot()
	x.mu.RUnlock()
	look := func(id string) {
		if at, row, ok := find(parts, id); ok {
			out.ids[id] = location{parts[at].segment, row}
		}
	}
	for _, m := range frame {
		for i := range m.vectors {
			look(m.vectors[i].ID)
		}
		for _, id := range m.ids {
			look(id)
		}
	}
	if err := parts.release(); err != nil {
		x.lg.Error("a segment did not close", "index", x.name, "error", err)
	}
	return out
}

// stored returns the part whose live row has the id, and the row.
func (x *Index) stored(id string) (at int, row uint32, ok bool) {
	if x.found == nil || x.found.gen != x.gen {
		return find(x.segs, id) // the segments are others now, or the log is replayed
	}
	l, ok := x.found.ids[id]
	if !ok {
		return 0, 0, false
	}
	for i := range x.segs {
		if x.segs[i].segment == l.segment {
			return i, l.row, !x.segs[i].dead.Has(l.row)
		}
	}
	return 0, 0, false
}
