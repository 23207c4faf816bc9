package assets

import "strings"

// ruleIndex finds the first of many rules that matches a path by looking at few of them. It is a trie over the
// segments of the rules' sources, up to the first segment that is neither literal text nor one placeholder; from
// there on the rules are tried one by one. What the trie finds is a candidate: pattern.match decides.
type ruleIndex struct{ root ruleNode }

type ruleNode struct {
	literal map[string]*ruleNode
	// any is for a segment that is one placeholder.
	any *ruleNode
	// ends holds the rules whose source ends here, open those that go on with a splat or with a
	// placeholder in the midst of text. Both are in order.
	ends, open []int
}

func indexRules(rules []*redirectRule) ruleIndex {
	var x ruleIndex
	for i, r := range rules {
		x.root.add(strings.TrimPrefix(r.source, "/"), i)
	}
	return x
}

func (n *ruleNode) add(source string, rule int) {
	for more := true; more; {
		var seg string
		seg, source, more = strings.Cut(source, "/")
		_, length := wildcardAt(seg+"/", 0)
		switch {
		case !isDynamic(seg):
			next := n.literal[seg]
			if next == nil {
				if n.literal == nil {
					n.literal = make(map[string]*ruleNode)
				}
				next = &ruleNode{}
				n.literal[seg] = next
			}
			n = next
		case seg[0] == ':' && length == len(seg):
			if n.any == nil {
				n.any = &ruleNode{}
			}
			n = n.any
		default:
			n.open = append(n.open, rule)
			return
		}
	}
	n.ends = append(n.ends, rule)
}

// first returns the number of the first rule that matches path, or -1.
func (x *ruleIndex) first(rules []*redirectRule, path string) int {
	if len(rules) == 0 || path == "" {
		return -1
	}
	s := ruleSearch{rules: rules, path: path, best: len(rules)}
	s.visit(&x.root, path)
	if s.best == len(rules) {
		return -1
	}
	return s.best
}

type ruleSearch struct {
	rules []*redirectRule
	path  string
	best  int
}

// visit looks at a node with the part of the path that follows it: nothing, or a slash and more.
func (s *ruleSearch) visit(n *ruleNode, rest string) {
	if rest == "" {
		s.try(n.ends)
		return
	}
	s.try(n.open)
	seg := rest[1:]
	if i := strings.IndexByte(seg, '/'); i >= 0 {
		seg, rest = seg[:i], seg[i:]
	} else {
		rest = ""
	}
	if next := n.literal[seg]; next != nil {
		s.visit(next, rest)
	}
	if n.any != nil && seg != "" {
		s.visit(n.any, rest)
	}
}

// try keeps the first rule that matches if it comes before the best so far.
func (s *ruleSearch) try(rules []int) {
	var buf [8]binding
	for _, i := range rules {
		if i >= s.best {
			return
		}
		if _, ok := s.rules[i].match.match(s.path, buf[:0]); ok {
			s.best = i
			return
		}
	}
}
