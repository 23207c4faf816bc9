package ann

import "math/bits"

// Where a walk among allowed rows begins, and how far it looks from one row.
const (
	approachEf  = 24
	spreadSeeds = 64
	twoHopRows  = 2 * graphDegree
)

// searchAllowed is search for when only some rows may be answers: w.best gets
// allowed rows only. The walk steps from allowed row to allowed row; where a
// neighbour is not allowed it looks through it at that one's neighbours, so that
// two allowed rows with a single other between them are still next to each
// other (Patel et al., ACORN, SIGMOD 2024).
//
// It begins both near the query, where a walk among all rows leads, and at some
// allowed rows from all over, for a filter whose rows are all far away.
func (g *graph) searchAllowed(w *walk, c *codes, n, ef int, o *SearchOptions) {
	g.search(w, c, n, approachEf)
	near := append(w.near[:0], w.best...)
	w.near = near
	w.begin(n)
	w.rows = w.rows[:0]
	w.cost.Lists += len(near)
	for _, r := range near {
		row := r.row &^ done
		w.take(row, o)
		for _, x := range g.neighbours(row) {
			if x == none {
				break
			}
			w.take(x, o)
		}
	}
	w.takeSpread(o)
	w.cost.Codes += len(w.rows)
	ranks := w.room()
	c.rank(ranks, &w.query, w.rows)
	w.insertAll(ef, ranks)
	for at := 0; at < len(w.best); {
		if w.best[at].row&done != 0 {
			at++
			continue
		}
		row := w.best[at].row
		w.best[at].row |= done
		g.around(w, row, o)
		w.cost.Codes += len(w.rows)
		ranks := w.room()
		c.rank(ranks, &w.query, w.rows)
		at = min(at+1, w.insertAll(ef, ranks))
	}
}

// take adds row to those to be ranked if it is allowed and new.
func (w *walk) take(row uint32, o *SearchOptions) {
	if o.allowed(row) && w.fresh(row) {
		w.rows = append(w.rows, row)
	}
}

// takeSpread takes some allowed rows from all over.
func (w *walk) takeSpread(o *SearchOptions) {
	first, end := o.words()
	words := end - first
	for i := range spreadSeeds {
		for at := first + i*words/spreadSeeds; at < first+(i+1)*words/spreadSeeds; at++ {
			w.cost.Words++
			if word := o.allowedWord(at); word != 0 {
				w.take(uint32(at<<6+bits.TrailingZeros64(word)), o) //nolint:gosec // below n
				break
			}
		}
	}
}

// around sets w.rows to the allowed rows not seen yet that are one step from
// row, or two where the first is not allowed.
func (g *graph) around(w *walk, row uint32, o *SearchOptions) {
	w.rows, w.through = w.rows[:0], w.through[:0]
	for _, x := range g.neighbours(row) {
		if x == none {
			break
		}
		if !w.fresh(x) {
			continue
		}
		if o.allowed(x) {
			w.rows = append(w.rows, x)
		} else {
			w.through = append(w.through, x)
		}
	}
	w.cost.Lists++
	for _, x := range w.through {
		w.cost.Lists++
		for _, y := range g.neighbours(x) {
			if y == none {
				break
			}
			w.take(y, o)
		}
		if len(w.rows) >= twoHopRows {
			return
		}
	}
}
