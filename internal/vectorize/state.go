package vectorize

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/ann"
)

// checkpoint is a moment in the order of mutations.
type checkpoint struct {
	seq      uint64
	mutation uuid.UUID
	time     time.Time
	meta     []MetadataIndex
	log      uint64 // the log that begins there
}

// has reports whether there is a vector with the id.
func (x *Index) has(id string) bool {
	if _, ok := x.mem.byID[id]; ok {
		return true
	}
	if x.frozen != nil {
		if _, ok := x.frozen.byID[id]; ok {
			return true
		}
	}
	_, _, ok := x.stored(id)
	return ok
}

// find returns which of the parts holds the id, and where.
func find(parts []part, id string) (at int, row uint32, ok bool) {
	for i := range slices.Backward(parts) {
		if row, ok := parts[i].docs.find(id); ok && !parts[i].dead.Has(row) {
			return i, row, true
		}
	}
	return 0, 0, false
}

// drop removes the vector with the id, if there is one.
func (x *Index) drop(id string) {
	ns, ok := x.mem.remove(id)
	if !ok && x.frozen != nil {
		ns, ok = x.frozen.remove(id)
	}
	if !ok {
		ns, ok = x.dropStored(id)
	}
	if !ok {
		return
	}
	x.count--
	if x.spaces[ns]--; x.spaces[ns] == 0 {
		delete(x.spaces, ns)
	}
}

// dropStored marks a row of a segment as gone, in a bitmap that no reader has yet.
func (x *Index) dropStored(id string) (ns string, ok bool) {
	at, row, ok := x.stored(id)
	if !ok {
		return "", false
	}
	p := &x.segs[at]
	switch {
	case p.dead == nil:
		p.dead = ann.NewBitmap(p.docs.t.Rows)
	case !x.owned[p.segment]:
		p.dead = p.dead.Clone()
	}
	x.owned[p.segment] = true
	p.dead.Set(row)
	return p.docs.space(row), true
}

func (x *Index) reindex() {
	x.mem.reindex(x.meta)
	if x.frozen != nil {
		x.frozen.reindex(x.meta)
	}
}

// views returns what a query may find in memory. The caller holds mu.
func (x *Index) views(ns *string, f filter) []memView {
	out := []memView{x.mem.view(ns, f)}
	if x.frozen != nil {
		out = append(out, x.frozen.view(ns, f))
	}
	return out
}

// snapshot returns the parts as they are, for who reads them without the lock. The
// caller holds mu at least for reading, and releases them.
func (x *Index) snapshot() parts {
	out := append(parts(nil), x.segs...)
	for i := range out {
		out[i].acquire()
	}
	return out
}

// parts are parts that are in use.
type parts []part

func (ps parts) release() error {
	var errs []error
	for i := range ps {
		errs = append(errs, ps[i].release())
	}
	return errors.Join(errs...)
}

// openSegments opens what the manifest names and counts what is in it.
func (x *Index) openSegments() error {
	for _, ref := range x.man.Segments {
		s, err := openSegment(x.dir, ref.ID, &x.Config)
		if err != nil {
			return err
		}
		p := part{segment: s}
		x.segs = append(x.segs, p)
		if s.docs.t.Rows != ref.Rows {
			return &CorruptError{Path: s.vectors.Path(), Reason: "it has other rows than the manifest says"}
		}
		first := 0
		for _, sp := range s.docs.t.Spaces {
			x.spaces[sp.Name] += sp.End - first
			first = sp.End
		}
		if ref.Dead != 0 {
			if p.dead, err = readDead(x.dir, ref.Dead, ref.Rows); err != nil {
				return err
			}
			x.segs[len(x.segs)-1] = p
			x.persisted[s.id] = persistedDead{ref.Dead, p.dead}
			for row := range p.dead.Rows() {
				ns := s.docs.space(row)
				if x.spaces[ns]--; x.spaces[ns] == 0 {
					delete(x.spaces, ns)
				}
			}
		}
		x.count += p.live()
	}
	return nil
}

func (x *Index) closeSegments() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.segs {
		if err := x.segs[i].release(); err != nil {
			x.lg.Error("a segment did not close", "index", x.name, "error", err)
		}
	}
	x.segs = nil
}
