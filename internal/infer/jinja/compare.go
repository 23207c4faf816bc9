package jinja

import (
	"cmp"
	"strings"
)

// equal says whether two values are, as Python compares them.
func (m *machine) equal(a, b Value) bool {
	m.step(1)
	defer m.enter()()
	switch x := a.(type) {
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case string:
		y, ok := b.(string)
		if ok && len(x) == len(y) {
			m.work(len(x))
		}
		return ok && x == y
	case *List:
		y, ok := b.(*List)
		if !ok || len(x.Items) != len(y.Items) || x.tuple != y.tuple {
			return false
		}
		for i := range x.Items {
			if !m.equal(x.Items[i], y.Items[i]) {
				return false
			}
		}
		return true
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		for i, k := range x.keys {
			v, there := y.get(k)
			if !there || !m.equal(x.values[i], v) {
				return false
			}
		}
		return true
	case *namespace, *function, *loopState:
		return a == b
	}
	i, f, aInt, aOK := numeric(a)
	j, g, bInt, bOK := numeric(b)
	if !aOK || !bOK {
		return false
	}
	if aInt && bInt {
		return i == j
	}
	return f == g
}

// order compares two values that have an order.
func (m *machine) order(a, b Value) int {
	m.step(1)
	defer m.enter()()
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			m.work(min(len(x), len(y)))
			return strings.Compare(x, y)
		}
	}
	if x, ok := a.(*List); ok {
		if y, ok := b.(*List); ok {
			for i := range min(len(x.Items), len(y.Items)) {
				if !m.equal(x.Items[i], y.Items[i]) {
					return m.order(x.Items[i], y.Items[i])
				}
			}
			return cmp.Compare(len(x.Items), len(y.Items))
		}
	}
	i, f, aInt, aOK := numeric(a)
	j, g, bInt, bOK := numeric(b)
	if !aOK || !bOK {
		m.fail("%s and %s have no order", typeName(a), typeName(b))
	}
	if aInt && bInt {
		return cmp.Compare(i, j)
	}
	return cmp.Compare(f, g)
}

// contains says whether x is in a value.
func (m *machine) contains(in, x Value) bool {
	switch c := in.(type) {
	case string:
		s, ok := x.(string)
		if !ok {
			m.fail("%s cannot be in a text", typeName(x))
		}
		m.work(len(c))
		return strings.Contains(c, s)
	case *Dict:
		_, ok := c.get(x)
		return ok
	case *List:
		for _, v := range c.Items {
			if m.equal(v, x) {
				return true
			}
		}
		return false
	case undefined:
		return false
	}
	m.fail("nothing is in %s", typeName(in))
	return false
}
