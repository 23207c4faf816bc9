package rpcrelay

// question is a call or bootstrap of the caller that is not over.
type question struct {
	link     *link
	params   []uint32 // the caller's exports in its parameters
	results  []uint32 // our numbers of the capabilities in its results
	event    bool     // a call to the bootstrap object
	returned bool
	finished bool
	release  bool // finished, and the results' capabilities with it
}

// backCall is a call of a process to the caller that is not over.
type backCall struct {
	link     *link
	remote   uint32   // the process's number of it
	params   []uint32 // our numbers of the capabilities in its parameters
	results  []uint32 // the caller's exports in its results
	returned bool
	finished bool
	release  bool
}

// export is a capability of a process that the caller holds.
type export struct {
	link    *link
	remote  uint32 // the process's number of it
	refs    uint32
	promise bool // not resolved yet
	event   bool // the dispatcher of an event: when it goes, the event is over
}

// table numbers things, smallest free number first.
type table[T any] struct {
	items []*T
	free  []uint32
	used  int
}

func (t *table[T]) add(v *T) uint32 {
	t.used++
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		t.items[id] = v
		return id
	}
	t.items = append(t.items, v)
	return uint32(len(t.items) - 1) //nolint:gosec // bounded by maxExports
}

func (t *table[T]) get(id uint32) *T {
	if uint64(id) >= uint64(len(t.items)) {
		return nil
	}
	return t.items[id]
}

func (t *table[T]) drop(id uint32) {
	t.items[id] = nil
	t.free = append(t.free, id)
	t.used--
}
