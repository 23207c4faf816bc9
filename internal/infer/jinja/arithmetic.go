package jinja

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

func (m *machine) arithmetic(op string, a, b Value) Value {
	if v, ok := m.combine(op, a, b); ok {
		return v
	}
	i, f, aInt, aOK := numeric(a)
	j, g, bInt, bOK := numeric(b)
	if !aOK || !bOK {
		m.fail("%s %s %s cannot be worked out", typeName(a), op, typeName(b))
	}
	if (op == "/" || op == "//" || op == "%") && g == 0 {
		m.fail("a division by zero")
	}
	if aInt && bInt && op != "/" && (op != "**" || j >= 0) {
		return m.integers(op, i, j)
	}
	switch op {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	case "/":
		return f / g
	case "//":
		return math.Floor(f / g)
	case "%":
		return f - g*math.Floor(f/g)
	}
	return math.Pow(f, g)
}

// combine is what + and * do to texts and lists.
func (m *machine) combine(op string, a, b Value) (Value, bool) {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok && op == "+" {
			m.work(len(x) + len(y))
			return x + y, true
		}
		if n, ok := b.(int64); ok && op == "*" {
			n = max(n, 0)
			if len(x) > 0 {
				n = min(n, math.MaxInt32)
			}
			m.work(len(x) * int(n))
			return strings.Repeat(x, int(n)), true
		}
	case *List:
		if y, ok := b.(*List); ok && op == "+" && x.tuple == y.tuple {
			m.step(len(x.Items) + len(y.Items))
			return &List{Items: append(slices.Clip(x.Items), y.Items...), tuple: x.tuple}, true
		}
	}
	return nil, false
}

// integers works with whole numbers. Python's have no bound; a template that needs more
// than 64 bits is not one of a chat.
func (m *machine) integers(op string, i, j int64) Value {
	var r int64
	ok := true
	switch op {
	case "+":
		r = i + j
		ok = (r > i) == (j > 0)
	case "-":
		r = i - j
		ok = (r < i) == (j > 0)
	case "*":
		r, ok = multiply(i, j)
	case "//", "%":
		if ok = i != math.MinInt64 || j != -1; ok {
			r = i / j
			rest := i % j
			if rest != 0 && (rest < 0) != (j < 0) {
				r--
				rest += j
			}
			if op == "%" {
				r = rest
			}
		}
	default: // **
		r = 1
		if i == 0 || i == 1 || i == -1 {
			j = min(j, 2+j%2)
		}
		for ; j > 0 && ok; j-- {
			r, ok = multiply(r, i)
		}
	}
	if !ok {
		m.fail("a number is too large")
	}
	return r
}

func multiply(i, j int64) (int64, bool) {
	abs := func(x int64) uint64 {
		if x < 0 {
			return -uint64(x) //nolint:gosec // two's complement: right for the least number, too
		}
		return uint64(x)
	}
	hi, lo := bits.Mul64(abs(i), abs(j))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	return i * j, true
}
