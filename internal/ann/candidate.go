package ann

import (
	"cmp"
	"slices"
)

// Candidate is one answer of a search.
type Candidate struct {
	Row   uint32
	Score float32 // exact, in the meaning of the metric
}

// SearchOptions says what a search is to find.
type SearchOptions struct {
	// K is how many answers are wanted at most.
	K int
	// Ef is how many candidates a graph search keeps: more find better answers
	// and cost more time. 0 chooses by K.
	Ef int
	// Filter, unless nil, has the rows that may be answers. Its Count decides
	// how the search goes about it.
	Filter *Bitmap
	// Deleted, unless nil, has the rows that may not.
	Deleted *Bitmap
	// Exact asks for every allowed row to be compared as it was given.
	Exact bool
}

// allowed says whether row may be an answer.
func (o *SearchOptions) allowed(row uint32) bool {
	return (o.Filter == nil || o.Filter.Has(row)) && !o.Deleted.Has(row)
}

// allowedWord has the rows of the i-th 64 that may be answers, of n rows.
func (o *SearchOptions) allowedWord(i, n int) uint64 {
	w := ^uint64(0)
	if o.Filter != nil {
		w = o.Filter.word(i)
	}
	w &^= o.Deleted.word(i)
	if rest := n - i*64; rest < 64 {
		w &= 1<<rest - 1
	}
	return w
}

// MergeCandidates sorts the answers best first and returns the k best. Among
// equal scores the lower row comes first.
func MergeCandidates(m Metric, cs []Candidate, k int) []Candidate {
	slices.SortFunc(cs, func(a, b Candidate) int {
		if a.Score != b.Score {
			if m.Better(a.Score, b.Score) {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Row, b.Row)
	})
	return cs[:min(k, len(cs))]
}
