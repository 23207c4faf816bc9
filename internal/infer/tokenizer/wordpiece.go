package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// wordPiece takes the longest beginning of a word that the vocabulary has, and
// then likewise of what remains, whose pieces are marked with a prefix. A word
// that cannot be had so is unknown as a whole.
type wordPiece struct {
	// words are the pieces that begin a word, rest those that continue it,
	// without the prefix.
	words, rest map[string]int32
	unknown     int32
	// maxChars is how long a word may be that is not unknown, in code points.
	maxChars int
	// longest is the bytes of the longest piece: no longer one is looked for.
	longest  int
	prefix   string
	vocabLen int
}

func newWordPiece(vocab map[string]int32, unknown, prefix string, maxChars int) (*wordPiece, error) {
	w := &wordPiece{
		words: make(map[string]int32, len(vocab)), rest: make(map[string]int32),
		maxChars: maxChars, prefix: prefix,
	}
	var ok bool
	if w.unknown, ok = vocab[unknown]; !ok {
		return nil, invalid("the vocabulary lacks the unknown token %.50q", unknown)
	}
	for s, id := range vocab {
		w.vocabLen = max(w.vocabLen, int(id)+1)
		w.words[s] = id
		w.longest = max(w.longest, len(s))
		if r, ok := strings.CutPrefix(s, prefix); ok {
			w.rest[r] = id
		}
	}
	return w, nil
}

func (w *wordPiece) size() int { return w.vocabLen }

func (w *wordPiece) id(token string) (int32, bool) {
	id, ok := w.words[token]
	return id, ok
}

func (w *wordPiece) append(ids []int32, word string) []int32 {
	if len(word) > w.maxChars && utf8.RuneCountInString(word) > w.maxChars {
		return append(ids, w.unknown)
	}
	if id, ok := w.words[word]; ok {
		return append(ids, id)
	}
	kept := len(ids)
	from := w.words
	for word != "" {
		end := min(len(word), w.longest)
		for end > 0 && end < len(word) && !utf8.RuneStart(word[end]) {
			end--
		}
		id, ok := from[word[:end]]
		for !ok && end > 0 {
			end--
			for end > 0 && !utf8.RuneStart(word[end]) {
				end--
			}
			id, ok = from[word[:end]]
		}
		if end == 0 {
			return append(ids[:kept], w.unknown)
		}
		ids = append(ids, id)
		word, from = word[end:], w.rest
	}
	return ids
}
