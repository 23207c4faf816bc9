package tokenizer

import (
	"strconv"
	"strings"
)

// spaceMark is how vocabularies of text write a space.
const spaceMark = "▁"

// Text is what tokens are as text: the way back. It is made once for a
// tokenizer, and safe for concurrent use.
type Text struct {
	bytes [][]byte
	// special is how special tokens are written.
	special map[int32]string
}

// Text returns the way back. Only models that write have one: those of the type BPE.
func (t *Tokenizer) Text() (*Text, error) {
	x := &Text{bytes: make([][]byte, t.vocabulary), special: make(map[int32]string)}
	switch m := t.model.(type) {
	case *bpe:
		for s, id := range m.ids {
			if m.bytes == nil {
				s = plainText(s, m.fallback != nil)
			}
			x.bytes[id] = []byte(s)
		}
		if m.fallback != nil {
			for i, id := range m.fallback {
				x.bytes[id] = []byte{byte(i)}
			}
		}
	default:
		return nil, unsupported("a model that writes text with a vocabulary of this type; BPE is supported")
	}
	for _, d := range []*dictionary{t.raw, t.cooked} {
		for s, a := range d.tokens {
			x.bytes[a.ID] = []byte(s)
			if a.Special {
				x.bytes[a.ID] = nil
				x.special[a.ID] = s
			}
		}
	}
	return x, nil
}

// plainText is what a token of a vocabulary of text writes: a mark is a space,
// and <0x0A>, if there are such tokens, one byte.
func plainText(s string, fallback bool) string { //nolint:revive // a property of the vocabulary
	if fallback && len(s) == 6 && strings.HasPrefix(s, "<0x") && s[5] == '>' {
		if b, err := strconv.ParseUint(s[3:5], 16, 8); err == nil {
			return string([]byte{byte(b)})
		}
	}
	return strings.ReplaceAll(s, spaceMark, " ")
}

// Bytes is what a token adds to a text: nothing, if it is special. It may be a
// part of a character. The caller does not change it.
func (x *Text) Bytes(id int32) []byte {
	if id < 0 || int(id) >= len(x.bytes) {
		return nil
	}
	return x.bytes[id]
}

// Special returns how a special token is written; nothing of others.
func (x *Text) Special(id int32) string { return x.special[id] }

// Plain returns a tokenizer that finds no special tokens in a text: for text
// that somebody else wrote. It shares all else with t.
func (t *Tokenizer) Plain() *Tokenizer {
	p := *t
	p.raw, p.cooked = t.raw.without(), t.cooked.without()
	return &p
}

// without returns the dictionary without special tokens.
func (d *dictionary) without() *dictionary {
	kept := make(map[string]*AddedToken)
	for s, a := range d.tokens {
		if !a.Special {
			kept[s] = a
		}
	}
	return newDictionary(kept)
}
