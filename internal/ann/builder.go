package ann

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// The shape of graphs. Measured with 100,000 vectors (doc.go): a larger degree
// costs memory and finds little more, more candidates cost time to build.
const (
	graphDegree  = 32
	slackDegree  = 48   // a list grows up to this before it is cut to graphDegree
	buildEf      = 176  // candidates from which the neighbours of a new row are chosen
	occlusion    = 1.2  // see choose
	leastNamed   = 6    // see backlink
	graphMinimum = 2000 // fewer rows are scanned faster
)

// builder makes a graph: it inserts row by row, from all cores at once. A row
// finds its neighbours by searching the graph as it is so far; they learn of it
// in return.
type builder struct {
	ground metered
	n      int
	cc     float32 // |center|²

	links    []uint32 // slackDegree for each row; changed under the row's lock
	entries  []uint32
	doors    metered // the entries alone: see graph
	doorRows []uint32
	locks    [1 << 10]sync.Mutex
}

// metered are codes with what distances between them take.
type metered struct {
	codes *codes
	rr    []float32 // |r|² of each row
	// With dot products neighbours are chosen by direction: products obey no
	// triangle inequality, so by them the longest vectors would be neighbours of
	// all, and the others of none. These are the lengths then, else nil.
	lengths []float32
}

// only returns some rows of m, as rows 0, 1, 2 and so on.
func (m *metered) only(rows []uint32) metered {
	some := metered{codes: m.codes.only(rows)}
	for _, row := range rows {
		some.rr = append(some.rr, m.rr[row])
		if m.lengths != nil {
			some.lengths = append(some.lengths, m.lengths[row])
		}
	}
	return some
}

func newBuilder(c *codes, rr, lengths []float32) *builder {
	b := &builder{ground: metered{c, rr, lengths}, n: len(rr), links: make([]uint32, len(rr)*slackDegree)}
	for _, x := range c.center {
		b.cc += x * x
	}
	for i := range b.links {
		b.links[i] = none
	}
	// To look at the square root of the rows first is a small part of a search,
	// and lands it close enough that levels above this one would gain nothing.
	entries := int(math.Sqrt(float64(b.n)))
	for i := range entries {
		b.entries = append(b.entries, uint32(i*b.n/entries)) //nolint:gosec // below n
	}
	b.doors, b.doorRows = b.ground.only(b.entries), firstRows(entries)
	return b
}

// run builds the graph on workers goroutines.
func (b *builder) run(ctx context.Context, workers int) (*graph, error) {
	// The entries come first: all searches begin there.
	if err := b.each(ctx, workers, len(b.entries), func(l *linker, i int) { l.insert(b.entries[i]) }); err != nil {
		return nil, err
	}
	err := b.each(ctx, workers, b.n, func(l *linker, i int) {
		if row := uint32(i); !b.entry(row) { //nolint:gosec // below n
			l.insert(row)
		}
	})
	if err != nil {
		return nil, err
	}
	g := &graph{degree: graphDegree, links: make([]uint32, b.n*graphDegree), entries: b.entries}
	err = b.each(ctx, workers, b.n, func(l *linker, i int) {
		row := uint32(i) //nolint:gosec // below n
		list := b.list(row)
		if n := length(list); n > graphDegree {
			l.cut(row, list, n)
		}
		copy(g.neighbours(row), list)
	})
	if err != nil {
		return nil, err
	}
	b.backlink(g)
	b.connect(g)
	return g, nil
}

// each calls f for 0 to n-1 from workers goroutines, each with a linker.
func (b *builder) each(ctx context.Context, workers, n int, f func(l *linker, i int)) error {
	return parallel(ctx, workers, n, func() func(i int) {
		l := &linker{builder: b}
		return func(i int) { f(l, i) }
	})
}

// parallel shares 0 to n-1 among workers goroutines. Each calls start once, and
// what that returns for its numbers.
func parallel(ctx context.Context, workers, n int, start func() func(i int)) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			f := start()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if i%256 == 0 && ctx.Err() != nil {
					return context.Cause(ctx)
				}
				f(i)
			}
		})
	}
	return group.Wait()
}

func (b *builder) entry(row uint32) bool {
	_, found := slices.BinarySearch(b.entries, row)
	return found
}

func (b *builder) list(row uint32) []uint32 {
	at := int(row) * slackDegree
	return b.links[at : at+slackDegree : at+slackDegree]
}

func (b *builder) lock(row uint32) *sync.Mutex { return &b.locks[row%uint32(len(b.locks))] }

// backlink gives rows that few others name places in lists that are not full.
// Rows far from all others lose their places to nearer ones whenever a list is
// cut, and would hardly be found.
func (b *builder) backlink(g *graph) {
	named := make([]uint32, b.n)
	for _, x := range g.links {
		if x != none {
			named[x]++
		}
	}
	for row := range uint32(b.n) { //nolint:gosec // below 2³¹
		own := g.neighbours(row)
		own = own[:length(own)]
		for _, x := range own {
			named[row] += g.name(x, row, named[row])
		}
		for _, x := range own { // Those were full: their neighbours then.
			for _, y := range g.neighbours(x) {
				if y == none || named[row] >= leastNamed {
					break
				}
				named[row] += g.name(y, row, named[row])
			}
		}
	}
}

// name adds row to the neighbours of x if there is room and fewer than
// leastNamed name it. It returns how many more do.
func (g *graph) name(x, row, named uint32) uint32 {
	list := g.neighbours(x)
	n := length(list)
	if x == row || named >= leastNamed || n == len(list) || slices.Contains(list[:n], row) {
		return 0
	}
	list[n] = row
	return 1
}

// connect makes rows entries until every row can be reached from one: among
// vectors that are equal, lists are full of equals.
func (b *builder) connect(g *graph) {
	r := reach{graph: g, seen: NewBitmap(b.n)}
	for _, row := range g.entries {
		r.from(row)
	}
	for row := range uint32(b.n) { //nolint:gosec // below 2³¹
		if !r.seen.Has(row) {
			g.entries = append(g.entries, row)
			r.from(row)
		}
	}
}

// reach follows links.
type reach struct {
	graph *graph
	seen  *Bitmap
	queue []uint32
}

// from marks row and all that can be reached from it.
func (r *reach) from(row uint32) {
	if !r.seen.Set(row) {
		return
	}
	r.queue = append(r.queue, row)
	for len(r.queue) > 0 {
		next := r.queue[len(r.queue)-1]
		r.queue = r.queue[:len(r.queue)-1]
		for _, x := range r.graph.neighbours(next) {
			if x != none && r.seen.Set(x) {
				r.queue = append(r.queue, x)
			}
		}
	}
}

func length(list []uint32) int {
	if n := slices.Index(list, none); n >= 0 {
		return n
	}
	return len(list)
}
