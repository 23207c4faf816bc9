package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splits applies one splitter to the words of another.
type splits []splitter

func (q splits) split(s string, first bool, emit func(string) bool) bool {
	switch len(q) {
	case 0:
		return emit(s)
	case 1:
		return q[0].split(s, first, emit)
	}
	start := true
	return q[0].split(s, first, func(word string) bool {
		f := first && start
		start = false
		return q[1:].split(word, f, emit)
	})
}

// behavior says what becomes of what a pattern finds.
type behavior string

const (
	isolated behavior = "Isolated"
	removed  behavior = "Removed"
)

// patternSplit cuts at the matches of a pattern, or, inverted, at what is
// between them.
type patternSplit struct {
	pattern pattern
	keep    behavior
	invert  bool
}

func (p patternSplit) split(s string, _ bool, emit func(string) bool) bool {
	at := 0
	part := func(from, to int, match bool) bool {
		return from == to || match != p.invert && p.keep == removed || emit(s[from:to])
	}
	if !p.pattern.matches(s, func(from, to int) bool {
		ok := part(at, from, false) && part(from, to, true)
		at = to
		return ok
	}) {
		return false
	}
	return part(at, len(s), false)
}

// byteLevel splits, if it does, by the pattern of GPT-2. What it does besides,
// writing bytes as letters, is done in the vocabulary instead.
type byteLevel struct {
	prefix bool // put a space before a text that has none
	cut    bool
}

func (b byteLevel) split(s string, _ bool, emit func(string) bool) bool {
	if b.prefix && !strings.HasPrefix(s, " ") {
		s = " " + s
	}
	if !b.cut {
		return emit(s)
	}
	return scanner{gpt2: true}.matches(s, func(from, to int) bool { return emit(s[from:to]) })
}

// metaspace writes spaces as a letter, ▁, and cuts before each.
type metaspace struct {
	mark   string
	scheme string // whether a text gets one at its beginning: "always", "first", "never"
	cut    bool
}

func (m metaspace) split(s string, first bool, emit func(string) bool) bool {
	s = strings.ReplaceAll(s, " ", m.mark)
	begin := m.scheme == "always" || m.scheme == "first" && first
	if begin && !strings.HasPrefix(s, m.mark) {
		s = m.mark + s
	}
	if !m.cut {
		return emit(s)
	}
	for s != "" {
		n := len(s)
		_, size := utf8.DecodeRuneInString(s)
		if i := strings.Index(s[size:], m.mark); i >= 0 {
			n = size + i
		}
		if !emit(s[:n]) {
			return false
		}
		s = s[n:]
	}
	return true
}

// runs cuts where the class of characters changes. Of class -1 nothing is left.
type runs struct {
	class func(r rune) int
	// alone makes each character of class 0 a word of its own.
	alone bool
}

func (c runs) split(s string, _ bool, emit func(string) bool) bool {
	start, last := 0, -1
	for i, r := range s {
		k := c.class(r)
		if k == last && (k != 0 || !c.alone) {
			continue
		}
		if start < i && last >= 0 && !emit(s[start:i]) {
			return false
		}
		start, last = i, k
	}
	return last < 0 || start == len(s) || emit(s[start:])
}

func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Pc) || r == 0x200c || r == 0x200d
}

// whitespace is \w+|[^\w\s]+.
func whitespace() runs {
	return runs{class: func(r rune) int {
		switch {
		case unicode.IsSpace(r):
			return -1
		case isWord(r):
			return 1
		}
		return 2
	}}
}

// whitespaceSplit cuts at white space only.
func whitespaceSplit() runs {
	return runs{class: func(r rune) int {
		if unicode.IsSpace(r) {
			return -1
		}
		return 1
	}}
}

// digits takes numbers apart from the rest, and from each other if alone.
func digits(alone bool) runs {
	return runs{alone: alone, class: func(r rune) int {
		if unicode.IsNumber(r) {
			return 0
		}
		return 1
	}}
}

// punctuation makes each mark a word.
func punctuation() runs {
	return runs{alone: true, class: func(r rune) int {
		if r < utf8.RuneSelf && ascii[r] == mark || unicode.IsPunct(r) {
			return 0
		}
		return 1
	}}
}
