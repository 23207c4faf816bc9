package jinja

import (
	"slices"
	"strings"
	"unicode/utf8"
)

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// attribute is x.field: a method goes before a key.
func (m *machine) attribute(x Value, field string) Value {
	switch v := x.(type) {
	case undefined:
		m.fail("%.60q is undefined, and so has no field %.60q", v.name, field)
	case *loopState:
		return v.attribute(field)
	case *namespace:
		if f, ok := v.fields.get(field); ok {
			return f
		}
	case *cycler:
		return v.attribute(field)
	case *Dict:
		if f := m.dictMethod(v, field); f != nil {
			return f
		}
		if f, ok := v.get(field); ok {
			return f
		}
	case string:
		if f := m.textMethod(v, field); f != nil {
			return f
		}
	case *List:
		if f := listMethod(v, field); f != nil {
			return f
		}
	}
	return undefined{field}
}

// index is x[key]: a key goes before a method.
func (m *machine) index(x, key Value) Value {
	switch v := x.(type) {
	case undefined:
		m.fail("%.60q is undefined, and so has no items", v.name)
	case *Dict:
		if f, ok := v.get(key); ok {
			return f
		}
	case *List:
		if i, ok := at(key, len(v.Items)); ok {
			return v.Items[i]
		}
	case string:
		if isASCII(v) {
			if i, ok := at(key, len(v)); ok {
				return v[i : i+1]
			}
		} else if i, ok := at(key, utf8.RuneCountInString(v)); ok {
			m.work(len(v))
			return string([]rune(v)[i])
		}
	}
	if field, ok := key.(string); ok {
		return m.attribute(x, field)
	}
	return undefined{m.text(key)}
}

// at is the position that an index means.
func at(key Value, n int) (int, bool) {
	i, _, isInt, ok := numeric(key)
	if !ok || !isInt {
		return 0, false
	}
	if i < 0 {
		i += int64(n)
	}
	return int(i), i >= 0 && i < int64(n)
}

// argument returns an argument by place or name.
func (a *args) argument(i int, named string) (Value, bool) {
	if i < len(a.list) {
		return a.list[i], true
	}
	if a.named != nil && named != "" {
		return a.named.get(named)
	}
	return nil, false
}

// str returns an argument that must be a text; missing is its value if it is not there.
func (a *args) str(m *machine, i int, named, missing string) string {
	v, ok := a.argument(i, named)
	if !ok || v == nil {
		return missing
	}
	s, ok := v.(string)
	if !ok {
		m.fail("an argument is %s, not a text", typeName(v))
	}
	return s
}

func (a *args) integer(m *machine, i int, named string, missing int64) int64 {
	v, ok := a.argument(i, named)
	if !ok || v == nil {
		return missing
	}
	n, _, isInt, ok := numeric(v)
	if !ok || !isInt {
		m.fail("an argument is %s, not a whole number", typeName(v))
	}
	return n
}

// flag is an option that is off if it is not there.
func (a *args) flag(i int, named string) bool {
	v, ok := a.argument(i, named)
	return ok && truth(v)
}

func (m *machine) dictMethod(d *Dict, field string) Value {
	switch field {
	case "items":
		return &function{field, func(m *machine, _ *args) Value { return m.itemsOf(d) }}
	case "keys":
		return &function{field, func(*machine, *args) Value { return &List{Items: d.keys} }}
	case "values":
		return &function{field, func(*machine, *args) Value { return &List{Items: d.values} }}
	case "copy":
		return &function{field, func(*machine, *args) Value { return d }}
	case "get":
		return &function{field, func(m *machine, a *args) Value {
			if len(a.list) == 0 {
				m.fail("get needs a key")
			}
			if v, ok := d.get(a.list[0]); ok {
				return v
			}
			v, _ := a.argument(1, "default")
			return v
		}}
	case "update", "pop", "popitem", "setdefault", "clear":
		return refused(field)
	}
	return nil
}

func (m *machine) itemsOf(d *Dict) *List {
	m.step(2 * len(d.keys))
	l := &List{}
	for i, k := range d.keys {
		l.Items = append(l.Items, &List{Items: []Value{k, d.values[i]}, tuple: true})
	}
	return l
}

// refused is a method that would change a value in place.
func refused(field string) *function {
	return &function{field, func(m *machine, _ *args) Value {
		m.fail("%s() would change a value in place, which templates may not", field)
		return nil
	}}
}

func listMethod(l *List, field string) Value {
	switch field {
	case "index":
		return &function{field, func(m *machine, a *args) Value {
			for i, v := range l.Items {
				if len(a.list) > 0 && m.equal(v, a.list[0]) {
					return int64(i)
				}
			}
			m.fail("index() found nothing")
			return nil
		}}
	case "count":
		return &function{field, func(m *machine, a *args) Value {
			n := int64(0)
			for _, v := range l.Items {
				if len(a.list) > 0 && m.equal(v, a.list[0]) {
					n++
				}
			}
			return n
		}}
	case "copy":
		return &function{field, func(*machine, *args) Value { return l }}
	case "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse":
		if !l.tuple {
			return refused(field)
		}
	}
	return nil
}

// keyOrder returns the order in which a dict's keys are written.
func (m *machine) keyOrder(d *Dict, byKey bool) []int { //nolint:revive // part of the style
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	if byKey {
		slices.SortStableFunc(order, func(i, j int) int { return m.order(d.keys[i], d.keys[j]) })
	}
	return order
}

// join puts texts together.
func (m *machine) join(values []Value, between string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			m.work(len(between))
			b.WriteString(between)
		}
		s := m.text(v)
		m.work(len(s))
		b.WriteString(s)
	}
	return b.String()
}
