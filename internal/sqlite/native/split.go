package native

import "strings"

// statementEnd returns where the first statement of sql ends: behind its
// semicolon, or at the end of the text. Semicolons inside strings, names,
// comments and the bodies of triggers do not count. The states are those of
// sqlite3_complete (https://sqlite.org/c3ref/complete.html).
func statementEnd(sql string) int {
	state := atStart
	for i := 0; i < len(sql); {
		token, n := nextToken(sql[i:])
		i += n
		if state = step(state, token); state == atEnd {
			return i
		}
	}
	return len(sql)
}

// Blank reports whether sql holds no statement: spaces, comments and semicolons.
func Blank(sql string) bool {
	for sql != "" {
		token, n := nextToken(sql)
		if token != tokenSpace && token != tokenSemi {
			return false
		}
		sql = sql[n:]
	}
	return true
}

// Split cuts text into its statements, with the comments before them.
func Split(sql string) []string {
	var out []string
	for sql != "" {
		n := statementEnd(sql)
		if s := sql[:n]; strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
		sql = sql[n:]
	}
	return out
}

type splitState int

const (
	atStart   splitState = iota // before the first word
	inPlain                     // inside a statement
	explained                   // after EXPLAIN
	creating                    // after CREATE, perhaps TEMP
	inTrigger                   // inside CREATE TRIGGER … BEGIN …
	bodySemi                    // after a semicolon in there
	bodyEnd                     // after END in there
	atEnd
)

type splitToken int

const (
	tokenSpace splitToken = iota
	tokenSemi
	tokenOther
	tokenExplain
	tokenCreate
	tokenTemp
	tokenTrigger
	tokenEnd
	tokenOpen // a string, a name or a comment that does not end
)

func step(s splitState, t splitToken) splitState {
	if t == tokenSpace {
		return s
	}
	switch s {
	case atStart:
		switch t { //nolint:exhaustive // the rest is one case
		case tokenSemi:
			return atEnd
		case tokenExplain:
			return explained
		case tokenCreate:
			return creating
		}
	case explained:
		switch t { //nolint:exhaustive // the rest is one case
		case tokenSemi:
			return atEnd
		case tokenCreate:
			return creating
		case tokenOther: // QUERY PLAN
			return explained
		}
	case creating:
		switch t { //nolint:exhaustive // the rest is one case
		case tokenSemi:
			return atEnd
		case tokenTemp:
			return creating
		case tokenTrigger:
			return inTrigger
		}
	case inTrigger:
		if t == tokenSemi {
			return bodySemi
		}
		return inTrigger
	case bodySemi:
		switch t { //nolint:exhaustive // the rest is one case
		case tokenSemi:
			return bodySemi
		case tokenEnd:
			return bodyEnd
		}
		return inTrigger
	case bodyEnd:
		if t == tokenSemi {
			return atEnd
		}
		return inTrigger
	case inPlain, atEnd:
		if t == tokenSemi {
			return atEnd
		}
	}
	return inPlain
}

// nextToken returns the kind and the length of the first token.
func nextToken(sql string) (splitToken, int) {
	switch c := sql[0]; c {
	case ';':
		return tokenSemi, 1
	case ' ', '\t', '\n', '\r', '\f':
		return tokenSpace, 1
	case '-':
		if strings.HasPrefix(sql, "--") {
			if i := strings.IndexByte(sql, '\n'); i >= 0 {
				return tokenSpace, i + 1
			}
			return tokenSpace, len(sql)
		}
	case '/':
		if strings.HasPrefix(sql, "/*") {
			return closed(sql, 2, "*/", tokenSpace)
		}
	case '[':
		return closed(sql, 1, "]", tokenOther)
	case '\'', '"', '`': // a doubled quote ends one string and begins the next, which comes to the same
		return closed(sql, 1, string(c), tokenOther)
	default:
		if isWord(c) {
			return word(sql)
		}
	}
	return tokenOther, 1
}

func closed(sql string, from int, end string, t splitToken) (splitToken, int) {
	if i := strings.Index(sql[from:], end); i >= 0 {
		return t, from + i + len(end)
	}
	return tokenOpen, len(sql)
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func word(sql string) (splitToken, int) {
	n := 1
	for n < len(sql) && isWord(sql[n]) {
		n++
	}
	switch w := sql[:n]; {
	case strings.EqualFold(w, "create"):
		return tokenCreate, n
	case strings.EqualFold(w, "temp"), strings.EqualFold(w, "temporary"):
		return tokenTemp, n
	case strings.EqualFold(w, "trigger"):
		return tokenTrigger, n
	case strings.EqualFold(w, "end"):
		return tokenEnd, n
	case strings.EqualFold(w, "explain"):
		return tokenExplain, n
	}
	return tokenOther, n
}
