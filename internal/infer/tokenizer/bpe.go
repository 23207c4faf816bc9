package tokenizer

import (
	"container/heap"
	"unicode/utf8"
)

// bpe joins the two neighbours that come first in a list of pairs, and again,
// until no neighbours are in the list (Sennrich et al., 2016).
type bpe struct {
	ids    map[string]int32
	merges map[pair]merge
	// bytes are the tokens of single bytes, of a model that works on bytes.
	bytes *[256]int32
	// fallback are the tokens that stand for bytes of characters which are not
	// in the vocabulary, or nil.
	fallback *[256]int32
	unknown  int32 // -1: what is unknown is left out
	fuse     bool
	// whole takes a word that is in the vocabulary as it is.
	whole    bool
	vocabLen int
}

type pair struct{ left, right int32 }

type merge struct{ rank, id int32 }

func (b *bpe) size() int { return b.vocabLen }

func (b *bpe) id(token string) (int32, bool) {
	id, ok := b.ids[token]
	return id, ok
}

func (b *bpe) append(ids []int32, word string) []int32 {
	if b.whole {
		if id, ok := b.ids[word]; ok {
			return append(ids, id)
		}
	}
	kept := len(ids)
	if b.bytes != nil {
		for i := range len(word) {
			ids = append(ids, b.bytes[word[i]])
		}
	} else {
		ids = b.characters(ids, word)
	}
	return append(ids[:kept], b.join(ids[kept:])...)
}

// characters adds the tokens of single characters.
func (b *bpe) characters(ids []int32, word string) []int32 {
	unknown := false
	for i, r := range word {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(word[i:])
		}
		c := word[i : i+size]
		if id, ok := b.ids[c]; ok {
			ids, unknown = append(ids, id), false
			continue
		}
		if b.fallback != nil {
			for j := range len(c) {
				ids = append(ids, b.fallback[c[j]])
			}
			unknown = false
			continue
		}
		if b.unknown >= 0 && (!unknown || !b.fuse) {
			ids = append(ids, b.unknown)
		}
		unknown = true
	}
	return ids
}

// few is up to how many tokens looking at all pairs again is faster than a heap.
const few = 24

// join joins neighbours, in place.
func (b *bpe) join(ids []int32) []int32 {
	if len(ids) > few {
		return b.joinMany(ids)
	}
	for len(ids) > 1 {
		at, best := -1, merge{}
		for i := range len(ids) - 1 {
			if m, ok := b.merges[pair{ids[i], ids[i+1]}]; ok && (at < 0 || m.rank < best.rank) {
				at, best = i, m
			}
		}
		if at < 0 {
			break
		}
		ids[at] = best.id
		ids = append(ids[:at+1], ids[at+2:]...)
	}
	return ids
}

// joinMany is join in n·log n, for words that are as long as someone likes.
func (b *bpe) joinMany(ids []int32) []int32 {
	n := len(ids)
	prev, next := make([]int32, n), make([]int32, n)
	q := &pairs{}
	offer := func(i int32) {
		if j := next[i]; int(j) < n {
			if m, ok := b.merges[pair{ids[i], ids[j]}]; ok {
				heap.Push(q, candidate{m, i, ids[i], ids[j]})
			}
		}
	}
	for i := range ids {
		prev[i], next[i] = int32(i-1), int32(i+1)
	}
	for i := range ids {
		offer(int32(i))
	}
	for q.Len() > 0 {
		c, _ := heap.Pop(q).(candidate)
		j := next[c.at]
		if ids[c.at] != c.left || int(j) >= n || ids[j] != c.right {
			continue // one of the two was joined to another
		}
		ids[c.at], ids[j] = c.id, -1
		if next[c.at] = next[j]; int(next[j]) < n {
			prev[next[j]] = c.at
		}
		offer(c.at)
		if p := prev[c.at]; p >= 0 {
			offer(p)
		}
	}
	out := ids[:0]
	for _, id := range ids {
		if id >= 0 {
			out = append(out, id)
		}
	}
	return out
}

// candidate is a pair of neighbours that may be joined.
type candidate struct {
	merge
	at          int32
	left, right int32
}

// pairs is a heap: the first in the list, and of the same the leftmost, first.
type pairs []candidate

func (p pairs) Len() int { return len(p) }
func (p pairs) Less(i, j int) bool {
	return p[i].rank < p[j].rank || p[i].rank == p[j].rank && p[i].at < p[j].at
}
func (p pairs) Swap(i, j int) { p[i], p[j] = p[j], p[i] }

// Push adds x, for package heap.
func (p *pairs) Push(x any) {
	if c, ok := x.(candidate); ok {
		*p = append(*p, c)
	}
}

// Pop removes the last, for package heap.
func (p *pairs) Pop() any {
	c := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return c
}
