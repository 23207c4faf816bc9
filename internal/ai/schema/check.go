package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxProblems bounds what one error tells of: who sends a thousand wrong messages
// learns of the first ones.
const maxProblems = 8

// Error says what of a value does not fit.
type Error struct{ Problems []string }

// Error joins the problems as the platform does.
func (e *Error) Error() string { return strings.Join(e.Problems, ", ") }

// Check compares a value with the schema. The value is as encoding/json decodes it,
// with numbers as json.Number or float64. A nil error means that it fits; another one
// is an *[Error].
func (s *Schema) Check(v any) error {
	c := checker{}
	c.check(s, v, nil)
	if len(c.problems) == 0 {
		return nil
	}
	return &Error{c.problems}
}

type checker struct{ problems []string }

func (c *checker) add(format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

// pointer writes where in the value a problem is.
func pointer(path []string) string {
	const longest = 200
	p := "/" + strings.Join(path, "/")
	if len(p) > longest {
		p = strings.ToValidUTF8(p[:longest], "") + "…"
	}
	return p
}

func (c *checker) check(s *Schema, v any, path []string) {
	if len(c.problems) >= maxProblems {
		return
	}
	if len(s.types) > 0 && !slices.ContainsFunc(s.types, func(t string) bool { return is(t, v) }) {
		c.add("Type mismatch of '%s', '%s' not in '%s'", pointer(path), typeOf(v), strings.Join(s.types, ","))
		return
	}
	switch v := v.(type) {
	case map[string]any:
		c.object(s, v, path)
	case []any:
		c.array(s, v, path)
	case string:
		c.text(s, v, path)
	case json.Number, float64:
		c.number(s, v, path)
	}
	if len(s.oneOf) > 0 {
		c.oneOf(s, v, path)
	}
}

func (c *checker) object(s *Schema, v map[string]any, path []string) {
	var missing []string
	for _, name := range s.required {
		if _, ok := v[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		c.add("required properties at '%s' are '%s'", pointer(path), strings.Join(s.required, ","))
	}
	for _, name := range sorted(s.props) {
		if item, ok := v[name]; ok {
			c.check(s.props[name], item, append(path, name))
		}
	}
}

// sorted returns the names in one order, so that an error is the same each time.
func sorted(props map[string]*Schema) []string {
	names := make([]string, 0, len(props))
	for name := range props {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *checker) array(s *Schema, v []any, path []string) {
	if s.minItems != nil && len(v) < *s.minItems {
		c.add("Length of '%s' must be >= %d, and it has %d items", pointer(path), *s.minItems, len(v))
	}
	if s.maxItems != nil && len(v) > *s.maxItems {
		c.add("Length of '%s' must be <= %d, and it has %d items", pointer(path), *s.maxItems, len(v))
		return
	}
	if s.items == nil {
		return
	}
	for i, item := range v {
		c.check(s.items, item, append(path, strconv.Itoa(i)))
	}
}

func (c *checker) text(s *Schema, v string, path []string) {
	if s.minLength != nil || s.maxLength != nil {
		n := utf8.RuneCountInString(v)
		if s.minLength != nil && n < *s.minLength {
			c.add("Length of '%s' must be >= %d, and it has %d characters", pointer(path), *s.minLength, n)
		}
		if s.maxLength != nil && n > *s.maxLength {
			c.add("Length of '%s' must be <= %d, and it has %d characters", pointer(path), *s.maxLength, n)
		}
	}
	if s.enum != nil && !slices.Contains(s.enum, v) {
		c.add("enum value at '%s' is not one of '%s'", pointer(path), strings.Join(s.enum, ","))
	}
}

func (c *checker) number(s *Schema, v any, path []string) {
	x, ok := float(v)
	if !ok {
		c.add("'%s' is no number of 64 bits", pointer(path))
		return
	}
	if s.minimum != nil && x < *s.minimum {
		c.add("'%s' must be >= %v", pointer(path), *s.minimum)
	}
	if s.maximum != nil && x > *s.maximum {
		c.add("'%s' must be <= %v", pointer(path), *s.maximum)
	}
}

// oneOf wants one alternative at least: a prompt beside messages fits two of the
// platform's, and is taken there.
func (c *checker) oneOf(s *Schema, v any, path []string) {
	var all []string
	for _, one := range s.oneOf {
		inner := checker{}
		inner.check(one, v, path)
		if len(inner.problems) == 0 {
			return
		}
		all = append(all, inner.problems...)
	}
	c.add("oneOf at '%s' not met, 0 matches: %s", pointer(path), strings.Join(all[:min(len(all), maxProblems)], ", "))
}

// is says whether a value is of a schema's type.
func is(t string, v any) bool {
	switch t {
	case "number":
		_, ok := float(v)
		return ok
	case "integer":
		x, ok := float(v)
		return ok && x == math.Trunc(x)
	}
	return typeOf(v) == t
}

func typeOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case nil:
		return "null"
	case json.Number, float64:
		if x, ok := float(v); ok && x == math.Trunc(x) {
			return "integer"
		}
		return "number"
	}
	return "unknown"
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	}
	return 0, false
}
