package tokenizer

import (
	"strings"
	"unicode"
)

// AddedToken is a token that is found in the text as it is written, before the
// text is split.
type AddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// dictionary finds added tokens in a text, the longest of those that begin at
// one place.
type dictionary struct {
	tokens map[string]*AddedToken
	// lengths of the tokens that begin with a byte, descending.
	lengths [256][]int
	// starts are the first bytes of all, if there are few.
	starts string
}

func newDictionary(tokens map[string]*AddedToken) *dictionary {
	d := &dictionary{tokens: tokens}
	var starts []byte
	for s := range tokens {
		if s == "" {
			continue
		}
		ls := d.lengths[s[0]]
		if ls == nil {
			starts = append(starts, s[0])
		}
		at := 0
		for at < len(ls) && ls[at] > len(s) {
			at++
		}
		if at == len(ls) || ls[at] != len(s) {
			ls = append(ls[:at:at], append([]int{len(s)}, ls[at:]...)...)
		}
		d.lengths[s[0]] = ls
	}
	d.starts = string(starts)
	return d
}

func (d *dictionary) empty() bool { return len(d.tokens) == 0 }

func (d *dictionary) exact(s string) (*AddedToken, bool) {
	a, ok := d.tokens[s]
	return a, ok
}

// cut calls emit with the parts of s in order, the added tokens among them,
// until it returns false. White space beside a token that wants it stripped is
// in no part.
func (d *dictionary) cut(s string, emit func(part string, a *AddedToken) bool) {
	if d.empty() {
		emit(s, nil)
		return
	}
	start := 0
	for i := 0; i < len(s); {
		a := d.at(s, i)
		if a == nil {
			i++
			i = d.skip(s, i)
			continue
		}
		before, end := s[start:i], i+len(a.Content)
		if a.LStrip {
			before = strings.TrimRightFunc(before, unicode.IsSpace)
		}
		if before != "" && !emit(before, nil) || !emit("", a) {
			return
		}
		if a.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
		}
		i, start = end, end
	}
	if start < len(s) {
		emit(s[start:], nil)
	}
}

// skip returns where the next token may begin, from i on.
func (d *dictionary) skip(s string, i int) int {
	if len(d.starts) != 1 {
		return i
	}
	if j := strings.IndexByte(s[i:], d.starts[0]); j >= 0 {
		return i + j
	}
	return len(s)
}

// at returns the longest token that begins at s[i:], or nil.
func (d *dictionary) at(s string, i int) *AddedToken {
	for _, n := range d.lengths[s[i]] {
		if n > len(s)-i {
			continue
		}
		if a := d.tokens[s[i:i+n]]; a != nil && (!a.SingleWord || alone(s[:i], s[i+n:])) {
			return a
		}
	}
	return nil
}

// alone reports whether no word continues on either side.
func alone(before, after string) bool {
	return !endsInWord(before) && !beginsWithWord(after)
}
