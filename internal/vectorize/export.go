package vectorize

import (
	"context"
	"errors"
	"slices"
)

// Snapshot is everything that an index holds at one moment. The caller Closes it.
type Snapshot struct {
	Config

	Count    int
	Metadata []MetadataIndex

	fresh []Vector // those in memory
	parts parts
}

// Snapshot returns what the index holds now; mutations that come later are not in it.
func (x *Index) Snapshot() *Snapshot {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := &Snapshot{Config: x.Config, Count: x.count, Metadata: x.meta, parts: x.snapshot()}
	for _, m := range []*memory{x.mem, x.frozen} {
		if m == nil {
			continue
		}
		for _, row := range m.byID {
			s.fresh = append(s.fresh, m.vector(row, fields{values: true, metadata: true}))
		}
	}
	return s
}

// Each calls fn for each vector, in no order that means anything. What fn gets is
// good until it returns.
func (s *Snapshot) Each(ctx context.Context, fn func(v *Vector) error) error {
	for i := range s.fresh {
		if err := fn(&s.fresh[i]); err != nil {
			return err
		}
	}
	for i := range s.parts {
		p := &s.parts[i]
		for row := range uint32(p.docs.t.Rows) { //nolint:gosec // a segment has fewer
			if p.dead.Has(row) {
				continue
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			v, err := p.vector(row, fields{values: true, metadata: true})
			if err == nil {
				err = fn(&v)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends the use of what the snapshot holds.
func (s *Snapshot) Close() error { return errors.Join(s.parts.release()) }

// Space is how many vectors a namespace holds.
type Space struct {
	Name  string
	Count int
}

// Spaces returns the n largest namespaces, and how many there are.
func (x *Index) Spaces(n int) (largest []Space, total int) {
	x.mu.RLock()
	for name, count := range x.spaces {
		largest = append(largest, Space{name, count})
	}
	x.mu.RUnlock()
	total = len(largest)
	slices.SortFunc(largest, func(a, b Space) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return compareStrings(a.Name, b.Name)
	})
	return largest[:min(n, total)], total
}
