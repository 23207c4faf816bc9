package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is what {{ v }} writes.
func (m *machine) text(v Value) string {
	switch x := v.(type) {
	case string:
		return x
	case undefined:
		return ""
	}
	var b strings.Builder
	m.repr(&b, v)
	return b.String()
}

// repr writes a value as Python does.
func (m *machine) repr(b *strings.Builder, v Value) {
	m.step(1)
	defer m.enter()()
	switch x := v.(type) {
	case nil:
		b.WriteString("None")
	case undefined:
		b.WriteString("Undefined")
	case bool:
		if x {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int64:
		b.WriteString(strconv.FormatInt(x, 10))
	case float64:
		b.WriteString(formatFloat(x))
	case string:
		m.work(len(x))
		quote(b, x)
	case *List:
		open, end := "[", "]"
		if x.tuple {
			open, end = "(", ")"
		}
		b.WriteString(open)
		for i, item := range x.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			m.repr(b, item)
		}
		if x.tuple && len(x.Items) == 1 {
			b.WriteByte(',')
		}
		b.WriteString(end)
	case *Dict:
		b.WriteByte('{')
		for i, k := range x.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			m.repr(b, k)
			b.WriteString(": ")
			m.repr(b, x.values[i])
		}
		b.WriteByte('}')
	default:
		m.fail("%s cannot be written", typeName(v))
	}
}

// formatFloat writes a number with the fewest digits that give it back.
func formatFloat(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "inf"
	case math.IsInf(x, -1):
		return "-inf"
	case math.IsNaN(x):
		return "nan"
	}
	const large, small = 1e16, 1e-4
	if a := math.Abs(x); a != 0 && (a >= large || a < small) {
		return strconv.FormatFloat(x, 'e', -1, 64)
	}
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quote writes a text as Python's repr does.
func quote(b *strings.Builder, s string) {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b.WriteByte(q)
	for i, r := range s {
		switch {
		case r == '\\' || r == rune(q):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteRune(utf8.RuneError)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0x100 && !unicode.IsPrint(r):
			b.WriteString(`\x` + hexDigits(r, 2))
		case r >= 0x100 && !unicode.IsPrint(r) && r <= 0xffff:
			b.WriteString(`\u` + hexDigits(r, 4))
		case r >= 0x100 && !unicode.IsPrint(r):
			b.WriteString(`\U` + hexDigits(r, 8))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(q)
}

func hexDigits(r rune, n int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", n-len(s)) + s
}

// jsonStyle is how tojson writes.
type jsonStyle struct {
	indent     string // "": on one line
	comma      string
	colon      string
	sorted     bool
	escapeHigh bool // ensure_ascii
}

// json writes a value as Python's json.dumps does.
func (m *machine) json(b *strings.Builder, v Value, s *jsonStyle, level int) {
	m.step(1)
	defer m.enter()()
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case int64:
		b.WriteString(strconv.FormatInt(x, 10))
	case float64:
		b.WriteString(strings.NewReplacer("inf", "Infinity", "nan", "NaN").Replace(formatFloat(x)))
	case string:
		m.work(len(x))
		quoteJSON(b, x, s.escapeHigh)
	case *List:
		m.jsonItems(b, '[', ']', len(x.Items), s, level, func(i int) { m.json(b, x.Items[i], s, level+1) })
	case *Dict:
		order := m.keyOrder(x, s.sorted)
		m.jsonItems(b, '{', '}', len(order), s, level, func(i int) {
			key := x.keys[order[i]]
			if key == nil {
				key = "null"
			}
			if k, ok := key.(bool); ok {
				key = strconv.FormatBool(k)
			}
			quoteJSON(b, m.text(key), s.escapeHigh)
			b.WriteString(s.colon)
			m.json(b, x.values[order[i]], s, level+1)
		})
	default:
		m.fail("%s cannot be written as JSON", typeName(v))
	}
}

func (m *machine) jsonItems(b *strings.Builder, open, end byte, n int, s *jsonStyle, level int, item func(int)) {
	b.WriteByte(open)
	newline := func(level int) {
		if s.indent != "" {
			m.work(level * len(s.indent))
			b.WriteString("\n" + strings.Repeat(s.indent, level))
		}
	}
	for i := range n {
		if i > 0 {
			b.WriteString(s.comma)
		}
		newline(level + 1)
		item(i)
	}
	if n > 0 {
		newline(level)
	}
	b.WriteByte(end)
}

func quoteJSON(b *strings.Builder, s string, escapeHigh bool) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < ' ' || escapeHigh && r >= 0x7f && r <= 0xffff:
			b.WriteString(`\u` + hexDigits(r, 4))
		case escapeHigh && r > 0xffff:
			const base, half, low = 0x10000, 10, 0x3ff
			b.WriteString(`\u` + hexDigits(0xd800+(r-base)>>half, 4) + `\u` + hexDigits(0xdc00+(r-base)&low, 4))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
