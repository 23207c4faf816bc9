package tokenizer

import "math"

// Tokenizer is one tokenizer.json.
type Tokenizer struct {
	normalizer normalizer // nil: the text as it is
	splitter   splitter   // nil: the text as one word
	model      model
	single     template
	pair       template
	// raw are the added tokens looked for in the text as it came, cooked those
	// looked for in normalised text.
	raw, cooked *dictionary
	vocabulary  int
}

// model turns words into tokens.
type model interface {
	// append adds the tokens of one word to ids.
	append(ids []int32, word string) []int32
	// id returns the number of a token that the vocabulary has.
	id(token string) (int32, bool)
	// size is one more than the highest number of a token.
	size() int
}

// bulk is a model that takes normalised text whole, because it does the work
// of normaliser and splitter in one pass.
type bulk interface {
	model
	appendText(ids []int32, text string, limit int) []int32
}

// normalizer rewrites text before it is split.
type normalizer interface {
	normalize(s string) string
}

// splitter cuts text into words. It stops when emit returns false, and then
// returns false. It is told whether s begins the input.
type splitter interface {
	split(s string, first bool, emit func(word string) bool) bool
}

// Encoding is a text in numbers.
type Encoding struct {
	IDs []int32
	// Types tells the second text of a pair from the first; nil is all zeros.
	Types []uint8
	// Truncated says that the text had more tokens than were asked for.
	Truncated bool
}

// Vocabulary is one more than the highest number of a token.
func (t *Tokenizer) Vocabulary() int { return t.vocabulary }

// TokenID returns the number of a token.
func (t *Tokenizer) TokenID(token string) (int32, bool) {
	if a, ok := t.raw.exact(token); ok {
		return a.ID, true
	}
	if a, ok := t.cooked.exact(token); ok {
		return a.ID, true
	}
	return t.model.id(token)
}

// Encode returns text as at most limit numbers, special tokens included. A
// limit of 0 is none.
func (t *Tokenizer) Encode(text string, limit int) Encoding {
	room := room(limit, t.single.specials)
	ids := t.appendText(text, room+1)
	cut := len(ids) > room
	if cut {
		ids = ids[:room]
	}
	e := t.single.apply(ids, nil)
	e.Truncated = cut
	return e
}

// EncodePair is Encode for two texts that are read together. When they have
// too many tokens the longer is shortened first, down to the length of the
// other, and then both.
func (t *Tokenizer) EncodePair(a, b string, limit int) Encoding {
	room := room(limit, t.pair.specials)
	as, bs := t.appendText(a, room+1), t.appendText(b, room+1)
	x, y := longestFirst(len(as), len(bs), room)
	e := t.pair.apply(as[:x], bs[:y])
	e.Truncated = x < len(as) || y < len(bs)
	return e
}

// Tokens returns the tokens of text without special ones around them, at most
// limit of them, or all if limit is 0.
func (t *Tokenizer) Tokens(text string, limit int) []int32 {
	n := room(limit, 0)
	ids := t.appendText(text, n)
	return ids[:min(n, len(ids))]
}

// room is how many tokens of text fit beside the special ones.
func room(limit, specials int) int {
	if limit <= 0 {
		return math.MaxInt - 1
	}
	return max(0, limit-specials)
}

// longestFirst returns how many tokens of texts of n and m are kept of room, as
// the reference does.
func longestFirst(n, m, room int) (x, y int) {
	if n+m <= room || n+m < 0 {
		return n, m
	}
	short, swap := min(n, m), n > m
	long := room - short
	if short > long {
		short = room / 2
		long = short + room%2
	}
	if swap {
		return min(n, long), min(m, short)
	}
	return min(n, short), min(m, long)
}

// appendText returns the tokens of text until there are limit or more.
func (t *Tokenizer) appendText(text string, limit int) []int32 {
	var ids []int32
	section := 0
	t.raw.cut(text, func(part string, a *AddedToken) bool {
		if a != nil {
			ids = append(ids, a.ID)
		} else if part != "" {
			ids = t.appendPart(ids, part, section == 0, limit)
		}
		section++
		return len(ids) < limit
	})
	return ids
}

func (t *Tokenizer) appendPart(ids []int32, text string, first bool, limit int) []int32 {
	if b, ok := t.model.(bulk); ok && t.normalizer == nil && t.cooked.empty() {
		return b.appendText(ids, text, limit)
	}
	if t.normalizer != nil {
		text = t.normalizer.normalize(text)
	}
	t.cooked.cut(text, func(part string, a *AddedToken) bool {
		switch {
		case a != nil:
			ids = append(ids, a.ID)
		case part == "":
		case t.splitter == nil:
			ids = t.model.append(ids, part)
		default:
			t.splitter.split(part, first, func(word string) bool {
				ids = t.model.append(ids, word)
				return len(ids) < limit
			})
		}
		return len(ids) < limit
	})
	return ids
}
