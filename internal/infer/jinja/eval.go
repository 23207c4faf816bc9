package jinja

import (
	"math"
	"slices"
	"strings"
)

func (e *literal) eval(m *machine) Value {
	m.step(1)
	return e.value
}

func (e *name) eval(m *machine) Value {
	m.step(1)
	return m.lookup(e.id)
}

func (e *items) eval(m *machine) Value {
	m.step(1 + len(e.list))
	l := &List{tuple: e.tuple, Items: make([]Value, len(e.list))}
	for i, x := range e.list {
		l.Items[i] = x.eval(m)
	}
	return l
}

func (e *pairs) eval(m *machine) Value {
	m.step(1 + len(e.keys))
	d := NewDict()
	for i, k := range e.keys {
		key := k.eval(m)
		if !d.set(key, e.values[i].eval(m)) {
			m.fail("%s cannot be a key", typeName(key))
		}
	}
	return d
}

func (e *unary) eval(m *machine) Value {
	m.step(1)
	x := e.x.eval(m)
	if e.op == "not" {
		return !truth(x)
	}
	i, f, isInt, ok := numeric(x)
	switch {
	case !ok || isInt && i == math.MinInt64:
		m.fail("%s has no negative", typeName(x))
	case e.op == "+" && isInt:
		return i
	case e.op == "+":
		return f
	case isInt:
		return -i
	}
	return -f
}

func (e *binary) eval(m *machine) Value {
	m.step(1)
	defer m.enter()()
	a := e.a.eval(m)
	switch e.op {
	case "and":
		if !truth(a) {
			return a
		}
		return e.b.eval(m)
	case "or":
		if truth(a) {
			return a
		}
		return e.b.eval(m)
	}
	return m.arithmetic(e.op, a, e.b.eval(m))
}

func (e *chain) eval(m *machine) Value {
	m.step(1)
	a := e.first.eval(m)
	for i, op := range e.ops {
		b := e.rest[i].eval(m)
		if !m.compare(op, a, b) {
			return false
		}
		a = b
	}
	return true
}

func (m *machine) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return m.equal(a, b)
	case "!=":
		return !m.equal(a, b)
	case "in":
		return m.contains(b, a)
	case "not in":
		return !m.contains(b, a)
	case "<":
		return m.order(a, b) < 0
	case "<=":
		return m.order(a, b) <= 0
	case ">":
		return m.order(a, b) > 0
	}
	return m.order(a, b) >= 0
}

func (e *concat) eval(m *machine) Value {
	m.step(1)
	parts := make([]string, len(e.parts))
	n := 0
	for i, p := range e.parts {
		parts[i] = m.text(p.eval(m))
		n += len(parts[i])
	}
	m.work(n)
	return strings.Join(parts, "")
}

func (e *choice) eval(m *machine) Value {
	m.step(1)
	switch {
	case truth(e.cond.eval(m)):
		return e.yes.eval(m)
	case e.no == nil:
		return undefined{"what an if without an else leaves out"}
	}
	return e.no.eval(m)
}

func (e *member) eval(m *machine) Value {
	m.step(1)
	x := e.x.eval(m)
	if e.key == nil {
		return m.attribute(x, e.name)
	}
	return m.index(x, e.key.eval(m))
}

func (e *slice) eval(m *machine) Value {
	m.step(1)
	x := e.x.eval(m)
	bound := func(e expr) *int64 {
		if e == nil {
			return nil
		}
		v := e.eval(m)
		if v == nil {
			return nil
		}
		n, ok := v.(int64)
		if !ok {
			m.fail("a slice from %s", typeName(v))
		}
		return &n
	}
	return m.slice(x, bound(e.from), bound(e.to), bound(e.step))
}

// slice is x[from:to:step] as Python has it.
func (m *machine) slice(x Value, from, to, step *int64) Value {
	by := int64(1)
	if step != nil {
		by = *step
	}
	if by == 0 {
		m.fail("a slice with a step of 0")
	}
	text, isText := x.(string)
	var list *List
	switch {
	case isText && isASCII(text) && by == 1:
		i, n := span(int64(len(text)), from, to, by)
		return text[i : i+n]
	case isText:
		list = &List{Items: m.iterate(text)}
	default:
		l, ok := x.(*List)
		if !ok {
			m.fail("%s cannot be sliced", typeName(x))
		}
		list = l
	}
	i, n := span(int64(len(list.Items)), from, to, by)
	m.step(int(n))
	out := make([]Value, 0, n)
	for range n {
		out = append(out, list.Items[i])
		i += by
	}
	if isText {
		return m.join(out, "")
	}
	return &List{Items: out, tuple: list.tuple}
}

// span returns where a slice of n items begins and how many it has.
func span(n int64, from, to *int64, by int64) (begin, count int64) {
	low, high := int64(0), n
	if by < 0 {
		low, high = -1, n-1
	}
	at := func(p *int64, missing int64) int64 {
		if p == nil {
			return missing
		}
		i := *p
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	if by > 0 {
		i, j := at(from, low), at(to, high)
		if j <= i {
			return 0, 0
		}
		return i, (j-i-1)/by + 1
	}
	i, j := at(from, high), at(to, low)
	if i <= j {
		return 0, 0
	}
	if by == math.MinInt64 {
		return i, 1
	}
	return i, (i-j-1)/-by + 1
}

func (m *machine) arguments(in *arguments) *args {
	a := &args{}
	for _, x := range in.list {
		a.list = append(a.list, x.eval(m))
	}
	if in.spread != nil {
		a.list = append(slices.Clip(a.list), m.iterate(in.spread.eval(m))...)
	}
	if len(in.named) > 0 || in.kwargs != nil {
		a.named = NewDict()
	}
	for _, k := range in.named {
		a.named.set(k.name, k.value.eval(m))
	}
	if in.kwargs != nil {
		d, ok := in.kwargs.eval(m).(*Dict)
		if !ok {
			m.fail("what comes after ** is no dict")
		}
		m.step(len(d.keys))
		for i, k := range d.keys {
			a.named.set(k, d.values[i])
		}
	}
	return a
}

func (e *call) eval(m *machine) Value {
	m.step(1)
	fn := e.fn.eval(m)
	return m.call(fn, m.arguments(&e.args))
}

func (m *machine) call(fn Value, a *args) Value {
	defer m.enter()()
	f, ok := fn.(*function)
	if !ok {
		if u, isMissing := fn.(undefined); isMissing {
			m.fail("%.60q is undefined, and cannot be called", u.name)
		}
		m.fail("%s cannot be called", typeName(fn))
	}
	return f.call(m, a)
}

func (e *filtered) eval(m *machine) Value {
	m.step(1)
	return m.filter(e.name, e.x.eval(m), m.arguments(&e.args))
}

func (e *tested) eval(m *machine) Value {
	m.step(1)
	return m.test(e.name, e.x.eval(m), m.arguments(&e.args)) != e.negate
}
