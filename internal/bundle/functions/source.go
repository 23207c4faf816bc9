package functions

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

//go:embed router.js
var router string

// Source returns the text of the main module: imports of the routes' files by
// their absolute paths, and what runs them.
func Source(routes []Route) (string, error) {
	var b strings.Builder
	type entry struct {
		Path       string  `json:"path"`
		Mount      string  `json:"mount"`
		Params     []Param `json:"params"`
		Middleware bool    `json:"middleware"`
	}
	list := make([]entry, len(routes))
	for i, r := range routes {
		file, err := json.Marshal(r.File)
		if err != nil {
			return "", fmt.Errorf("functions: %w", err)
		}
		fmt.Fprintf(&b, "import * as f%d from %s;\n", i, file)
		list[i] = entry{Path: exact(r.Segments), Mount: prefix(r.Mount), Params: params(r.Segments), Middleware: r.Middleware}
		if r.Middleware {
			list[i].Path = prefix(r.Segments)
		}
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("functions: %w", err)
	}
	fmt.Fprintf(&b, "const ROUTES = %s;\nconst FILES = [", raw)
	for i := range routes {
		fmt.Fprintf(&b, "f%d, ", i)
	}
	b.WriteString("];\n")
	b.WriteString(router)
	return b.String(), nil
}

// maxRules is how many rules a _routes.json may have, and longestRule how many
// bytes each; the platform allows no more.
const (
	maxRules    = 100
	longestRule = 100
)

// RoutesJSON returns the text of the _routes.json that sends to the functions what
// they answer.
func RoutesJSON(routes []Route) (string, error) {
	var include []string
	for _, r := range routes {
		rule := r.rule()
		if len(rule) > longestRule {
			rule = "/*"
		}
		include = append(include, rule)
	}
	slices.Sort(include)
	include = slices.Compact(include)
	all := slices.Clone(include)
	include = slices.DeleteFunc(include, func(rule string) bool { return covered(rule, all) })
	if len(include) > maxRules {
		include = []string{"/*"}
	}
	raw, err := json.Marshal(map[string]any{"version": 1, "include": include, "exclude": []string{}})
	if err != nil {
		return "", fmt.Errorf("functions: %w", err)
	}
	return string(raw), nil
}

// rule is the route with "*" from its first parameter on.
func (r *Route) rule() string {
	var b strings.Builder
	for _, s := range r.Segments {
		if s[0].Rest != "" {
			return b.String() + "/*"
		}
		b.WriteByte('/')
		if s.rank() > 0 {
			return b.String() + s[0].Text + "*"
		}
		b.WriteString(s[0].Text)
	}
	if r.Middleware {
		return b.String() + "/*"
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// covered says whether another rule has all that this one has.
func covered(rule string, all []string) bool {
	for _, other := range all {
		prefix, tree := strings.CutSuffix(other, "*")
		if tree && other != rule && strings.HasPrefix(rule+"/", prefix) {
			return true
		}
	}
	return false
}
