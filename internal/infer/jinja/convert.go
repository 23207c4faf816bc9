package jinja

import (
	"math"
	"strconv"
	"strings"
)

// toInt is Jinja2's int: what is no number becomes the default.
func toInt(m *machine, x Value, a *args) Value {
	missing := Value(a.integer(m, 0, "default", 0))
	if i, f, isInt, ok := numeric(x); ok {
		if isInt {
			return i
		}
		if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
			return missing
		}
		return int64(f)
	}
	s, ok := x.(string)
	if !ok {
		return missing
	}
	s = strings.TrimSpace(s)
	base := int(max(2, min(a.integer(m, 1, "base", 10), 36)))
	if i, err := strconv.ParseInt(s, base, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<63 {
		return int64(f)
	}
	return missing
}

func toFloat(_ *machine, x Value, a *args) Value {
	if _, f, _, ok := numeric(x); ok {
		return f
	}
	if s, ok := x.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
			return f
		}
	}
	if v, ok := a.argument(0, "default"); ok {
		return v
	}
	return 0.0
}
