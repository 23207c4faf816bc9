package edge

import "github.com/selvage-dev/selvage/internal/edge/wire"

// versionOverride returns the version of script that the visitor asks for by
// Cloudflare-Workers-Version-Overrides, a dictionary of structured fields
// (RFC 9651 section 3.2) from names of workers to strings. A field that is no
// dictionary counts for nothing as a whole, as the standard says; so does a value
// of another type, or with an escape in it, which no version's id has.
func (c *call) versionOverride(script string) string {
	version := ""
	for i := range c.r.Fields {
		f := &c.r.Fields[i]
		if f.Known != wire.VersionOverrides {
			continue
		}
		value, found, ok := overrideIn(f.Value, script)
		switch {
		case !ok:
			return ""
		case found:
			version = value
		}
	}
	return version
}

// overrideIn looks for the member key in a dictionary; the last one of a name
// counts. The value is a view of s, and "" when it is no plain string.
func overrideIn(s, key string) (value string, found, ok bool) {
	p := fieldParser{s: s}
	p.spaces()
	for p.more() {
		name, good := p.key()
		if !good {
			return "", false, false
		}
		v := ""
		if p.take('=') {
			if v, good = p.member(); !good {
				return "", false, false
			}
		}
		if !p.parameters() {
			return "", false, false
		}
		if name == key {
			value, found = v, true
		}
		p.blanks()
		if !p.more() {
			break
		}
		if !p.take(',') {
			return "", false, false
		}
		p.blanks()
		if !p.more() {
			return "", false, false // a comma at the end
		}
	}
	return value, found, true
}

// fieldParser reads structured fields (RFC 9651 section 4.2) without keeping what
// it reads: whether a field is well-formed decides whether any of it counts.
type fieldParser struct {
	s string
	i int
}

func (p *fieldParser) more() bool { return p.i < len(p.s) }

func (p *fieldParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *fieldParser) take(c byte) bool {
	if p.peek() == c && p.more() {
		p.i++
		return true
	}
	return false
}

func (p *fieldParser) spaces() {
	for p.take(' ') {
	}
}

func (p *fieldParser) blanks() {
	for p.take(' ') || p.take('\t') {
	}
}

func (p *fieldParser) while(ok func(byte) bool) string {
	start := p.i
	for p.more() && ok(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

func (p *fieldParser) key() (string, bool) {
	if c := p.peek(); !isLower(c) && c != '*' {
		return "", false
	}
	return p.while(func(c byte) bool {
		return isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'
	}), true
}

// member reads an item or an inner list, without parameters.
func (p *fieldParser) member() (text string, ok bool) {
	if !p.take('(') {
		return p.bare()
	}
	for {
		p.spaces()
		if p.take(')') {
			return "", true
		}
		if _, ok := p.bare(); !ok || !p.parameters() {
			return "", false
		}
		if c := p.peek(); c != ' ' && c != ')' {
			return "", false
		}
	}
}

func (p *fieldParser) parameters() bool {
	for p.take(';') {
		p.spaces()
		if _, ok := p.key(); !ok {
			return false
		}
		if p.take('=') {
			if _, ok := p.bare(); !ok {
				return false
			}
		}
	}
	return true
}

// bare reads a bare item and returns the text of a string without escapes.
func (p *fieldParser) bare() (text string, ok bool) {
	switch c := p.peek(); {
	case c == '"':
		return p.text()
	case c == '-' || isDigit(c):
		return "", p.number()
	case isAlpha(c) || c == '*':
		p.while(func(c byte) bool { return isTokenByte(c) || c == ':' || c == '/' })
		return "", true
	case p.take(':'): // bytes
		p.while(func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '+' || c == '/' || c == '=' })
		return "", p.take(':')
	case p.take('?'): // a boolean
		return "", p.take('0') || p.take('1')
	case p.take('@'): // a date
		return "", p.integer() > 0
	case p.take('%'): // a display string
		if p.peek() != '"' {
			return "", false
		}
		_, ok := p.text()
		return "", ok
	}
	return "", false
}

// text reads a string. One with an escape gives "".
func (p *fieldParser) text() (string, bool) {
	p.i++ // the quote
	start, plain := p.i, true
	for p.more() {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			if !plain {
				return "", true
			}
			return p.s[start : p.i-1], true
		case c == '\\':
			plain = false
			p.i++
			if n := p.peek(); n != '"' && n != '\\' {
				return "", false
			}
		case c < ' ' || c > '~':
			return "", false
		}
		p.i++
	}
	return "", false
}

// number reads an integer, or a decimal of at most 12 digits with at most 3 after
// the point.
func (p *fieldParser) number() bool {
	whole := p.integer()
	if whole == 0 || !p.take('.') {
		return whole > 0
	}
	fraction := len(p.while(isDigit))
	return whole <= 12 && fraction >= 1 && fraction <= 3
}

// integer reads an integer of at most 15 digits and returns how many it has, 0
// for what is none.
func (p *fieldParser) integer() int {
	p.take('-')
	n := len(p.while(isDigit))
	if n > 15 {
		return 0
	}
	return n
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isTokenByte(c byte) bool {
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return isAlpha(c) || isDigit(c)
}
