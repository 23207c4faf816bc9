package jinja

import (
	"maps"
	"net/url"
	"strings"
)

// tables are the filters, tests and methods of texts, by name.
type tables struct {
	filters map[string]func(m *machine, x Value, a *args) Value
	tests   map[string]func(m *machine, x Value, a *args) bool
	methods map[string]func(m *machine, s string, a *args) Value
}

func newTables() *tables {
	t := &tables{filters: filters(), tests: tests(), methods: textMethods()}
	maps.Copy(t.filters, listFilters())
	return t
}

func (m *machine) filter(id string, x Value, a *args) Value {
	f, ok := m.tables.filters[id]
	if !ok {
		m.fail("there is no filter %.30q here", id)
	}
	return f(m, x, a)
}

// onText makes a filter of what works on the text of a value.
func onText(fn func(m *machine, s string, a *args) Value) func(m *machine, x Value, a *args) Value {
	return func(m *machine, x Value, a *args) Value {
		s := m.text(x)
		m.work(len(s))
		return fn(m, s, a)
	}
}

// filters are those of single values.
func filters() map[string]func(m *machine, x Value, a *args) Value {
	return map[string]func(m *machine, x Value, a *args) Value{
		"upper":      onText(func(_ *machine, s string, _ *args) Value { return strings.ToUpper(s) }),
		"lower":      onText(func(_ *machine, s string, _ *args) Value { return strings.ToLower(s) }),
		"capitalize": onText(func(_ *machine, s string, _ *args) Value { return capitalize(s) }),
		"title":      onText(func(_ *machine, s string, _ *args) Value { return title(s) }),
		"trim":       onText(func(m *machine, s string, a *args) Value { return strip(m, s, a, true, true) }),
		"string":     onText(func(_ *machine, s string, _ *args) Value { return s }),
		"safe":       onText(func(_ *machine, s string, _ *args) Value { return s }),
		"wordcount":  onText(func(_ *machine, s string, _ *args) Value { return int64(len(strings.Fields(s))) }),
		"urlencode": onText(func(_ *machine, s string, _ *args) Value {
			return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(s))
		}),
		"escape": onText(escapeHTML), "e": onText(escapeHTML),
		"indent": onText(indent),
		"replace": onText(func(m *machine, s string, a *args) Value {
			return replace(m, s, a.str(m, 0, "old", ""), a.str(m, 1, "new", ""), a.integer(m, 2, "count", -1))
		}),
		"format": onText(func(m *machine, _ string, _ *args) Value {
			m.fail("the filter format is not taken in a chat template; use ~")
			return nil
		}),
		"tojson":  tojson,
		"length":  func(m *machine, x Value, _ *args) Value { return m.length(x) },
		"count":   func(m *machine, x Value, _ *args) Value { return m.length(x) },
		"default": withDefault, "d": withDefault,
		"int": toInt, "float": toFloat,
		"abs": func(m *machine, x Value, _ *args) Value {
			if m.order(x, int64(0)) < 0 {
				return m.arithmetic("-", int64(0), x)
			}
			return x
		},
		"round": func(m *machine, x Value, a *args) Value {
			return m.round(x, a.integer(m, 0, "precision", 0), a.str(m, 1, "method", "common"))
		},
		"attr": func(m *machine, x Value, a *args) Value { return m.attribute(x, a.str(m, 0, "name", "")) },
	}
}

func escapeHTML(m *machine, s string, _ *args) Value {
	out := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
	m.work(len(out))
	return out
}

// indent puts white space before each line but the first, and but empty ones.
func indent(m *machine, s string, a *args) Value {
	by := strings.Repeat(" ", int(max(0, min(a.integerOr(m, 0, "width", 4), 1000))))
	if v, ok := a.argument(0, "width"); ok {
		if text, isText := v.(string); isText {
			by = text
		}
	}
	first, blank := a.flag(1, "first"), a.flag(2, "blank")
	list := strings.Split(s, "\n")
	m.work(len(s) + len(list)*len(by))
	for i, line := range list {
		if (i > 0 || first) && (line != "" || blank) {
			list[i] = by + line
		}
	}
	return strings.Join(list, "\n")
}

// integerOr is integer, and missing for what is a text.
func (a *args) integerOr(m *machine, i int, named string, missing int64) int64 {
	if v, ok := a.argument(i, named); ok {
		if _, isText := v.(string); isText {
			return missing
		}
	}
	return a.integer(m, i, named, missing)
}

func withDefault(_ *machine, x Value, a *args) Value {
	other, ok := a.argument(0, "default_value")
	if !ok {
		other = ""
	}
	if isUndefined(x) || a.flag(1, "boolean") && !truth(x) {
		return other
	}
	return x
}

// tojson is Hugging Face's: json.dumps that leaves letters of all scripts as they are.
func tojson(m *machine, x Value, a *args) Value {
	s := &jsonStyle{comma: ", ", colon: ": ", escapeHigh: a.flag(0, "ensure_ascii"), sorted: a.flag(3, "sort_keys")}
	const deepest = 16
	if v, ok := a.argument(1, "indent"); ok && v != nil {
		if text, isText := v.(string); isText {
			s.indent = text
		} else {
			s.indent = strings.Repeat(" ", int(max(0, min(a.integer(m, 1, "indent", 0), deepest))))
		}
		s.comma = ","
	}
	if v, ok := a.argument(2, "separators"); ok && v != nil {
		pair, isList := v.(*List)
		if !isList || len(pair.Items) != 2 {
			m.fail("separators of tojson are not two texts")
		}
		s.comma, s.colon = m.text(pair.Items[0]), m.text(pair.Items[1])
	}
	var b strings.Builder
	m.json(&b, x, s, 0)
	return b.String()
}
