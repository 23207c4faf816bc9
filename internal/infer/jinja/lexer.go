package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	tokenEOF kind = iota
	tokenData
	tokenVarBegin
	tokenVarEnd
	tokenBlockBegin
	tokenBlockEnd
	tokenName
	tokenString
	tokenInt
	tokenFloat
	tokenOp
)

type token struct {
	kind kind
	text string // of a string what it stands for
	line int
}

// lexer cuts a template into tokens. White space around tags is dealt with here.
type lexer struct {
	src    string
	pos    int
	line   int
	tokens []token
	// lineStart says that what comes begins a line, so that white space before a
	// block goes away.
	lineStart bool
}

func (l *lexer) fail(format string, args ...any) {
	panic(&SyntaxError{l.line, fmt.Sprintf(format, args...)})
}

func (l *lexer) add(k kind, text string) { l.tokens = append(l.tokens, token{k, text, l.line}) }

// skip goes on to a position and counts lines on the way.
func (l *lexer) skip(to int) {
	l.line += strings.Count(l.src[l.pos:to], "\n")
	l.pos = to
}

func tokenise(src string) []token {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		l.section()
	}
	l.add(tokenEOF, "")
	return l.tokens
}

// section reads text up to a tag, and the tag.
func (l *lexer) section() {
	at := l.pos
	for {
		i := strings.IndexByte(l.src[at:], '{')
		if i < 0 || at+i+1 >= len(l.src) {
			l.data(len(l.src), ' ', false)
			return
		}
		at += i
		if c := l.src[at+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		at++
	}
	what, sign := l.src[at+1], byte(' ')
	if at+2 < len(l.src) && (l.src[at+2] == '-' || l.src[at+2] == '+') {
		sign = l.src[at+2]
	}
	l.data(at, sign, what != '{')
	l.lineStart = false
	next := at + 2
	if sign != ' ' {
		next++
	}
	switch what {
	case '#':
		l.comment()
	case '{':
		l.skip(next)
		l.add(tokenVarBegin, "")
		l.inside("}}", tokenVarEnd)
	default:
		if l.raw(next) {
			return
		}
		l.skip(next)
		l.add(tokenBlockBegin, "")
		l.inside("%}", tokenBlockEnd)
	}
}

// data adds the text up to a position, without the white space that the tag there takes away.
func (l *lexer) data(to int, sign byte, block bool) {
	text := l.src[l.pos:to]
	switch {
	case sign == '-':
		text = strings.TrimRightFunc(text, unicode.IsSpace)
	case sign == '+' || !block:
	default:
		begin := strings.LastIndexByte(text, '\n') + 1
		if (begin > 0 || l.lineStart) && strings.TrimSpace(text[begin:]) == "" {
			text = text[:begin]
		}
	}
	if text != "" {
		l.add(tokenData, text)
	}
	l.skip(to)
}

// after skips what the end of a tag takes away: with a minus all white space, else a
// block's or a comment's the end of its line.
func (l *lexer) after(sign byte, block bool) {
	rest := l.src[l.pos:]
	switch {
	case sign == '-':
		l.skip(len(l.src) - len(strings.TrimLeftFunc(rest, unicode.IsSpace)))
	case block && sign != '+' && strings.HasPrefix(rest, "\n"):
		l.skip(l.pos + 1)
	}
	l.lineStart = l.src[l.pos-1] == '\n'
}

func (l *lexer) comment() {
	i := strings.Index(l.src[l.pos+2:], "#}")
	if i < 0 {
		l.fail("a comment does not end")
	}
	end := l.pos + 2 + i
	sign := byte(' ')
	if i > 0 {
		sign = l.src[end-1]
	}
	l.skip(end + 2)
	l.after(sign, true)
}

// tag reads a tag of one word from a position after its sign; to is 0 if there is none.
func (l *lexer) tag(from int, word string) (to int, sign byte) {
	rest := strings.TrimLeftFunc(l.src[from:], unicode.IsSpace)
	rest, ok := strings.CutPrefix(rest, word)
	if !ok {
		return 0, ' '
	}
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	sign = ' '
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		sign, rest = rest[0], rest[1:]
	}
	if rest, ok = strings.CutPrefix(rest, "%}"); !ok {
		return 0, ' '
	}
	return len(l.src) - len(rest), sign
}

// raw reads {% raw %}…{% endraw %}; false: it is another block.
func (l *lexer) raw(from int) bool {
	to, sign := l.tag(from, "raw")
	if to == 0 {
		return false
	}
	l.skip(to)
	l.after(sign, false)
	for at := l.pos; ; at += 2 {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			l.fail("{%% raw %%} has no {%% endraw %%}")
		}
		at += i
		inner, before := at+2, byte(' ')
		if inner < len(l.src) && (l.src[inner] == '-' || l.src[inner] == '+') {
			before = l.src[inner]
			inner++
		}
		if to, sign = l.tag(inner, "endraw"); to > 0 {
			l.data(at, before, true)
			l.skip(to)
			l.after(sign, true)
			return true
		}
	}
}

// operators, the longest first.
const operators = "** // == != <= >= + - * / % ~ < > = ( ) [ ] { } . , : |"

// inside reads the tokens of a tag until its end.
func (l *lexer) inside(end string, endKind kind) {
	depth := 0
	for {
		rest := strings.TrimLeftFunc(l.src[l.pos:], unicode.IsSpace)
		l.skip(len(l.src) - len(rest))
		if rest == "" {
			l.fail("a tag has no end %q", end)
		}
		if depth == 0 {
			sign := byte(' ')
			if rest[0] == '-' || rest[0] == '+' && endKind == tokenBlockEnd {
				sign = rest[0]
			}
			if tail := strings.TrimPrefix(rest, strings.TrimSpace(string(sign))); strings.HasPrefix(tail, end) {
				l.add(endKind, "")
				l.skip(len(l.src) - len(tail) + len(end))
				l.after(sign, endKind == tokenBlockEnd)
				return
			}
		}
		switch c := rest[0]; {
		case c == '"' || c == '\'':
			l.text(rest)
		case c >= '0' && c <= '9':
			l.number(rest)
		case c == '_' || c >= utf8.RuneSelf || unicode.IsLetter(rune(c)):
			n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if n == 0 {
				l.fail("unexpected %.10q", rest)
			}
			if n < 0 {
				n = len(rest)
			}
			l.add(tokenName, rest[:n])
			l.skip(l.pos + n)
		default:
			depth += l.operator(rest)
		}
	}
}

// operator reads an operator and returns by how much nesting changes.
func (l *lexer) operator(rest string) int {
	for op := range strings.FieldsSeq(operators) {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		l.add(tokenOp, op)
		l.skip(l.pos + len(op))
		switch op {
		case "(", "[", "{":
			return 1
		case ")", "]", "}":
			return -1
		}
		return 0
	}
	l.fail("unexpected %.10q", rest)
	return 0
}

// number reads 12, 1_000, 0x1f, 1.5 and 1e3.
func (l *lexer) number(rest string) {
	i, k := 0, tokenInt
	digits := func() {
		for i < len(rest) && (rest[i] >= '0' && rest[i] <= '9' || rest[i] == '_') {
			i++
		}
	}
	if len(rest) > 2 && rest[0] == '0' && strings.IndexByte("xXbBoO", rest[1]) >= 0 {
		for i = 2; i < len(rest) && strings.IndexByte("0123456789abcdefABCDEF_", rest[i]) >= 0; {
			i++
		}
	} else {
		digits()
		if i+1 < len(rest) && rest[i] == '.' && rest[i+1] >= '0' && rest[i+1] <= '9' {
			k = tokenFloat
			i++
			digits()
		}
		if i+1 < len(rest) && (rest[i] == 'e' || rest[i] == 'E') {
			j := i + 1
			if rest[j] == '+' || rest[j] == '-' {
				j++
			}
			if j < len(rest) && rest[j] >= '0' && rest[j] <= '9' {
				k, i = tokenFloat, j
				digits()
			}
		}
	}
	l.add(k, strings.ReplaceAll(rest[:i], "_", ""))
	l.skip(l.pos + i)
}

// text reads a literal in quotes.
func (l *lexer) text(rest string) {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			l.add(tokenString, unescape(rest[1:i]))
			l.skip(l.pos + i + 1)
			return
		}
	}
	l.fail("a text has no closing quote")
}
