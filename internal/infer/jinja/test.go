package jinja

import (
	"math"
	"strings"
	"unicode/utf8"
)

// tests are what comes after is.
func tests() map[string]func(m *machine, x Value, a *args) bool {
	compare := func(op string) func(m *machine, x Value, a *args) bool {
		return func(m *machine, x Value, a *args) bool { return m.compare(op, x, one(m, a)) }
	}
	return map[string]func(m *machine, x Value, a *args) bool{
		"defined":   func(_ *machine, x Value, _ *args) bool { return !isUndefined(x) },
		"undefined": func(_ *machine, x Value, _ *args) bool { return isUndefined(x) },
		"none":      func(_ *machine, x Value, _ *args) bool { return x == nil },
		"boolean":   is[bool], "string": is[string], "mapping": is[*Dict], "float": is[float64], "integer": is[int64],
		"true":     func(_ *machine, x Value, _ *args) bool { return x == true },
		"false":    func(_ *machine, x Value, _ *args) bool { return x == false },
		"callable": is[*function],
		"number": func(_ *machine, x Value, _ *args) bool {
			_, _, _, ok := numeric(x)
			return ok
		},
		"iterable": func(_ *machine, x Value, _ *args) bool {
			switch x.(type) {
			case string, *List, *Dict, undefined:
				return true
			}
			return false
		},
		"sequence": func(_ *machine, x Value, _ *args) bool {
			switch x.(type) {
			case string, *List, *Dict, undefined:
				return true
			}
			return false
		},
		"odd":         func(m *machine, x Value, _ *args) bool { return m.arithmetic("%", x, int64(2)) == int64(1) },
		"even":        func(m *machine, x Value, _ *args) bool { return m.arithmetic("%", x, int64(2)) == int64(0) },
		"divisibleby": func(m *machine, x Value, a *args) bool { return m.arithmetic("%", x, one(m, a)) == int64(0) },
		"upper": func(m *machine, x Value, _ *args) bool {
			s := m.text(x)
			return s != strings.ToLower(s) && s == strings.ToUpper(s)
		},
		"lower": func(m *machine, x Value, _ *args) bool {
			s := m.text(x)
			return s != strings.ToUpper(s) && s == strings.ToLower(s)
		},
		"sameas": func(m *machine, x Value, a *args) bool { return same(m, x, one(m, a)) },
		"filter": func(m *machine, x Value, _ *args) bool { return m.tables.filters[m.text(x)] != nil },
		"test":   func(m *machine, x Value, _ *args) bool { return m.tables.tests[m.text(x)] != nil },
		"in":     func(m *machine, x Value, a *args) bool { return m.contains(one(m, a), x) },
		"==":     compare("=="), "eq": compare("=="), "equalto": compare("=="), "!=": compare("!="), "ne": compare("!="),
		"<": compare("<"), "lt": compare("<"), "lessthan": compare("<"), "<=": compare("<="), "le": compare("<="),
		">": compare(">"), "gt": compare(">"), "greaterthan": compare(">"), ">=": compare(">="), "ge": compare(">="),
	}
}

func is[T any](_ *machine, x Value, _ *args) bool {
	_, ok := x.(T)
	return ok
}

func isUndefined(x Value) bool {
	_, ok := x.(undefined)
	return ok
}

// same is Python's "is": of the same type, too.
func same(m *machine, x, y Value) bool {
	switch x.(type) {
	case *List, *Dict, *namespace, *function:
		return x == y
	}
	_, xBool := x.(bool)
	_, yBool := y.(bool)
	return xBool == yBool && m.equal(x, y)
}

func (m *machine) test(id string, x Value, a *args) bool {
	f, ok := m.tables.tests[id]
	if !ok {
		m.fail("there is no test %.30q here", id)
	}
	return f(m, x, a)
}

// length counts characters, items or keys.
func (m *machine) length(v Value) int64 {
	switch x := v.(type) {
	case string:
		m.work(len(x))
		return int64(utf8.RuneCountInString(x))
	case *List:
		return int64(len(x.Items))
	case *Dict:
		return int64(len(x.keys))
	case undefined:
		return 0
	}
	m.fail("%s has no length", typeName(v))
	return 0
}

// round is that of Jinja2.
func (m *machine) round(v Value, digits int64, method string) Value {
	_, f, _, ok := numeric(v)
	const most = 15
	if !ok || digits < 0 || digits > most {
		m.fail("%s cannot be rounded", typeName(v))
	}
	scale := math.Pow10(int(digits))
	switch method {
	case "ceil":
		return math.Ceil(f*scale) / scale
	case "floor":
		return math.Floor(f*scale) / scale
	}
	return math.RoundToEven(f*scale) / scale
}
