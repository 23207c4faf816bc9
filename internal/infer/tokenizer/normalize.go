package tokenizer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// sequence applies one normaliser after another.
type sequence []normalizer

func (q sequence) normalize(s string) string {
	for _, n := range q {
		s = n.normalize(s)
	}
	return s
}

// form is one of the four normal forms of Unicode.
type form norm.Form

func (f form) normalize(s string) string { return norm.Form(f).String(s) }

// lowercase goes character by character, as the reference does: a final sigma
// is not special.
type lowercase struct{}

func (lowercase) normalize(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		out = appendLower(out, r)
	}
	return string(out)
}

// stripAccents removes marks; it is used after a decomposition.
type stripAccents struct{}

func (stripAccents) normalize(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, s)
}

// strip removes white space at the ends.
type strip struct{ left, right bool }

func (t strip) normalize(s string) string {
	if t.left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if t.right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}

// prepend puts something before a text that is not empty.
type prepend string

func (p prepend) normalize(s string) string {
	if s == "" {
		return s
	}
	return string(p) + s
}

// replace puts one string for each match of a pattern.
type replace struct {
	pattern pattern
	content string
}

func (r replace) normalize(s string) string {
	var out strings.Builder
	at := 0
	r.pattern.matches(s, func(from, to int) bool {
		out.WriteString(s[at:from])
		out.WriteString(r.content)
		at = to
		return true
	})
	if at == 0 {
		return s
	}
	out.WriteString(s[at:])
	return out.String()
}
