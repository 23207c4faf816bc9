package cache

// node is a place in a list of entries.
type node struct {
	older, newer *entry
	in           bool
}

// sieve is a list of entries from new to old with a hand that looks for one to
// evict: from the oldest on it clears marks and takes the first without one.
// New entries come in at the head; nothing moves on a hit. Which node and mark
// of an entry it works on, its two functions say.
type sieve struct {
	node func(*entry) *node
	mark func(*entry) *bool

	newest, oldest, hand *entry
}

func (s *sieve) add(e *entry) {
	n := s.node(e)
	n.in, n.older, n.newer = true, s.newest, nil
	if s.newest != nil {
		s.node(s.newest).newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
}

func (s *sieve) remove(e *entry) {
	n := s.node(e)
	if !n.in {
		return
	}
	if s.hand == e {
		s.hand = n.newer
	}
	if n.newer != nil {
		s.node(n.newer).older = n.older
	} else {
		s.newest = n.older
	}
	if n.older != nil {
		s.node(n.older).newer = n.newer
	} else {
		s.oldest = n.newer
	}
	*n = node{}
}

// victim returns the entry to evict, and leaves it in the list; nil when there
// is none.
func (s *sieve) victim() *entry {
	e := s.hand
	if e == nil {
		e = s.oldest
	}
	for e != nil {
		m := s.mark(e)
		if !*m {
			break
		}
		*m = false
		if e = s.node(e).newer; e == nil {
			e = s.oldest
		}
	}
	s.hand = e
	return e
}
