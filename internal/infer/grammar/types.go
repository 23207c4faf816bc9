package grammar

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// types are those that a schema names; nil: it names none.
func (c *compiler) types(s *schema, path string) (names []string) {
	var name string
	switch {
	case s.Type == nil:
		return nil
	case json.Unmarshal(s.Type, &name) == nil:
		names = []string{name}
	case json.Unmarshal(s.Type, &names) != nil || len(names) == 0:
		c.fail(path, "has a 'type' that is neither a name nor a list of names")
	}
	for _, t := range names {
		if !slices.Contains([]string{"object", "array", "string", "number", "integer", "boolean", "null"}, t) {
			c.fail(path, "has the type %.30q, which there is not", t)
		}
	}
	return names
}

// isOf says whether a value is of a type; 1.0 is not taken for an integer.
func isOf(value []byte, t string) bool {
	switch value[0] {
	case '{':
		return t == "object"
	case '[':
		return t == "array"
	case '"':
		return t == "string"
	case 't', 'f':
		return t == "boolean"
	case 'n':
		return t == "null"
	}
	return t == "number" || t == "integer" && !bytes.ContainsAny(value, ".eE")
}

// within refuses alternatives that the type beside them does not allow.
func (c *compiler) within(n *node, s *schema, path string) *node {
	types := c.types(s, path)
	if types == nil {
		return n
	}
	for _, a := range alternatives(n) {
		if a.kind == isUnion {
			c.within(a, s, path)
			continue
		}
		for _, first := range []byte(firsts(a)) {
			fits := slices.ContainsFunc(types, func(t string) bool { return isOf([]byte{first}, t) })
			if a.kind == isNumber && !a.number.integer && !slices.Contains(types, "number") || !fits {
				c.fail(path, "has a 'type' beside alternatives of other types, which are not kept together")
			}
		}
	}
	return n
}

// implied guesses the type of a schema that has none from what it says; nil: any.
func (*compiler) implied(s *schema) []string {
	switch {
	case s.Properties.keys != nil || s.Required != nil || s.AdditionalProperties != nil:
		return []string{"object"}
	case s.Items != nil || s.PrefixItems != nil || s.MinItems != nil || s.MaxItems != nil:
		return []string{"array"}
	case s.MinLength != nil || s.MaxLength != nil:
		return []string{"string"}
	case s.Minimum != nil || s.Maximum != nil || s.ExclusiveMinimum != nil || s.ExclusiveMaximum != nil:
		return []string{"number"}
	}
	return nil
}

// numeric is a number or an integer, perhaps with bounds.
func (c *compiler) numeric(s *schema, integer bool, path string) *node {
	n := &node{kind: isNumber, least: 1, number: numberSpec{integer: integer}}
	spec := &n.number
	unit := new(big.Rat).SetInt(power(spec.scale()))
	for _, b := range []struct {
		text   string
		up     bool // a lower bound
		strict bool
	}{
		{text(s.Minimum), true, false},
		{string(s.ExclusiveMinimum), true, true},
		{text(s.Maximum), false, false},
		{string(s.ExclusiveMaximum), false, true},
	} {
		if b.text == "" || b.text == "false" {
			continue
		}
		const longest = 40
		x, ok := new(big.Rat).SetString(b.text)
		if !ok || len(b.text) > longest || strings.ContainsAny(b.text, "eE") && !small(b.text) {
			c.fail(path, "has a bound %.40q that is no number, or too long", b.text)
		}
		x.Mul(x, unit)
		at := floorDiv(x.Num(), x.Denom())
		if exact := x.IsInt(); b.up && (!exact || b.strict) {
			at.Add(at, big.NewInt(1))
		} else if !b.up && exact && b.strict {
			at.Sub(at, big.NewInt(1))
		}
		switch {
		case b.up && (spec.low == nil || at.Cmp(spec.low) > 0):
			spec.low = at
		case !b.up && (spec.high == nil || at.Cmp(spec.high) < 0):
			spec.high = at
		}
	}
	// No number that is written is beyond these.
	most := new(big.Int).Mul(power(maxDigits), power(spec.scale()))
	if spec.low != nil && spec.low.Cmp(negated(most)) <= 0 {
		spec.low = nil
	}
	if spec.high != nil && spec.high.Cmp(most) >= 0 {
		spec.high = nil
	}
	if spec.bounded() {
		spec.free = &node{kind: isNumber, least: 1, number: numberSpec{integer: integer, plain: true}}
		if n.least = spec.leastMore(""); n.least >= infinite {
			c.fail(path, "has bounds between which there is no number of at most %d digits", maxDigits)
		}
	}
	return n
}

func text(n *json.Number) string {
	if n == nil {
		return ""
	}
	return n.String()
}

// small says whether a number's exponent is one that costs nothing to work out.
func small(number string) bool {
	_, e, _ := strings.Cut(strings.ToLower(number), "e")
	n, err := strconv.Atoi(e)
	const most = 30
	return err == nil && n >= -most && n <= most
}
