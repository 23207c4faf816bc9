package insights

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxText bounds the texts that are kept, in bytes. What is longer is cut and ends
// with an ellipsis.
const MaxText = 4 << 10

// Normalize returns the normal form of a statement: literals and parameters are
// "?", lists of them in IN and rows of VALUES are folded into one, keywords are in
// capitals, white space is canonical, comments and semicolons at the end are gone.
// Two statements of one form differ in their values alone.
func Normalize(sql string) string {
	tokens := foldRows(foldLists(tokenize(strings.ToValidUTF8(sql, "_"))))
	for len(tokens) > 0 && tokens[len(tokens)-1].kind == kindSemi {
		tokens = tokens[:len(tokens)-1]
	}
	return cut(join(tokens), MaxText)
}

// cut keeps the beginning of a text that is longer than limit bytes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

type token struct {
	kind tokenKind
	text string
}

// maxTokens bounds the work on one text: more do not fit into [MaxText] unless they
// are rows that fold.
const maxTokens = 4 * MaxText

func tokenize(sql string) []token {
	tokens := make([]token, 0, min(len(sql)/4+4, maxTokens))
	for sql != "" && len(tokens) < maxTokens {
		kind, size := scan(sql)
		text := sql[:size]
		sql = sql[size:]
		switch kind { //nolint:exhaustive // the others are taken as they are
		case kindSpace:
			continue
		case kindLiteral:
			tokens = appendLiteral(tokens)
			continue
		case kindWord:
			if upper, ok := keyword(text); ok {
				kind, text = kindKeyword, upper
			}
		}
		tokens = append(tokens, token{kind, text})
	}
	return tokens
}

// appendLiteral adds a literal in place of the signs that belong to it. Two in a row
// are no SQL, and one form of it is enough.
func appendLiteral(tokens []token) []token {
	for l := len(tokens); l > 0; l-- {
		if s := tokens[l-1]; s.kind != kindOperator || s.text != "-" && s.text != "+" || l > 1 && tokens[l-2].operand() {
			break
		}
		tokens = tokens[:l-1]
	}
	if l := len(tokens); l > 0 && tokens[l-1].kind == kindLiteral {
		return tokens
	}
	return append(tokens, token{kindLiteral, "?"})
}

// operand reports whether a plus or minus behind the token stands between two
// values.
func (t token) operand() bool {
	switch t.kind { //nolint:exhaustive // the rest is one case
	case kindWord, kindLiteral, kindClose:
		return true
	case kindKeyword:
		return t.text == "NULL" || t.text == "END" || t.text == "CURRENT_TIMESTAMP"
	}
	return false
}

func (t token) is(kind tokenKind, text string) bool { return t.kind == kind && t.text == text }

// foldLists drops all literals but the first from lists behind IN.
func foldLists(tokens []token) []token {
	out := tokens[:0]
	for i := 0; i < len(tokens); i++ {
		out = append(out, tokens[i])
		l := len(out)
		if tokens[i].kind != kindLiteral || l < 3 || out[l-2].kind != kindOpen || !out[l-3].is(kindKeyword, "IN") {
			continue
		}
		end := i
		for end+2 < len(tokens) && tokens[end+1].kind == kindComma && tokens[end+2].kind == kindLiteral {
			end += 2
		}
		if end+1 < len(tokens) && tokens[end+1].kind == kindClose {
			i = end
		}
	}
	return out
}

// foldRows drops the rows of VALUES that have the form of the first.
func foldRows(tokens []token) []token {
	out := tokens[:0]
	for i := 0; i < len(tokens); {
		out = append(out, tokens[i])
		i++
		if !tokens[i-1].is(kindKeyword, "VALUES") {
			continue
		}
		n := row(tokens[i:])
		if n == 0 {
			continue
		}
		out = append(out, tokens[i:i+n]...)
		first := out[len(out)-n:]
		i += n
		for i < len(tokens) && tokens[i].kind == kindComma {
			n := row(tokens[i+1:])
			if n == 0 {
				break
			}
			if !slices.Equal(first, tokens[i+1:i+1+n]) {
				out = append(out, tokens[i:i+1+n]...)
			}
			i += 1 + n
		}
	}
	return out
}

// row is the number of tokens of the parenthesis that tokens begin with, 0 when there is
// none or it does not end.
func row(tokens []token) int {
	depth := 0
	for i, t := range tokens {
		switch t.kind { //nolint:exhaustive // the rest is one case
		case kindOpen:
			depth++
		case kindClose:
			depth--
		}
		if depth <= 0 {
			if t.kind == kindClose {
				return i + 1
			}
			return 0
		}
	}
	return 0
}

// join writes the tokens with canonical space between them.
func join(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 && spaced(tokens[i-1].kind, t.kind) {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
		if b.Len() > MaxText {
			break
		}
	}
	return b.String()
}

func spaced(prev, next tokenKind) bool {
	switch next { //nolint:exhaustive // the rest is one case
	case kindComma, kindDot, kindSemi, kindClose:
		return false
	case kindOpen:
		return prev != kindWord && prev != kindOpen
	}
	return prev != kindOpen && prev != kindDot
}
