package ann

import (
	"cmp"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/selvage-dev/selvage/internal/ann/simd"
)

// linker is what one goroutine of a builder needs.
type linker struct {
	*builder
	walk   walk
	other  codedQuery
	near   []ranked // candidates, nearest first; rank is the squared distance, negated
	kept   []uint32
	rest   []uint32
	ranks  []float32
	hidden []bool
}

// far sets dst[i] to the squared distance from row, which q was set to, to
// rows[i], negated: more is nearer. With dot products it is that of their
// directions.
func (l *linker) far(dst []float32, q *codedQuery, row uint32, rows []uint32) {
	l.farOf(dst, &l.ground, q, row, rows)
}

// farOf is far with rows of another table.
func (l *linker) farOf(dst []float32, t *metered, q *codedQuery, row uint32, rows []uint32) {
	t.codes.products(dst, q, rows)
	if t.lengths != nil {
		l.apart(dst, t, row, rows)
		return
	}
	own := l.ground.rr[row]
	for i, x := range rows {
		d := own + t.rr[x] - 2*dst[i]*t.codes.terms(x)[0]
		dst[i] = -max(0, d)
	}
}

// apart makes products of rests the squared distances of directions, negated.
func (l *linker) apart(dst []float32, t *metered, row uint32, rows []uint32) {
	own, length := l.ground.codes.terms(row)[1]+l.cc, l.ground.lengths[row]
	for i, x := range rows {
		terms, both := t.codes.terms(x), length*t.lengths[x]
		cos := float32(0)
		if both > 0 {
			cos = (dst[i]*terms[0] + terms[1] + own) / both
		}
		dst[i] = 2 * min(0, cos-1)
	}
}

// insert finds neighbours for row and links both ways.
func (l *linker) insert(row uint32) {
	l.ground.codes.row(&l.walk.query, row)
	l.search(row)
	l.near = append(l.near[:0], l.walk.best...)
	for i := range l.near {
		l.near[i].row &^= done
	}
	l.choose(graphDegree)
	own := slices.Clone(l.kept)

	lock := l.lock(row)
	lock.Lock()
	// Others may have found this row meanwhile and linked it.
	list := l.list(row)
	have := length(list)
	for _, x := range own {
		if have < slackDegree && !slices.Contains(list[:have], x) {
			atomic.StoreUint32(&list[have], x)
			have++
		}
	}
	lock.Unlock()
	for _, x := range own {
		l.link(x, row)
	}
}

// search is [graph.search] on lists that change meanwhile. A list that is
// rewritten while it is read gives some of the old and some of the new, which
// are all rows worth a look.
func (l *linker) search(row uint32) {
	w := &l.walk
	w.begin(l.n)
	w.fresh(row)
	l.enter(row)
	for at := 0; at < len(w.best); {
		if w.best[at].row&done != 0 {
			at++
			continue
		}
		list := l.list(w.best[at].row)
		w.best[at].row |= done
		l.expect(at + 1)
		w.rows = w.rows[:0]
		for i := range list {
			x := atomic.LoadUint32(&list[i])
			if x == none {
				break
			}
			if w.fresh(x) {
				w.rows = append(w.rows, x)
			}
		}
		ranks := w.room()
		l.far(ranks, &w.query, row, w.rows)
		at = min(at+1, w.insertAll(buildEf, ranks))
	}
}

// expect is [graph.expect].
func (l *linker) expect(at int) {
	for _, r := range l.walk.best[min(at, len(l.walk.best)):] {
		if r.row&done == 0 {
			simd.Prefetch(unsafe.Pointer(unsafe.SliceData(l.list(r.row))), 4*graphDegree) //nolint:gosec // memory of the list
			return
		}
	}
}

// enter is [graph.enter] for a row that is to be inserted.
func (l *linker) enter(row uint32) {
	w := &l.walk
	ranks := w.roomFor(len(l.entries))
	l.farOf(ranks, &l.doors, &w.query, row, l.doorRows)
	for i, rank := range ranks {
		if x := l.entries[i]; x != row && (len(w.best) < entered || rank > w.best[len(w.best)-1].rank) {
			w.insert(entered, rank, x)
		}
	}
	for _, r := range w.best {
		w.seen[r.row] = w.round
	}
}

// link adds row to the neighbours of x.
func (l *linker) link(x, row uint32) {
	lock := l.lock(x)
	lock.Lock()
	defer lock.Unlock()
	list := l.list(x)
	n := length(list)
	if slices.Contains(list[:n], row) {
		return
	}
	if n == slackDegree {
		// The new one takes part in the choice.
		l.kept = append(append(l.kept[:0], list...), row)
		l.rechoose(x, list)
		return
	}
	atomic.StoreUint32(&list[n], row)
}

// cut leaves graphDegree of the n neighbours of x.
func (l *linker) cut(x uint32, list []uint32, n int) {
	l.kept = append(l.kept[:0], list[:n]...)
	l.rechoose(x, list)
}

// rechoose sets the list of x to the best of l.kept.
func (l *linker) rechoose(x uint32, list []uint32) {
	l.ground.codes.row(&l.other, x)
	l.ranks = slices.Grow(l.ranks[:0], len(l.kept))[:len(l.kept)]
	l.far(l.ranks, &l.other, x, l.kept)
	l.near = l.near[:0]
	for i, r := range l.kept {
		l.near = append(l.near, ranked{l.ranks[i], r})
	}
	slices.SortFunc(l.near, func(a, b ranked) int { return cmp.Compare(b.rank, a.rank) })
	l.choose(graphDegree)
	for i := range list {
		next := none
		if i < len(l.kept) {
			next = l.kept[i]
		}
		atomic.StoreUint32(&list[i], next)
	}
}

// choose sets l.kept to at most limit of l.near such that they lie in different
// directions: one that is nearer to a chosen one than to the row itself, by the
// factor occlusion, is reached through that (Subramanya et al., DiskANN,
// NeurIPS 2019). Places that are left go to the nearest of the others: where
// lengths differ, short vectors are near to all, and would leave long ones with
// little but them.
func (l *linker) choose(limit int) {
	l.kept = l.kept[:0]
	l.hidden = slices.Grow(l.hidden[:0], len(l.near))[:len(l.near)]
	clear(l.hidden)
	for i, c := range l.near {
		if l.hidden[i] {
			continue
		}
		l.kept = append(l.kept, c.row)
		if len(l.kept) == limit {
			return
		}
		l.hide(i)
	}
	for i, c := range l.near {
		if l.hidden[i] && len(l.kept) < limit {
			l.kept = append(l.kept, c.row)
		}
	}
}

// hide marks the candidates after i that i occludes.
func (l *linker) hide(i int) {
	l.rest = l.rest[:0]
	for j := i + 1; j < len(l.near); j++ {
		if !l.hidden[j] {
			l.rest = append(l.rest, l.near[j].row)
		}
	}
	if len(l.rest) == 0 {
		return
	}
	l.ground.codes.row(&l.other, l.near[i].row)
	l.ranks = slices.Grow(l.ranks[:0], len(l.rest))[:len(l.rest)]
	l.far(l.ranks, &l.other, l.near[i].row, l.rest)
	k := 0
	for j := i + 1; j < len(l.near); j++ {
		if l.hidden[j] {
			continue
		}
		if -l.ranks[k]*occlusion < -l.near[j].rank {
			l.hidden[j] = true
		}
		k++
	}
}
