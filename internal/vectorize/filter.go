package vectorize

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// condition is what a filter asks of one property.
type condition struct {
	property string
	index    int // in the index's metadata indexes
	not      bool
	// in holds what the value must be one of; it is sorted. Nil for a range.
	in []scalar
	// low and high bound a range; kind missing for an open end.
	low, high         scalar
	lowOpen, highOpen bool // the bound itself is outside
}

// filter is a conjunction.
type filter []condition

// parseFilter reads a filter. Nil JSON is no filter.
func (l *Limits) parseFilter(raw []byte) (filter, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return nil, Fail(CodeFilter, "invalid filter: it is not JSON")
	}
	if compact.Len() >= l.FilterBytes {
		return nil, Fail(CodeFilter, "invalid filter: its compact JSON must be less than %d bytes, and has %d", l.FilterBytes, compact.Len())
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, Fail(CodeFilter, "invalid filter: it must be an object")
	}
	if len(object) == 0 {
		return nil, Fail(CodeFilter, "invalid filter: it must not be empty")
	}
	var out filter
	for property, value := range object {
		if problem := checkPath(property); problem != "" {
			return nil, Fail(CodeFilter, "invalid filter: key %q: %s", clip(property), problem)
		}
		c, err := parseCondition(property, value)
		if err != nil {
			return nil, err
		}
		out = append(out, c...)
	}
	slices.SortFunc(out, func(a, b condition) int { return strings.Compare(a.property, b.property) })
	return out, nil
}

func parseCondition(property string, raw json.RawMessage) ([]condition, error) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, Fail(CodeFilter, "invalid filter: %q: it is not JSON", clip(property))
	}
	operators, ok := value.(map[string]any)
	if !ok {
		c, err := equals(property, "$eq", value)
		return []condition{c}, err
	}
	if len(operators) == 0 {
		return nil, Fail(CodeFilter, "invalid filter: %q has no operator", clip(property))
	}
	if nested := nestedKey(operators); nested != "" {
		return nil, Fail(CodeFilter, "invalid filter: %q is no operator; write a nested property as %q", clip(nested), clip(property+"."+nested))
	}
	ranged := condition{property: property}
	ranges := 0
	var out []condition
	for op, value := range operators {
		switch op {
		case "$eq", "$ne":
			c, err := equals(property, op, value)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "$in", "$nin":
			c, err := oneOf(property, op, value)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		case "$lt", "$lte", "$gt", "$gte":
			if err := ranged.bound(op, value); err != nil {
				return nil, err
			}
			ranges++
		default:
			return nil, Fail(CodeFilter, "invalid filter: %q has the unknown operator %q; there are $eq, $ne, $in, $nin, $lt, $lte, $gt and $gte", clip(property), clip(op))
		}
	}
	if len(out)+min(ranges, 1) > 1 {
		return nil, Fail(CodeFilter, "invalid filter: %q combines operators; only one of $lt, $lte with one of $gt, $gte can be combined", clip(property))
	}
	if ranges > 0 {
		if ranged.low.kind != missing && ranged.high.kind != missing && ranged.low.kind != ranged.high.kind {
			return nil, Fail(CodeFilter, "invalid filter: %q has bounds of two types", clip(property))
		}
		out = append(out, ranged)
	}
	return out, nil
}

func nestedKey(operators map[string]any) string {
	for op := range operators {
		if !strings.HasPrefix(op, "$") {
			return op
		}
	}
	return ""
}

func equals(property, op string, value any) (condition, error) {
	s, ok := filterScalar(value)
	if !ok {
		return condition{}, Fail(CodeFilter, "invalid filter: %q: %s takes a string, a number, a boolean or null", clip(property), op)
	}
	return condition{property: property, not: op == "$ne", in: []scalar{s}}, nil
}

func oneOf(property, op string, value any) (condition, error) {
	list, ok := value.([]any)
	if !ok {
		return condition{}, Fail(CodeFilter, "invalid filter: %q: %s takes an array", clip(property), op)
	}
	c := condition{property: property, not: op == "$nin", in: make([]scalar, 0, len(list))}
	for _, v := range list {
		s, ok := filterScalar(v)
		if !ok {
			return condition{}, Fail(CodeFilter, "invalid filter: %q: %s takes strings, numbers, booleans and null", clip(property), op)
		}
		c.in = append(c.in, s)
	}
	slices.SortFunc(c.in, scalar.compare)
	c.in = slices.Compact(c.in)
	return c, nil
}

func (c *condition) bound(op string, value any) error {
	s, ok := filterScalar(value)
	if !ok || s.kind != text && s.kind != number {
		return Fail(CodeFilter, "invalid filter: %q: %s takes a string or a number", clip(c.property), op)
	}
	end, open := &c.low, &c.lowOpen
	if op == "$lt" || op == "$lte" {
		end, open = &c.high, &c.highOpen
	}
	if end.kind != missing {
		return Fail(CodeFilter, "invalid filter: %q has two bounds on one side", clip(c.property))
	}
	*end, *open = s, op == "$lt" || op == "$gt"
	return nil
}

func filterScalar(v any) (scalar, bool) {
	s := scalarOf(v)
	return s, s.kind != missing || v == nil
}

// bind finds the metadata index of each condition.
func (f filter) bind(meta []MetadataIndex) error {
	for i := range f {
		n := slices.IndexFunc(meta, func(m MetadataIndex) bool { return m.Property == f[i].property })
		if n < 0 {
			return Fail(CodeNotIndexed, "invalid filter: there is no metadata index on %q; create one with \"vectorize create-metadata-index\"", clip(f[i].property))
		}
		f[i].index = n
	}
	return nil
}

// matches reports whether what the indexes hold of a vector satisfies the filter.
func (f filter) matches(values []scalar) bool {
	for i := range f {
		if !f[i].matches(values[f[i].index]) {
			return false
		}
	}
	return true
}

func (c *condition) matches(v scalar) bool {
	if c.in != nil {
		_, found := slices.BinarySearchFunc(c.in, v, scalar.compare)
		return found != c.not
	}
	if v.kind != c.low.kind && v.kind != c.high.kind || v.kind == missing {
		return false
	}
	return c.above(v) && c.below(v)
}

func (c *condition) above(v scalar) bool {
	if c.low.kind == missing {
		return true
	}
	n := v.compare(c.low)
	return n > 0 || n == 0 && !c.lowOpen
}

func (c *condition) below(v scalar) bool {
	if c.high.kind == missing {
		return true
	}
	n := v.compare(c.high)
	return n < 0 || n == 0 && !c.highOpen
}
