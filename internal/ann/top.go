package ann

import "slices"

// ranked is a row with a number of which more is better.
type ranked struct {
	rank float32
	row  uint32
}

// top keeps the best of what it is shown: a heap with the worst of them first.
type top struct {
	limit int
	items []ranked
}

// reset empties t and sets how many it keeps, at least one.
func (t *top) reset(limit int) { t.limit, t.items = limit, t.items[:0] }

// wants says whether push would keep a row of this rank.
func (t *top) wants(rank float32) bool {
	return len(t.items) < t.limit || rank > t.items[0].rank
}

func (t *top) push(rank float32, row uint32) {
	if len(t.items) < t.limit {
		t.items = append(t.items, ranked{rank, row})
		for i := len(t.items) - 1; i > 0; {
			parent := (i - 1) / 2
			if t.items[parent].rank <= t.items[i].rank {
				return
			}
			t.items[parent], t.items[i] = t.items[i], t.items[parent]
			i = parent
		}
		return
	}
	if rank <= t.items[0].rank {
		return
	}
	t.items[0] = ranked{rank, row}
	for i := 0; ; {
		least := 2*i + 1
		if least >= len(t.items) {
			return
		}
		if least+1 < len(t.items) && t.items[least+1].rank < t.items[least].rank {
			least++
		}
		if t.items[i].rank <= t.items[least].rank {
			return
		}
		t.items[i], t.items[least] = t.items[least], t.items[i]
		i = least
	}
}

// sorted returns what was kept, best first; equal ranks by row. It ends the
// heap: reset comes next.
func (t *top) sorted() []ranked {
	slices.SortFunc(t.items, func(a, b ranked) int {
		switch {
		case a.rank > b.rank:
			return -1
		case a.rank < b.rank:
			return 1
		case a.row < b.row:
			return -1
		}
		return 1
	})
	return t.items
}
