package jinja

import (
	"fmt"
	"strings"
	"time"
)

// maxRange is Jinja2's own bound of range.
const maxRange = 100_000

// globals are what a template finds without being given it.
func globals() map[string]Value {
	fn := func(id string, call func(m *machine, a *args) Value) *function { return &function{id, call} }
	return map[string]Value{
		"range": fn("range", rangeOf),
		"dict": fn("dict", func(m *machine, a *args) Value {
			d := NewDict()
			if len(a.list) > 0 {
				from, ok := a.list[0].(*Dict)
				if !ok {
					m.fail("dict() of %s", typeName(a.list[0]))
				}
				merge(m, d, from)
			}
			merge(m, d, a.named)
			return d
		}),
		"namespace": fn("namespace", func(m *machine, a *args) Value {
			ns := &namespace{NewDict()}
			if len(a.list) > 0 {
				from, ok := a.list[0].(*Dict)
				if !ok {
					m.fail("namespace() of %s", typeName(a.list[0]))
				}
				merge(m, ns.fields, from)
			}
			merge(m, ns.fields, a.named)
			return ns
		}),
		"cycler": fn("cycler", func(m *machine, a *args) Value {
			if len(a.list) == 0 {
				m.fail("cycler() has nothing to choose from")
			}
			return &cycler{items: a.list}
		}),
		"joiner": fn("joiner", func(m *machine, a *args) Value {
			used, sep := false, a.str(m, 0, "sep", ", ")
			return fn("joiner", func(*machine, *args) Value {
				if !used {
					used = true
					return ""
				}
				return sep
			})
		}),
		"raise_exception": fn("raise_exception", func(m *machine, a *args) Value {
			text := ""
			if len(a.list) > 0 {
				text = m.text(a.list[0])
			}
			panic(&RunError{Line: m.line, Reason: text, Raised: true})
		}),
		"strftime_now": fn("strftime_now", func(m *machine, a *args) Value {
			text := strftime(m.now(), a.str(m, 0, "format", ""))
			m.work(len(text))
			return text
		}),
	}
}

func merge(m *machine, d, from *Dict) {
	if from == nil {
		return
	}
	m.step(len(from.keys))
	for i, k := range from.keys {
		d.set(k, from.values[i])
	}
}

func rangeOf(m *machine, a *args) Value {
	var from, by int64 = 0, 1
	to := a.integer(m, 0, "", 0)
	if len(a.list) > 1 {
		from, to = to, a.integer(m, 1, "", 0)
		by = a.integer(m, 2, "", 1)
	}
	if by == 0 || len(a.list) == 0 {
		m.fail("range() with a step of 0, or without a bound")
	}
	l := &List{}
	for i := from; by > 0 && i < to || by < 0 && i > to; i += by {
		if len(l.Items) == maxRange {
			m.spent("range() has more than %d numbers", maxRange)
		}
		m.step(1)
		l.Items = append(l.Items, i)
		if next := i + by; (next > i) != (by > 0) {
			break
		}
	}
	return l
}

// cycler goes round its items.
type cycler struct {
	items []Value
	at    int
}

func (c *cycler) attribute(field string) Value {
	switch field {
	case "current":
		return c.items[c.at]
	case "next":
		return &function{field, func(*machine, *args) Value {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v
		}}
	case "reset":
		return &function{field, func(*machine, *args) Value {
			c.at = 0
			return nil
		}}
	}
	return undefined{field}
}

// strftime writes a time as C's strftime does in English, as far as templates ask.
func strftime(t time.Time, format string) string {
	layouts := map[byte]string{
		'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon",
		'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'Z': "MST", 'z': "-0700", 'F': "2006-01-02", 'T': "15:04:05",
		'D': "01/02/06", 'R': "15:04", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch c := format[i]; {
		case c == '%':
			b.WriteByte('%')
		case c == 'j':
			fmt.Fprintf(&b, "%03d", t.YearDay())
		case c == '-' && i+1 < len(format) && strings.IndexByte("dmHIMS", format[i+1]) >= 0: // without a zero before it
			i++
			b.WriteString(strings.TrimPrefix(t.Format(layouts[format[i]]), "0"))
		case layouts[c] != "":
			b.WriteString(t.Format(layouts[c]))
		default:
			b.WriteByte('%')
			b.WriteByte(c)
		}
	}
	return b.String()
}
