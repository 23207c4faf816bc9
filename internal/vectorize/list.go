package vectorize

import (
	"container/heap"
	"slices"
	"time"
)

// Page is a part of the list of an index's ids, which is in the order of their bytes.
type Page struct {
	IDs     []string
	Total   int    // vectors in the index
	Cursor  string // of the next page; "" when this is the last
	Expires time.Time
}

// List returns up to count ids (0: 100), those behind the cursor. An id that is in
// the index from the first page to the last is in exactly one of them.
func (x *Index) List(count int, cursor string) (Page, error) {
	switch {
	case count == 0:
		count = min(100, x.limits.ListPage)
	case count < 0 || count > x.limits.ListPage:
		return Page{}, Fail(CodeBody, "count must be from 1 to %d, and is %d", x.limits.ListPage, count)
	}
	now := x.now()
	last := ""
	if cursor != "" {
		var err error
		if last, err = parseCursor(x.id, cursor, now); err != nil {
			return Page{}, err
		}
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	p := Page{Total: x.count, IDs: smallest(x.mem.byID, last, count+1)}
	if x.frozen != nil {
		p.IDs = append(p.IDs, smallest(x.frozen.byID, last, count+1)...)
	}
	for i := range x.segs {
		p.IDs = x.segs[i].appendIDs(p.IDs, last, count+1)
	}
	slices.Sort(p.IDs)
	if len(p.IDs) > count {
		p.IDs = p.IDs[:count]
		p.Expires = now.Add(cursorLife).UTC().Truncate(time.Millisecond)
		p.Cursor = makeCursor(x.id, p.IDs[count-1], p.Expires)
	}
	return p, nil
}

// appendIDs appends the n smallest of the live ids above last.
func (p *part) appendIDs(ids []string, last string, n int) []string {
	for i := p.docs.at(last); i < len(p.docs.ids) && n > 0; i++ {
		row := p.docs.ids[i]
		if p.dead.Has(row) {
			continue
		}
		if id := string(p.docs.id(row)); id > last {
			ids = append(ids, id)
			n--
		}
	}
	return ids
}

// smallest returns the n smallest of the ids above last, in order.
func smallest(ids map[string]uint32, last string, n int) []string {
	h := make(idHeap, 0, n)
	for id := range ids {
		switch {
		case id <= last:
		case len(h) < n:
			heap.Push(&h, id)
		case id < h[0]:
			h[0] = id
			heap.Fix(&h, 0)
		}
	}
	slices.Sort(h)
	return h
}

// idHeap has the largest id on top.
type idHeap []string

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return h[i] > h[j] }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *idHeap) Push(v any) {
	id, _ := v.(string)
	*h = append(*h, id)
}

// Pop implements heap.Interface.
func (h *idHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
