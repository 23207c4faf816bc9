package vectorize

import (
	"slices"
	"time"
)

// pending is the state that a group's mutations will leave, as far as it decides
// which of them are refused. Only the writer changes an index, so it reads without
// the lock.
type pending struct {
	x      *Index
	meta   []MetadataIndex
	spaces map[string]bool // new ones
	time   time.Time
}

func newPending(x *Index) *pending {
	p := &pending{x: x, meta: slices.Clone(x.meta), spaces: make(map[string]bool), time: x.now().UTC().Truncate(time.Millisecond)}
	if p.time.Before(x.time) {
		p.time = x.time // the clock was set back
	}
	return p
}

func (p *pending) admit(m *mutation) error {
	at := slices.IndexFunc(p.meta, func(i MetadataIndex) bool { return i.Property == m.metadata.Property })
	switch m.op {
	case opCreateIndex:
		switch {
		case at >= 0:
			return Fail(CodeMetadataIndex, "there is a metadata index on %q already", clip(m.metadata.Property))
		case len(p.meta) >= p.x.limits.MetadataIndexes:
			return Fail(CodeMetadataIndex, "the index has %d metadata indexes, which is the limit", len(p.meta))
		}
		p.meta = append(p.meta, m.metadata)
	case opDeleteIndex:
		if at < 0 {
			return Fail(CodeMetadataIndex, "there is no metadata index on %q", clip(m.metadata.Property))
		}
		p.meta = slices.Delete(p.meta, at, at+1)
	case opInsert, opUpsert:
		return p.admitSpaces(m)
	case opDelete:
	}
	return nil
}

func (p *pending) admitSpaces(m *mutation) error {
	var fresh []string
	for i := range m.vectors {
		ns := m.vectors[i].Namespace
		if ns != "" && p.x.spaces[ns] == 0 && !p.spaces[ns] && !slices.Contains(fresh, ns) {
			fresh = append(fresh, ns)
		}
	}
	if n := len(p.x.spaces) + len(p.spaces) + len(fresh); len(fresh) > 0 && n > p.x.limits.Namespaces {
		return Fail(CodeManyNamespaces, "the index would have %d namespaces; max is %d", n, p.x.limits.Namespaces)
	}
	for _, ns := range fresh {
		p.spaces[ns] = true
	}
	return nil
}
