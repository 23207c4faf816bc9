package ann

import (
	"unsafe"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

// none ends a list of neighbours that is not full.
const none = ^uint32(0)

// graph says which rows are near which. One may get from the entries to every
// row along it (see [builder.connect]).
type graph struct {
	degree  int
	links   []uint32 // degree for each row, none at the end
	entries []uint32 // rows at which a search may begin

	// Copies of the entries' codes, one after the other, and their numbers: every
	// search looks at all of them, and so they stay in the processor's cache.
	doors    *codes
	doorRows []uint32
}

// At how many of the entries a walk begins: the nearest few, which is enough
// where rows are connected; and as many as it may keep if these are many, since
// among vectors that are equal there are islands.
const (
	entered = 8
	manyEf  = 512
)

// open copies the codes of the entries.
func (g *graph) open(c *codes) { g.doors, g.doorRows = c.only(g.entries), firstRows(len(g.entries)) }

// firstRows returns 0 to n-1.
func firstRows(n int) []uint32 {
	rows := make([]uint32, n)
	for i := range rows {
		rows[i] = uint32(i)
	}
	return rows
}

func (g *graph) neighbours(row uint32) []uint32 {
	at := int(row) * g.degree
	return g.links[at : at+g.degree : at+g.degree]
}

// within says whether all rows that g names are below n.
func (g *graph) within(n int) bool {
	for _, x := range g.links {
		if int(x) >= n && x != none {
			return false
		}
	}
	for _, x := range g.entries {
		if int(x) >= n {
			return false
		}
	}
	return true
}

// done marks a row of a walk whose neighbours have been looked at.
const done = 1 << 31

// walk is the memory of a search in a graph: the best rows seen, best first,
// and which have been seen at all.
type walk struct {
	best  []ranked
	seen  []uint8
	round uint8
	rows  []uint32 // to be ranked
	ranks []float32
	query codedQuery
	cost  Cost

	// Of a search among allowed rows.
	near    []ranked
	through []uint32
}

// begin forgets the previous search. Rows are below n.
func (w *walk) begin(n int) {
	if len(w.seen) < n {
		w.seen, w.round = make([]uint8, n), 0
	}
	if w.round++; w.round == 0 { // Marks of 255 searches ago would look new.
		clear(w.seen)
		w.round = 1
	}
	w.best = w.best[:0]
}

// fresh says whether row has not been seen, and marks it.
func (w *walk) fresh(row uint32) bool {
	if w.seen[row] == w.round {
		return false
	}
	w.seen[row] = w.round
	return true
}

// room returns the ranks of as many rows as are to be ranked.
func (w *walk) room() []float32 { return w.roomFor(len(w.rows)) }

func (w *walk) roomFor(n int) []float32 {
	if cap(w.ranks) < n {
		w.ranks = make([]float32, 2*n)
	}
	return w.ranks[:n]
}

// insert puts a row among the limit best and returns its place, or limit.
func (w *walk) insert(limit int, rank float32, row uint32) int {
	b := w.best
	if len(b) < limit {
		b = append(b, ranked{})
	} else if rank <= b[len(b)-1].rank {
		return limit
	}
	lo, hi := 0, len(b)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if b[mid].rank >= rank {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	copy(b[lo+1:], b[lo:len(b)-1])
	b[lo] = ranked{rank, row}
	w.best = b
	return lo
}

// insertAll inserts the ranked rows and returns the best place that one got.
func (w *walk) insertAll(limit int, ranks []float32) int {
	first := limit
	for i, rank := range ranks {
		if len(w.best) < limit || rank > w.best[len(w.best)-1].rank {
			first = min(first, w.insert(limit, rank, w.rows[i]))
		}
	}
	return first
}

// search fills w.best with the ef rows nearest to w.query that a walk from the
// entries meets.
func (g *graph) search(w *walk, c *codes, n, ef int) {
	w.begin(n)
	g.enter(w, ef)
	for at := 0; at < len(w.best); {
		if w.best[at].row&done != 0 {
			at++
			continue
		}
		row := w.best[at].row
		w.best[at].row |= done
		g.expect(w, at+1)
		w.cost.Lists++
		w.rows = w.rows[:0]
		for _, x := range g.neighbours(row) {
			if x == none {
				break
			}
			if w.seen[x] != w.round {
				w.seen[x] = w.round
				w.rows = append(w.rows, x)
			}
		}
		w.cost.Codes += len(w.rows)
		ranks := w.room()
		c.rank(ranks, &w.query, w.rows)
		at = min(at+1, w.insertAll(ef, ranks))
	}
}

// enter begins a walk at the entries nearest to the query. Of the others it
// takes no note: one that is met again is too far again.
func (g *graph) enter(w *walk, ef int) {
	w.cost.Codes += len(g.entries)
	ranks := w.roomFor(len(g.entries))
	g.doors.rank(ranks, &w.query, g.doorRows)
	limit := min(ef, entered)
	if ef >= manyEf {
		limit = ef
	}
	for i, rank := range ranks {
		if len(w.best) < limit || rank > w.best[len(w.best)-1].rank {
			w.insert(limit, rank, g.entries[i])
		}
	}
	for _, r := range w.best {
		w.seen[r.row] = w.round
	}
}

// expect fetches the neighbours of the best row from place at on that a walk
// has yet to look at: most often they are next.
func (g *graph) expect(w *walk, at int) {
	for ; at < len(w.best); at++ {
		if row := w.best[at].row; row&done == 0 {
			list := g.neighbours(row)
			simd.Prefetch(unsafe.Pointer(unsafe.SliceData(list)), 4*len(list)) //nolint:gosec // memory of the list
			return
		}
	}
}
