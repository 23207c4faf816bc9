package tokenizer

import (
	"encoding/json"
	"math"
	"unicode/utf8"
)

// unigram takes, of all ways to cut a word into pieces, the likeliest: the one
// with the largest sum of scores (Kudo, 2018).
type unigram struct {
	scores  []float64
	ids     map[string]int32
	trie    *trie
	unknown int32
	// penalty is the score of a character that is no piece.
	penalty float64
	// fallback are the tokens that stand for bytes of such, or nil.
	fallback *[256]int32
}

// unknownPenalty is by how much an unknown character is less likely than the
// least likely piece.
const unknownPenalty = 10

func parseUnigram(raw json.RawMessage) (model, error) {
	var d struct {
		Vocab        [][2]json.RawMessage `json:"vocab"`
		Unknown      *int32               `json:"unk_id"`
		ByteFallback bool                 `json:"byte_fallback"`
	}
	if err := decode("model", raw, &d); err != nil {
		return nil, err
	}
	if len(d.Vocab) == 0 || len(d.Vocab) > maxVocabulary {
		return nil, invalid("a vocabulary of %d tokens", len(d.Vocab))
	}
	if d.Unknown == nil || *d.Unknown < 0 || int(*d.Unknown) >= len(d.Vocab) {
		return nil, invalid("a Unigram model whose unk_id is none of its tokens")
	}
	u := &unigram{scores: make([]float64, len(d.Vocab)), ids: make(map[string]int32, len(d.Vocab)), unknown: *d.Unknown}
	pieces, least := make([]string, len(d.Vocab)), math.Inf(1)
	for i, e := range d.Vocab {
		if err := decode("vocab", e[0], &pieces[i]); err != nil {
			return nil, err
		}
		if err := decode("vocab", e[1], &u.scores[i]); err != nil {
			return nil, err
		}
		u.ids[pieces[i]] = int32(i)
		least = min(least, u.scores[i])
	}
	u.penalty = least - unknownPenalty
	u.trie = newTrie(pieces)
	if d.ByteFallback {
		t, err := byteTokens(u.ids)
		if err != nil {
			return nil, err
		}
		u.fallback = t
	}
	return u, nil
}

func (u *unigram) size() int { return len(u.scores) }

func (u *unigram) id(token string) (int32, bool) {
	id, ok := u.ids[token]
	return id, ok
}

// step is the best way to a place in a word: the piece that ends there.
type step struct {
	score float64
	from  int32
	id    int32 // -1: no way leads here; [unknownStep]: an unknown character
}

const unknownStep = math.MaxInt32

// longWord is how many bytes are cut at once: a word without spaces that is
// longer is cut in parts, so that the memory for one text is bounded.
const longWord = 64 << 10

func (u *unigram) append(ids []int32, word string) []int32 {
	for len(word) > longWord {
		n := longWord
		for !utf8.RuneStart(word[n]) && n > 1 {
			n--
		}
		ids = u.cut(ids, word[:n])
		word = word[n:]
	}
	return u.cut(ids, word)
}

func (u *unigram) cut(ids []int32, word string) []int32 {
	steps := make([]step, len(word)+1)
	for i := range steps[1:] {
		steps[i+1].id = -1
	}
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		single := false
		u.trie.prefixes(word[at:], func(n int, id int32) {
			score := u.scores[id]
			if id == u.unknown {
				score = u.penalty
			}
			single = single || n == size
			steps[at+n].offer(steps[at].score+score, at, id)
		})
		if !single {
			steps[at+size].offer(steps[at].score+u.penalty, at, unknownStep)
		}
		at += size
	}
	return u.walk(ids, word, steps)
}

// offer takes another way to a place, if it is better.
func (s *step) offer(score float64, from int, id int32) {
	if s.id < 0 || score > s.score {
		*s = step{score: score, from: int32(from), id: id} //nolint:gosec // less than longWord
	}
}

// walk adds the pieces of the best way to the end of word.
func (u *unigram) walk(ids []int32, word string, steps []step) []int32 {
	kept := len(ids)
	unknown := false // of the piece after this one
	for at := len(word); at > 0; {
		s := steps[at]
		switch {
		case s.id != unknownStep && s.id != u.unknown:
			ids, unknown = append(ids, s.id), false
		case u.fallback != nil:
			for i := at - 1; i >= int(s.from); i-- {
				ids = append(ids, u.fallback[word[i]])
			}
		default:
			if !unknown { // neighbours are one
				ids = append(ids, u.unknown)
			}
			unknown = true
		}
		at = int(s.from)
	}
	for i, j := kept, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}
