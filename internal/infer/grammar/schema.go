package grammar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a schema.
const (
	maxNodes = 10_000
	anyDepth = 24 // how deep a value may be for which there is no schema
	maxItems = 10_000
)

type compiler struct {
	whole json.RawMessage
	refs  map[string]*node // nil while it is compiled
	nodes int
	any   []*node
}

// Compile returns the grammar of a schema, or of any JSON object if it is nil. The error
// is a [*SchemaError].
func Compile(text json.RawMessage, v *Vocabulary) (g *Grammar, err error) {
	defer recovered(&g, &err)
	c := &compiler{whole: text, refs: make(map[string]*node)}
	var root *node
	if text == nil {
		root = c.object(&schema{}, "")
	} else {
		root = c.compile(text, "")
	}
	return finished(root, v), nil
}

func finished(root *node, v *Vocabulary) *Grammar {
	if root.least >= infinite {
		panic(&SchemaError{"", "there is no value that fits the schema, or none that is short enough"})
	}
	return newGrammar(root, v)
}

// recovered makes a result of the panic with which a compiler stops.
func recovered(g **Grammar, err *error) {
	if r := recover(); r != nil {
		e, ok := r.(*SchemaError)
		if !ok {
			panic(r)
		}
		*g, *err = nil, e
	}
}

func (*compiler) fail(path, format string, args ...any) {
	panic(&SchemaError{path, fmt.Sprintf(format, args...)})
}

func (c *compiler) compile(text json.RawMessage, path string) *node {
	if c.nodes++; c.nodes > maxNodes {
		c.fail("", "the schema has more than %d parts", maxNodes)
	}
	switch strings.TrimSpace(string(text)) {
	case "true", "{}":
		return c.anything()
	case "false":
		c.fail(path, "is false: nothing fits it")
	}
	s := &schema{}
	if err := json.Unmarshal(text, s); err != nil {
		c.fail(path, "is no schema: a keyword has the wrong type")
	}
	c.check(text, s, path)
	switch {
	case s.Ref != "":
		return c.within(c.ref(s.Ref, path), s, path)
	case s.Const != nil:
		return c.literals([]json.RawMessage{s.Const}, s, path)
	case s.Enum != nil:
		return c.literals(s.Enum, s, path)
	case len(s.AllOf) == 1:
		return c.within(c.compile(s.AllOf[0], path+"/allOf/0"), s, path)
	case len(s.AllOf) > 1:
		c.fail(path, "has 'allOf' of %d schemas, which is not kept; write them as one", len(s.AllOf))
	case s.AnyOf != nil:
		return c.within(c.union(s.AnyOf, path+"/anyOf", false), s, path)
	case s.OneOf != nil:
		return c.within(c.union(s.OneOf, path+"/oneOf", true), s, path)
	}
	return c.typed(s, path)
}

// ref follows #, #/$defs/name and the like.
func (c *compiler) ref(ref, path string) *node {
	if n, ok := c.refs[ref]; ok {
		if n == nil {
			c.fail(path, "refers to itself by %.80q; recursive schemas are not taken, write the levels out", ref)
		}
		return n
	}
	rest, ok := strings.CutPrefix(ref, "#")
	if !ok {
		c.fail(path, "has the $ref %.80q; only those within the schema (#/…) are taken", ref)
	}
	at := c.whole
	for part := range strings.SplitSeq(strings.TrimPrefix(rest, "/"), "/") {
		if rest == "" {
			break
		}
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		var o map[string]json.RawMessage
		var l []json.RawMessage
		i, err := strconv.Atoi(name)
		switch {
		case json.Unmarshal(at, &o) == nil && o[name] != nil:
			at = o[name]
		case json.Unmarshal(at, &l) == nil && err == nil && i >= 0 && i < len(l):
			at = l[i]
		default:
			c.fail(path, "has the $ref %.80q, which leads nowhere", ref)
		}
	}
	c.refs[ref] = nil
	n := c.compile(at, rest)
	c.refs[ref] = n
	return n
}

// literals is one of several values, written without white space.
func (c *compiler) literals(values []json.RawMessage, s *schema, path string) *node {
	var texts []string
	for _, v := range values {
		var b bytes.Buffer
		if json.Compact(&b, v) != nil {
			c.fail(path, "has a value that is no JSON")
		}
		if types := c.types(s, path); types == nil || slices.ContainsFunc(types, func(t string) bool { return isOf(b.Bytes(), t) }) {
			texts = append(texts, b.String())
		}
	}
	if len(texts) == 0 {
		c.fail(path, "allows no value, or none of its type")
	}
	if c.nodes += len(texts); c.nodes > maxNodes {
		c.fail("", "the schema has more than %d parts", maxNodes)
	}
	return literal(texts)
}

func literal(texts []string) *node {
	n := &node{kind: isLiteral, literals: newTrie(texts)}
	n.least = n.literals.steps[0].least
	return n
}

func (c *compiler) union(list []json.RawMessage, path string, exactlyOne bool) *node { //nolint:revive // which keyword
	if len(list) == 0 {
		c.fail(path, "is empty")
	}
	n := &node{kind: isUnion, least: infinite}
	for i, text := range list {
		n.alts = append(n.alts, c.compile(text, path+"/"+strconv.Itoa(i)))
	}
	if exactlyOne {
		for i := range n.alts {
			for j := range i {
				if !apart(n.alts[i], n.alts[j]) {
					c.fail(path, "has alternatives %d and %d that one value could both fit; use anyOf", j, i)
				}
			}
		}
	}
	return unite(n)
}

func unite(n *node) *node {
	for _, a := range n.alts {
		n.least = min(n.least, a.least)
	}
	return n
}

// typed is a schema with a type, or several.
func (c *compiler) typed(s *schema, path string) *node {
	names := c.types(s, path)
	if names == nil {
		names = c.implied(s)
	}
	if names == nil {
		return c.anything()
	}
	if slices.Contains(names, "number") { // which integers are
		names = slices.DeleteFunc(names, func(t string) bool { return t == "integer" })
	}
	n := &node{kind: isUnion, least: infinite}
	for _, t := range names {
		n.alts = append(n.alts, c.one(t, s, path))
	}
	if len(n.alts) == 1 {
		return n.alts[0]
	}
	return unite(n)
}

func (c *compiler) one(t string, s *schema, path string) *node {
	switch t {
	case "object":
		return c.object(s, path)
	case "array":
		return c.list(s, path)
	case "string":
		n := &node{kind: isText, min: c.count(s.MinLength, 0, path), most: c.count(s.MaxLength, -1, path)}
		n.least = 2 + n.min
		if n.most >= 0 && n.min > n.most {
			c.fail(path, "has a 'minLength' above its 'maxLength'")
		}
		return n
	case "number", "integer":
		return c.numeric(s, t == "integer", path)
	case "boolean":
		return literal([]string{"true", "false"})
	}
	return literal([]string{"null"}) // types let no other through
}

func (c *compiler) count(x *float64, missing int, path string) int {
	if x == nil {
		return missing
	}
	const most = 1 << 20
	if *x < 0 || *x > most || *x != float64(int(*x)) {
		c.fail(path, "has a length (such as minItems) that is no whole number from 0 to %d", most)
	}
	return int(*x)
}

func (c *compiler) list(s *schema, path string) *node {
	n := &node{kind: isList, min: c.count(s.MinItems, 0, path), most: c.count(s.MaxItems, -1, path)}
	if n.min > maxItems || n.most >= 0 && n.min > n.most {
		c.fail(path, "has a 'minItems' above its 'maxItems', or above %d", maxItems)
	}
	for i, text := range s.PrefixItems {
		n.items = append(n.items, c.compile(text, path+"/prefixItems/"+strconv.Itoa(i)))
	}
	switch {
	case string(s.Items) == "false":
	case s.Items != nil:
		if s.Items[0] == '[' {
			c.fail(path, "has 'items' that are a list; use 'prefixItems'")
		}
		n.rest = c.compile(s.Items, path+"/items")
	case len(s.PrefixItems) == 0:
		n.rest = c.anything()
	}
	n.least = min(infinite, 2+max(0, n.leastFrom(0)-1))
	return n
}

func (c *compiler) object(s *schema, path string) *node {
	n := &node{kind: isObject}
	for _, name := range s.Properties.keys {
		n.props = append(n.props, property{jsonText(name), c.compile(s.Properties.values[name], path+"/properties/"+name), slices.Contains(s.Required, name)})
	}
	for _, name := range s.Required {
		if _, ok := s.Properties.values[name]; !ok {
			if string(s.AdditionalProperties) == "false" {
				c.fail(path, "requires %.50q, which it does not allow", name)
			}
			n.props = append(n.props, property{jsonText(name), c.extra(s, path), true})
		}
	}
	// Properties that are not named come only where a schema asks for them: a model that may
	// add what it likes seldom stops.
	if len(n.props) == 0 || s.AdditionalProperties != nil {
		n.rest = c.extra(s, path)
	}
	if n.rest != nil {
		var names []string
		for _, p := range n.props {
			names = append(names, p.text[1:len(p.text)-1])
		}
		n.key = &node{kind: isKey, most: -1, least: 2, literals: newTrie(names)}
		if len(names) == 0 {
			n.key.literals = &trie{steps: []trieStep{{}}}
		}
	}
	n.finish()
	return n
}

// extra is what properties without a schema of their own are; nil: there are none.
func (c *compiler) extra(s *schema, path string) *node {
	switch string(s.AdditionalProperties) {
	case "false":
		return nil
	case "", "true", "null":
		return c.anything()
	}
	return c.compile(s.AdditionalProperties, path+"/additionalProperties")
}

// jsonText writes a name as models do: letters of all scripts as they are.
func jsonText(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// anything is any JSON value up to anyDepth.
func (c *compiler) anything() *node {
	if c.any == nil {
		scalar := []*node{{kind: isText, most: -1, least: 2}, {kind: isNumber, least: 1}, literal([]string{"true", "false", "null"})}
		for d := range anyDepth + 1 {
			n := &node{kind: isUnion, least: 1, alts: slices.Clone(scalar)}
			if d > 0 {
				inner := c.any[d-1]
				o := &node{kind: isObject, rest: inner, key: &node{kind: isKey, most: -1, least: 2, literals: &trie{steps: []trieStep{{}}}}}
				o.finish()
				n.alts = append(n.alts, o, &node{kind: isList, most: -1, rest: inner, least: 2})
			}
			c.any = append(c.any, n)
		}
	}
	return c.any[anyDepth]
}
