package tokenizer

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern finds parts of a text.
type pattern interface {
	// matches calls f for each match in turn, until it returns false.
	matches(s string, f func(from, to int) bool) bool
}

// literal finds a string.
type literal string

func (l literal) matches(s string, f func(from, to int) bool) bool {
	for at := 0; ; {
		i := strings.Index(s[at:], string(l))
		if i < 0 {
			return true
		}
		if !f(at+i, at+i+len(l)) {
			return false
		}
		at += i + len(l)
	}
}

// expression finds a regular expression, in time linear in the text.
type expression struct{ re *regexp.Regexp }

func (e expression) matches(s string, f func(from, to int) bool) bool {
	for at := 0; at <= len(s); {
		m := e.re.FindStringIndex(s[at:])
		if m == nil {
			return true
		}
		if m[0] == m[1] { // of nothing: no part
			_, size := utf8.DecodeRuneInString(s[at+m[1]:])
			at += m[1] + max(1, size)
			continue
		}
		if !f(at+m[0], at+m[1]) {
			return false
		}
		at += m[1]
	}
	return true
}

// parsePattern reads {"String": …} or {"Regex": …}.
func parsePattern(raw json.RawMessage) (pattern, error) {
	var p struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	}
	if err := decode("pattern", raw, &p); err != nil {
		return nil, err
	}
	switch {
	case p.String != nil && *p.String != "":
		return literal(*p.String), nil
	case p.Regex == nil:
		return nil, invalid("a pattern that is neither String nor Regex, or empty")
	}
	if s, ok := scanners()[*p.Regex]; ok {
		return s, nil
	}
	if len(*p.Regex) > 1000 {
		return nil, unsupported("a regular expression of %d bytes", len(*p.Regex))
	}
	re, err := regexp.Compile(translate(*p.Regex))
	if err != nil {
		return nil, unsupported("the regular expression %q: %w", *p.Regex, err)
	}
	return expression{re}, nil
}

// translate turns the classes of the reference, which are those of Unicode,
// into what Go's package calls so: there \s, \d and \w know ASCII only.
func translate(re string) string {
	var out strings.Builder
	class := false
	for i := 0; i < len(re); i++ {
		switch c := re[i]; {
		case c == '\\' && i+1 < len(re):
			i++
			set, ok := map[byte]string{'s': `\s\x{85}\p{Z}\v`, 'd': `\p{Nd}`, 'w': `\p{L}\p{M}\p{Nd}\p{Pc}`}[re[i]]
			switch {
			case !ok:
				out.WriteString(re[i-1 : i+1])
			case class:
				out.WriteString(set)
			default:
				out.WriteString("[" + set + "]")
			}
		default:
			class = c == '[' || class && c != ']'
			out.WriteByte(c)
		}
	}
	return out.String()
}

// scanner is one of the patterns by which byte-level tokenisers split, written
// out: they look ahead, which Go's regular expressions do not.
type scanner struct {
	// gpt2 is the oldest: words and numbers take a space before them.
	gpt2 bool
	// digits is how many of a number stay together, in the later ones.
	digits int
}

// scanners are the patterns by how they are written.
func scanners() map[string]scanner {
	const tail = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	const head = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	return map[string]scanner{
		`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: {gpt2: true},
		head + `\p{N}{1,3}` + tail: {digits: 3},
		head + `\p{N}` + tail:      {digits: 1},
	}
}

func (c scanner) matches(s string, f func(from, to int) bool) bool {
	for at := 0; at < len(s); {
		n := c.next(s[at:])
		if !f(at, at+n) {
			return false
		}
		at += n
	}
	return true
}

// next is the length of the first part of s, which is not empty.
func (c scanner) next(s string) int {
	if n := c.contraction(s); n > 0 {
		return n
	}
	kind, size := kindOf(s)
	after := other // of what follows the first character
	if size < len(s) {
		after, _ = kindOf(s[size:])
	}
	lead := s[0] == ' ' && size < len(s) // a space that belongs to what follows
	if c.gpt2 {
		switch {
		case lead && after != blank:
			return 1 + run(s[1:], after)
		case kind != blank:
			return run(s, kind)
		}
		return blanks(s)
	}
	switch {
	case kind == word:
		return run(s, word)
	case kind == number:
		return runOf(s, number, c.digits)
	case after == word && size < len(s) && s[0] != '\r' && s[0] != '\n':
		return size + run(s[size:], word)
	case kind == other:
		return c.marks(s, 0)
	case lead && after == other:
		return c.marks(s, 1)
	}
	if n := strings.LastIndexAny(s[:run(s, blank)], "\r\n"); n >= 0 {
		return n + 1
	}
	return blanks(s)
}

// marks is a run of what is neither word, number nor space, and the ends of
// lines after it.
func (scanner) marks(s string, from int) int {
	n := from + run(s[from:], other)
	for n < len(s) && (s[n] == '\r' || s[n] == '\n') {
		n++
	}
	return n
}

// contraction is the length of 's and its like at the beginning of s, or 0.
func (c scanner) contraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	for _, t := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
		if len(s) > len(t) && (s[1:1+len(t)] == t || !c.gpt2 && strings.EqualFold(s[1:1+len(t)], t)) {
			return 1 + len(t)
		}
	}
	return 0
}

// blanks is a run of white space, without its last character if a word follows:
// that one belongs to the word.
func blanks(s string) int {
	n := run(s, blank)
	if n == len(s) {
		return n
	}
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if n > last {
		return n - last
	}
	return n
}

// runeKind is what the patterns tell apart.
type runeKind uint8

const (
	other runeKind = iota
	word
	number
	blank
)

func kindOf(s string) (runeKind, int) {
	if c := s[0]; c < utf8.RuneSelf {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			return word, 1
		case '0' <= c && c <= '9':
			return number, 1
		case c == ' ' || c >= '\t' && c <= '\r':
			return blank, 1
		}
		return other, 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case unicode.IsLetter(r):
		return word, size
	case unicode.IsNumber(r):
		return number, size
	case unicode.IsSpace(r):
		return blank, size
	}
	return other, size
}

// run is the length of the characters of one kind at the beginning of s.
func run(s string, k runeKind) int { return runOf(s, k, len(s)) }

// runOf is run of at most so many characters.
func runOf(s string, k runeKind, most int) int {
	n := 0
	for ; n < len(s) && most > 0; most-- {
		kind, size := kindOf(s[n:])
		if kind != k {
			break
		}
		n += size
	}
	return n
}
