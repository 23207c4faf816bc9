package jinja

import (
	"slices"
	"strings"
)

// listFilters are those of lists.
func listFilters() map[string]func(m *machine, x Value, a *args) Value {
	return map[string]func(m *machine, x Value, a *args) Value{
		"list": func(m *machine, x Value, _ *args) Value { return &List{Items: m.iterate(x)} },
		"first": func(m *machine, x Value, _ *args) Value {
			if items := m.iterate(x); len(items) > 0 {
				return items[0]
			}
			return undefined{"the first of nothing"}
		},
		"last": func(m *machine, x Value, _ *args) Value {
			if items := m.iterate(x); len(items) > 0 {
				return items[len(items)-1]
			}
			return undefined{"the last of nothing"}
		},
		"reverse": func(m *machine, x Value, _ *args) Value {
			items := slices.Clone(m.iterate(x))
			slices.Reverse(items)
			if _, isText := x.(string); isText {
				return m.join(items, "")
			}
			return &List{Items: items}
		},
		"join": joined,
		"items": func(m *machine, x Value, _ *args) Value {
			if isUndefined(x) {
				return &List{}
			}
			d, ok := x.(*Dict)
			if !ok {
				m.fail("%s has no items", typeName(x))
			}
			return m.itemsOf(d)
		},
		"dictsort": dictsort,
		"sort":     sorted,
		"unique":   unique,
		"map":      mapped,
		"select":   selecting(false, true), "reject": selecting(false, false),
		"selectattr": selecting(true, true), "rejectattr": selecting(true, false),
		"min": extreme(-1), "max": extreme(1),
		"sum":     sum,
		"batch":   batch,
		"groupby": groupby,
	}
}

// path returns what reads an attribute such as "function.name" of a value.
func (m *machine) path(v Value) func(Value) Value {
	if v == nil {
		return func(x Value) Value { return x }
	}
	if i, ok := v.(int64); ok {
		return func(x Value) Value { return m.index(x, i) }
	}
	parts := strings.Split(m.text(v), ".")
	return func(x Value) Value {
		for _, p := range parts {
			if i, ok := toInt(m, p, &args{list: []Value{int64(-1)}}).(int64); ok && i >= 0 {
				x = m.index(x, i)
			} else {
				x = m.index(x, p)
			}
		}
		return x
	}
}

// attributeOf is the argument attribute.
func (a *args) attributeOf(i int) Value {
	v, _ := a.argument(i, "attribute")
	return v
}

func joined(m *machine, x Value, a *args) Value {
	read := m.path(a.attributeOf(1))
	values := slices.Clone(m.iterate(x))
	for i := range values {
		values[i] = read(values[i])
	}
	return m.join(values, a.str(m, 0, "d", ""))
}

// fold is what sorts without case.
func (m *machine) fold(v Value, caseSensitive bool) Value { //nolint:revive // an option
	if s, ok := v.(string); ok && !caseSensitive {
		m.work(len(s))
		return strings.ToLower(s)
	}
	return v
}

func dictsort(m *machine, x Value, a *args) Value {
	d, ok := x.(*Dict)
	if !ok {
		m.fail("%s cannot be sorted as a dict", typeName(x))
	}
	exact, by := a.flag(0, "case_sensitive"), 0
	if a.str(m, 1, "by", "key") == "value" {
		by = 1
	}
	out := m.itemsOf(d)
	key := func(v Value) Value {
		pair, _ := v.(*List) // itemsOf makes them
		return m.fold(pair.Items[by], exact)
	}
	m.sort(out.Items, key, a.flag(2, "reverse"))
	return out
}

func (m *machine) sort(values []Value, key func(Value) Value, backwards bool) { //nolint:revive // an option
	keys := make(map[int]Value, len(values))
	order := make([]int, len(values))
	for i, v := range values {
		keys[i], order[i] = key(v), i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if backwards {
			i, j = j, i
		}
		return m.order(keys[i], keys[j])
	})
	old := slices.Clone(values)
	for to, from := range order {
		values[to] = old[from]
	}
}

func sorted(m *machine, x Value, a *args) Value {
	exact, read := a.flag(1, "case_sensitive"), m.path(a.attributeOf(2))
	values := slices.Clone(m.iterate(x))
	m.sort(values, func(v Value) Value { return m.fold(read(v), exact) }, a.flag(0, "reverse"))
	return &List{Items: values}
}

func unique(m *machine, x Value, a *args) Value {
	exact, read := a.flag(0, "case_sensitive"), m.path(a.attributeOf(1))
	var keys []Value
	out := &List{}
	for _, v := range m.iterate(x) {
		key := m.fold(read(v), exact)
		if !m.contains(&List{Items: keys}, key) {
			keys = append(keys, key)
			out.Items = append(out.Items, v)
		}
	}
	return out
}

func mapped(m *machine, x Value, a *args) Value {
	out := &List{}
	if attribute := a.attributeOf(len(a.list)); attribute != nil {
		read := m.path(attribute)
		missing, hasDefault := a.argument(len(a.list), "default")
		for _, v := range m.iterate(x) {
			got := read(v)
			if isUndefined(got) && hasDefault {
				got = missing
			}
			out.Items = append(out.Items, got)
		}
		return out
	}
	id := a.str(m, 0, "", "")
	rest := &args{list: a.list[min(1, len(a.list)):], named: a.named}
	for _, v := range m.iterate(x) {
		out.Items = append(out.Items, m.filter(id, v, rest))
	}
	return out
}

// selecting is select, reject, selectattr and rejectattr.
func selecting(attribute, keep bool) func(m *machine, x Value, a *args) Value { //nolint:revive // which of four
	return func(m *machine, x Value, a *args) Value {
		read, rest := m.path(nil), a.list
		if attribute {
			read, rest = m.path(one(m, a)), rest[1:]
		}
		is := func(v Value) bool { return truth(v) }
		if len(rest) > 0 {
			id, ok := rest[0].(string)
			if !ok {
				m.fail("the name of a test is %s", typeName(rest[0]))
			}
			more := &args{list: rest[1:], named: a.named}
			is = func(v Value) bool { return m.test(id, v, more) }
		}
		out := &List{}
		for _, v := range m.iterate(x) {
			if is(read(v)) == keep {
				out.Items = append(out.Items, v)
			}
		}
		return out
	}
}

func extreme(sign int) func(m *machine, x Value, a *args) Value {
	return func(m *machine, x Value, a *args) Value {
		exact, read := a.flag(0, "case_sensitive"), m.path(a.attributeOf(1))
		values := m.iterate(x)
		if len(values) == 0 {
			return undefined{"the least or greatest of nothing"}
		}
		best := values[0]
		for _, v := range values[1:] {
			if m.order(m.fold(read(v), exact), m.fold(read(best), exact))*sign > 0 {
				best = v
			}
		}
		return best
	}
}

func sum(m *machine, x Value, a *args) Value {
	read := m.path(a.attributeOf(0))
	total, ok := a.argument(1, "start")
	if !ok {
		total = int64(0)
	}
	for _, v := range m.iterate(x) {
		total = m.arithmetic("+", total, read(v))
	}
	return total
}

func batch(m *machine, x Value, a *args) Value {
	n := a.integer(m, 0, "linecount", 0)
	if n < 1 {
		m.fail("batch of %d", n)
	}
	values := m.iterate(x)
	out := &List{}
	fill, hasFill := a.argument(1, "fill_with")
	for i := 0; i < len(values); {
		part := slices.Clone(values[i:min(len(values), i+int(min(n, maxRange)))])
		i += len(part)
		for hasFill && fill != nil && int64(len(part)) < min(n, maxRange) {
			m.step(1)
			part = append(part, fill)
		}
		out.Items = append(out.Items, &List{Items: part})
	}
	return out
}

func groupby(m *machine, x Value, a *args) Value {
	exact, read := a.flag(2, "case_sensitive"), m.path(a.attributeOf(0))
	values := slices.Clone(m.iterate(x))
	key := func(v Value) Value { return m.fold(read(v), exact) }
	m.sort(values, key, false)
	out := &List{}
	var group *List
	for i, v := range values {
		if i == 0 || !m.equal(key(values[i-1]), key(v)) {
			group = &List{}
			out.Items = append(out.Items, &List{Items: []Value{read(v), group}, tuple: true})
		}
		group.Items = append(group.Items, v)
	}
	return out
}
