package insights

import "strings"

type tokenKind byte

const (
	kindSpace    tokenKind = iota // white space and comments
	kindWord                      // a name, quoted or not
	kindKeyword                   // a word that [keyword] knows
	kindLiteral                   // a string, a number, a blob, a parameter
	kindOperator                  // anything else, a character or two
	kindOpen
	kindClose
	kindComma
	kindDot
	kindSemi
)

// scan returns the kind and the length of the first token of sql, which is not
// empty.
func scan(sql string) (tokenKind, int) {
	c := sql[0]
	switch {
	case isSpace(c):
		return kindSpace, 1
	case strings.HasPrefix(sql, "--"):
		return kindSpace, until(sql, 2, "\n")
	case strings.HasPrefix(sql, "/*"):
		return kindSpace, until(sql, 2, "*/")
	case c == '\'':
		return kindLiteral, quoted(sql, '\'')
	case c == '"' || c == '`':
		return kindWord, quoted(sql, c)
	case c == '[':
		return kindWord, until(sql, 1, "]")
	case c == '?' || c == ':' || c == '@' || c == '$' || c == '#':
		return kindLiteral, 1 + wordLen(sql[1:])
	case isDigit(c) || c == '.' && len(sql) > 1 && isDigit(sql[1]):
		return kindLiteral, number(sql)
	case (c == 'x' || c == 'X') && len(sql) > 1 && sql[1] == '\'':
		return kindLiteral, 1 + quoted(sql[1:], '\'')
	case isWord(c):
		return kindWord, wordLen(sql)
	}
	return punctuation(sql)
}

func punctuation(sql string) (tokenKind, int) {
	switch sql[0] {
	case '(':
		return kindOpen, 1
	case ')':
		return kindClose, 1
	case ',':
		return kindComma, 1
	case '.':
		return kindDot, 1
	case ';':
		return kindSemi, 1
	}
	for _, op := range []string{"->>", "->", "<=", ">=", "<>", "!=", "==", "||", "<<", ">>"} {
		if strings.HasPrefix(sql, op) {
			return kindOperator, len(op)
		}
	}
	return kindOperator, 1
}

func until(sql string, from int, end string) int {
	if i := strings.Index(sql[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(sql)
}

// quoted is the length of a string or name in quotes, of which two stand for one.
func quoted(sql string, quote byte) int {
	for i := 1; i < len(sql); i++ {
		if sql[i] != quote {
			continue
		}
		if i+1 == len(sql) || sql[i+1] != quote {
			return i + 1
		}
		i++
	}
	return len(sql)
}

// number is the length of a number: digits, a hexadecimal one, an exponent with its sign.
func number(sql string) int {
	i := 0
	for i < len(sql) && (isWord(sql[i]) || sql[i] == '.' || (sql[i] == '+' || sql[i] == '-') && i > 0 && exponent(sql[:i])) {
		i++
	}
	return i
}

func exponent(s string) bool {
	last := s[len(s)-1]
	return (last == 'e' || last == 'E') && !strings.HasPrefix(s, "0x") && !strings.HasPrefix(s, "0X")
}

func wordLen(sql string) int {
	n := 0
	for n < len(sql) && isWord(sql[n]) {
		n++
	}
	return n
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// keyword returns the capitals of a word that is one of the keywords that stand
// before a parenthesis without calling it, or often in two spellings.
func keyword(word string) (string, bool) {
	const longest = len("CURRENT_TIMESTAMP")
	if len(word) > longest || len(word) < 2 {
		return "", false
	}
	upper := strings.ToUpper(word)
	switch upper {
	case "ABORT", "ADD", "ALL", "ALTER", "ANALYZE", "AND", "AS", "ASC", "BEGIN", "BETWEEN", "BY", "CASE", "CAST", "CHECK", "COLLATE",
		"COLUMN", "CONFLICT", "CONSTRAINT", "CREATE", "CROSS", "CURRENT_TIMESTAMP", "DEFAULT", "DELETE", "DESC", "DISTINCT", "DO", "DROP", "ELSE", "END",
		"ESCAPE", "EXCEPT", "EXISTS", "EXPLAIN", "FILTER", "FOREIGN", "FROM", "FULL", "GLOB", "GROUP", "HAVING", "IF", "IGNORE", "IN", "INDEX",
		"INNER", "INSERT", "INTERSECT", "INTO", "IS", "ISNULL", "JOIN", "KEY", "LEFT", "LIKE", "LIMIT", "MATCH", "NATURAL", "NOT", "NOTHING",
		"NOTNULL", "NULL", "NULLS", "OFFSET", "ON", "OR", "ORDER", "OUTER", "OVER", "PARTITION", "PLAN", "PRAGMA", "PRIMARY", "QUERY", "RECURSIVE",
		"REFERENCES", "REGEXP", "RENAME", "REPLACE", "RETURNING", "RIGHT", "ROWS", "SELECT", "SET", "TABLE", "THEN", "TO", "TRIGGER", "UNION",
		"UNIQUE", "UPDATE", "USING", "VALUES", "VIEW", "VIRTUAL", "WHEN", "WHERE", "WINDOW", "WITH", "WITHOUT":
		return upper, true
	}
	return "", false
}
