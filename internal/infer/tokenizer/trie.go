package tokenizer

import "slices"

// trie finds all pieces that begin at a place of a text. Nodes are numbered;
// the edges of each lie together, ordered by byte.
type trie struct {
	first  []uint32 // of a node's edges; the next node's first ends them
	labels []byte
	to     []uint32
	values []int32 // of a node, -1 if no piece ends there
}

// newTrie returns a trie of pieces, whose values are their indices.
func newTrie(pieces []string) *trie {
	order := make([]int32, len(pieces))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case pieces[a] < pieces[b]:
			return -1
		case pieces[a] > pieces[b]:
			return 1
		}
		return 0
	})
	// Level by level: a node is a range of the order, all with the same
	// beginning of depth bytes.
	type span struct{ from, to, depth int }
	t := &trie{}
	queue := []span{{0, len(order), 0}}
	for node := 0; node < len(queue); node++ {
		s := queue[node]
		t.first = append(t.first, uint32(len(t.labels))) //nolint:gosec // as many as bytes in the file
		value := int32(-1)
		for s.from < s.to && len(pieces[order[s.from]]) == s.depth {
			value = order[s.from] // of the same piece twice the last counts
			s.from++
		}
		t.values = append(t.values, value)
		for i := s.from; i < s.to; {
			c, j := pieces[order[i]][s.depth], i
			for j < s.to && pieces[order[j]][s.depth] == c {
				j++
			}
			t.labels = append(t.labels, c)
			t.to = append(t.to, uint32(len(queue))) //nolint:gosec // as above
			queue = append(queue, span{i, j, s.depth + 1})
			i = j
		}
	}
	t.first = append(t.first, uint32(len(t.labels))) //nolint:gosec // as above
	return t
}

// prefixes calls f with the length and the value of each piece that s begins
// with, the shortest first.
func (t *trie) prefixes(s string, f func(n int, value int32)) {
	node := uint32(0)
	for i := range len(s) {
		from, to := t.first[node], t.first[node+1]
		at, ok := slices.BinarySearch(t.labels[from:to], s[i])
		if !ok {
			return
		}
		node = t.to[int(from)+at]
		if v := t.values[node]; v >= 0 {
			f(i+1, v)
		}
	}
}
