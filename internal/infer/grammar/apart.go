package grammar

import "strings"

// apart says for certain that no value fits both nodes.
func apart(a, b *node) bool {
	if a.kind == isUnion || b.kind == isUnion {
		for _, x := range alternatives(a) {
			for _, y := range alternatives(b) {
				if !apart(x, y) {
					return false
				}
			}
		}
		return true
	}
	if a.kind == isObject && b.kind == isObject {
		return told(a, b)
	}
	x, y := firsts(a), firsts(b)
	if !strings.ContainsAny(x, y) {
		return true
	}
	return a.kind == isLiteral && b.kind == isLiteral && disjoint(a.literals, b.literals)
}

func alternatives(n *node) []*node {
	if n.kind == isUnion {
		return n.alts
	}
	return []*node{n}
}

// told says whether a property that both objects must have tells them apart.
func told(a, b *node) bool {
	for i := range a.props {
		for j := range b.props {
			p, q := &a.props[i], &b.props[j]
			if p.text == q.text && p.required && q.required && p.value.kind != isUnion && q.value.kind != isUnion && apart(p.value, q.value) {
				return true
			}
		}
	}
	return false
}

// firsts are the bytes with which values of a node can begin.
func firsts(n *node) string {
	switch n.kind {
	case isText:
		return `"`
	case isNumber:
		return "-0123456789"
	case isList:
		return "["
	case isObject:
		return "{"
	case isLiteral:
		var b strings.Builder
		for c := range n.literals.steps[0].next {
			b.WriteByte(c)
		}
		return b.String()
	case isDone, isKey, isUnion:
	}
	return ""
}

// disjoint says whether two sets of texts share none. That two texts are written otherwise
// and mean the same (1 and 1.0, or an escape) is ruled out: only plain ones are compared.
func disjoint(a, b *trie) bool {
	x, plain, shared := map[string]bool{}, true, false
	isPlain := func(s string) bool {
		if strings.HasPrefix(s, `"`) {
			return !strings.Contains(s, `\`)
		}
		return !strings.ContainsAny(s, `[{.eE`) || s == "true" || s == "false"
	}
	a.each(0, nil, func(s string) {
		x[s] = true
		plain = plain && isPlain(s)
	})
	b.each(0, nil, func(s string) {
		shared = shared || x[s]
		plain = plain && isPlain(s)
	})
	return plain && !shared
}

func (t *trie) each(at int32, prefix []byte, visit func(string)) {
	s := &t.steps[at]
	if s.ends {
		visit(string(prefix))
	}
	for b, next := range s.next {
		t.each(next, append(prefix, b), visit)
	}
}
