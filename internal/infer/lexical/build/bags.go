package build

import (
	"maps"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/lexical"
)

// bag is the words of an entry and how much each belongs there.
type bag map[string]float32

// What a word of an entry counts, by where it is from.
const (
	ofLemma = 2
	ofGloss = 1
	most    = 4 // however often it comes
)

// weightOf is what the words of an entry count in that which points to it.
func weightOf(kind string) float32 {
	switch kind {
	case "@", "@i", "&", "^", "+", "\\", "=", "*", ">": // more general, similar, derived, cause
		return 1
	case "!": // the opposite
		return 0.3
	case "~", "~i": // more special: there may be hundreds
		return 0.25
	}
	return 0.6
}

// bagsOf makes a bag of each entry. Explanations for which noGloss holds are left out.
func bagsOf(all []*Synset, noGloss func(i int) bool) []bag {
	known := map[string]bool{}
	byKey := make(map[string]*Synset, len(all))
	for _, s := range all {
		byKey[s.Key] = s
		for _, l := range s.Lemmas {
			known[l] = true
		}
	}
	has := func(w string) bool { return known[w] }
	words := func(text string) []string { return lexical.Words(text, has, lexical.MaxWords) }
	bags := make([]bag, len(all))
	for i, s := range all {
		b := bag{}
		for _, l := range s.Lemmas {
			b.add(words(l), ofLemma)
		}
		if !noGloss(i) {
			b.add(words(s.Gloss), ofGloss)
		}
		for _, l := range s.links {
			if to := byKey[l.key]; to != nil {
				for _, lemma := range to.Lemmas {
					b.add(words(lemma), weightOf(l.kind))
				}
			}
		}
		bags[i] = b
	}
	return bags
}

func (b bag) add(words []string, weight float32) {
	for _, w := range words {
		b[w] += weight
	}
}

// vocabulary is the words that are in at least least bags, sorted, and in how many.
func vocabulary(bags []bag, least int) (words []string, in map[string]int) {
	in = map[string]int{}
	for _, b := range bags {
		for w := range b {
			in[w]++
		}
	}
	for w, n := range in {
		if n < least {
			delete(in, w)
		}
	}
	return slices.Sorted(maps.Keys(in)), in
}
