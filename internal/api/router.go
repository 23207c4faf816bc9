package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// router finds the route of a path. It exists beside [net/http.ServeMux] because that one answers a
// path that is not clean with a redirect, which a client of an API must never get.
//
// Patterns and paths are split at "/" while the path is still percent-encoded, so a name may hold an
// encoded slash. A literal segment is preferred to a wildcard. Building it panics on two routes for
// the same method and pattern: the table is part of the program.
type router struct{ root *node }

type node struct {
	literal map[string]*node
	wild    *node
	methods map[string]*route
}

// match is the outcome of a search.
type match struct {
	Route  *route
	Params map[string]string
	// Allow lists the methods that the path does take, sorted, when Route is nil; empty when no route
	// has the path.
	Allow []string
}

func newRouter(table []route) *router {
	r := &router{root: &node{}}
	for i := range table {
		r.add(&table[i])
	}
	return r
}

func (r *router) add(rt *route) {
	n := r.root
	for seg := range strings.SplitSeq(strings.TrimPrefix(rt.Pattern, "/"), "/") {
		if strings.HasPrefix(seg, "{") {
			if n.wild == nil {
				n.wild = &node{}
			}
			n = n.wild
			continue
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[seg] == nil {
			n.literal[seg] = &node{}
		}
		n = n.literal[seg]
	}
	if n.methods == nil {
		n.methods = map[string]*route{}
	}
	if n.methods[rt.Method] != nil {
		panic(fmt.Sprintf("api: two routes for %s %s", rt.Method, rt.Pattern))
	}
	n.methods[rt.Method] = rt
}

// find looks up a method and an escaped path.
func (r *router) find(method, escaped string) match {
	segs := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	if len(segs) > maxSegments {
		return match{}
	}
	n, ok := r.root.walk(segs)
	if !ok {
		return match{}
	}
	rt := n.methods[method]
	if rt == nil {
		m := match{}
		for name := range n.methods {
			m.Allow = append(m.Allow, name)
		}
		slices.Sort(m.Allow)
		return m
	}
	params, ok := rt.params(segs)
	if !ok {
		return match{}
	}
	return match{Route: rt, Params: params}
}

// maxSegments bounds the work of one search: no route is deeper.
const maxSegments = 16

// walk finds the node of the segments, literals first.
func (n *node) walk(segs []string) (*node, bool) {
	if len(segs) == 0 {
		return n, n.methods != nil
	}
	if next := n.literal[segs[0]]; next != nil {
		if found, ok := next.walk(segs[1:]); ok {
			return found, true
		}
	}
	if n.wild != nil && segs[0] != "" {
		return n.wild.walk(segs[1:])
	}
	return nil, false
}

// params decodes the segments that stand for the pattern's wildcards. It refuses what can be no
// name: a segment that is empty, a dot segment or no valid encoding.
func (rt *route) params(segs []string) (map[string]string, bool) {
	params := map[string]string{}
	i := 0
	for want := range strings.SplitSeq(strings.TrimPrefix(rt.Pattern, "/"), "/") {
		if strings.HasPrefix(want, "{") {
			name := strings.Trim(want, "{}")
			if name == rt.Opaque {
				v, ok := opaque(segs[i])
				if !ok {
					return nil, false
				}
				params[name] = v
				i++
				continue
			}
			v, err := url.PathUnescape(segs[i])
			if err != nil || v == "" || v == "." || v == ".." || strings.ContainsRune(v, 0) {
				return nil, false
			}
			params[name] = v
		}
		i++
	}
	return params, true
}
