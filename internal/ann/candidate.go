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
