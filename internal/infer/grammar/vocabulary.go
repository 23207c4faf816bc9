package grammar

import (
	"errors"
	"slices"
	"strings"
)

// Vocabulary is the tokens of a model as a trie of their bytes. It is safe for concurrent use.
type Vocabulary struct {
	size int
	eos  []int32
	all  walk
	// inside are tokens that stay within a text in quotes, each bit one; closers are
	// those that leave it.
	inside  []uint64
	closers walk
}

// walk is a trie in the order in which it is walked.
type walk struct {
	steps  []walkStep
	tokens [][]int32 // of each step that ends tokens
}

type walkStep struct {
	b     byte
	depth uint16
	token int32 // into tokens; -1: none ends here
	after int32 // the step after all that begin with this one
}

// maxToken bounds the bytes of a token; longer ones are never let in.
const maxToken = 256

// ErrVocabulary is the error for a vocabulary in which not every text can be written.
var ErrVocabulary = errors.New("grammar: the vocabulary has no token for some byte, so that not every text can be written with it")

// NewVocabulary takes the bytes of each token, nil for one that stands for no text, and
// which tokens end an answer.
func NewVocabulary(tokens [][]byte, eos []int32) (*Vocabulary, error) {
	v := &Vocabulary{size: len(tokens), eos: eos}
	var single [256]bool
	ids := make([]int32, 0, len(tokens))
	for id, text := range tokens {
		if len(text) == 0 || len(text) > maxToken || slices.Contains(eos, int32(id)) {
			continue
		}
		if len(text) == 1 {
			single[text[0]] = true
		}
		ids = append(ids, int32(id))
	}
	for b := ' '; b < '\x7f'; b++ {
		if !single[b] {
			return nil, ErrVocabulary
		}
	}
	slices.SortFunc(ids, func(a, b int32) int { return strings.Compare(string(tokens[a]), string(tokens[b])) })
	v.all = newWalk(tokens, ids)
	v.inside = make([]uint64, v.words())
	v.split(tokens, ids)
	return v, nil
}

func (v *Vocabulary) words() int { return (v.size + 63) / 64 }

// Size is how many tokens there are.
func (v *Vocabulary) Size() int { return v.size }

// split finds the tokens that stay within a text, and those that leave it.
func (v *Vocabulary) split(tokens [][]byte, ids []int32) {
	done := &frame{n: &node{kind: isDone}}
	text := &node{kind: isText, most: -1}
	var closers []int32
	for _, id := range ids {
		f, ended, ok := frame{up: done, n: text, at: textInside}, false, true
		for _, b := range tokens[id] {
			ok = false
			stepText(&f, b, func(to frame) {
				ok = true
				ended = to.n.kind == isDone
				f = to
			})
			if !ok || ended {
				break
			}
		}
		switch {
		case ended:
			closers = append(closers, id)
		case ok:
			v.inside[id/64] |= 1 << (id % 64)
		}
	}
	v.closers = newWalk(tokens, closers)
}

// newWalk makes a trie of tokens that are sorted by their bytes.
func newWalk(tokens [][]byte, sorted []int32) walk {
	var w walk
	var path []int32 // the steps of the last token
	var last []byte
	for _, id := range sorted {
		text := tokens[id]
		same := 0
		for same < min(len(last), len(text)) && last[same] == text[same] {
			same++
		}
		for k := len(path) - 1; k >= same; k-- {
			w.steps[path[k]].after = int32(len(w.steps)) //nolint:gosec // vocabularies are bounded
		}
		path = path[:same]
		for k := same; k < len(text); k++ {
			path = append(path, int32(len(w.steps))) //nolint:gosec // vocabularies are bounded
			w.steps = append(w.steps, walkStep{b: text[k], depth: uint16(k), token: -1})
		}
		end := &w.steps[path[len(path)-1]]
		if end.token < 0 {
			end.token = int32(len(w.tokens)) //nolint:gosec // vocabularies are bounded
			w.tokens = append(w.tokens, nil)
		}
		w.tokens[end.token] = append(w.tokens[end.token], id)
		last = text
	}
	for _, k := range path {
		w.steps[k].after = int32(len(w.steps)) //nolint:gosec // vocabularies are bounded
	}
	return w
}
