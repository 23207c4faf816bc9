package assets

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of _routes.json, which are those of the platform.
const (
	MaxRoutes      = 100 // include and exclude together
	MaxRouteLength = 100 // characters
	maxRoutesFile  = 1 << 20
)

// Routes are the rules of a _routes.json: for which paths a Pages site runs its function.
type Routes struct{ include, exclude []routeRule }

// routeRule is one pattern. "*" stands for any text; "/api/*" is also "/api", and "/api" also "/api/".
type routeRule struct {
	glob glob
	// dir is the pattern before a final "/*", when tree is set.
	dir  glob
	tree bool
}

// RoutesError says what is wrong with a _routes.json.
type RoutesError struct {
	// Rule is the pattern at fault, "" when it is the file as a whole.
	Rule string
	// Reason says what is allowed.
	Reason string
}

// Error implements error.
func (e *RoutesError) Error() string {
	if e.Rule == "" {
		return "_routes.json: " + e.Reason
	}
	return fmt.Sprintf("_routes.json: rule %q: %s", clip(e.Rule), e.Reason)
}

// ParseRoutes parses the text of a _routes.json. Its error is a *RoutesError.
func ParseRoutes(text string) (*Routes, error) {
	if len(text) > maxRoutesFile {
		return nil, &RoutesError{Reason: fmt.Sprintf("the file is larger than %d bytes", maxRoutesFile)}
	}
	var file struct {
		Version *int     `json:"version"`
		Include []string `json:"include"`
		Exclude []string `json:"exclude"`
	}
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&file); err != nil {
		return nil, &RoutesError{Reason: "must be a JSON object with version, include and exclude: " + err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, &RoutesError{Reason: "must be one JSON object and nothing after it"}
	}
	switch {
	case file.Version == nil || *file.Version != 1:
		return nil, &RoutesError{Reason: "version must be 1"}
	case len(file.Include) == 0:
		return nil, &RoutesError{Reason: "include must have at least one rule"}
	case len(file.Include)+len(file.Exclude) > MaxRoutes:
		return nil, &RoutesError{Reason: fmt.Sprintf("include and exclude have %d rules together, more than %d", len(file.Include)+len(file.Exclude), MaxRoutes)}
	}
	rs := &Routes{}
	for _, p := range file.Include {
		r, err := parseRoute(p)
		if err != nil {
			return nil, err
		}
		rs.include = append(rs.include, r)
	}
	for _, p := range file.Exclude {
		r, err := parseRoute(p)
		if err != nil {
			return nil, err
		}
		rs.exclude = append(rs.exclude, r)
	}
	return rs, nil
}

func parseRoute(p string) (routeRule, error) {
	switch {
	case !strings.HasPrefix(p, "/"):
		return routeRule{}, &RoutesError{Rule: p, Reason: `must start with "/"`}
	case utf8.RuneCountInString(p) > MaxRouteLength:
		return routeRule{}, &RoutesError{Rule: p, Reason: fmt.Sprintf("must not be longer than %d characters", MaxRouteLength)}
	}
	// A path comes as the URL standard writes it, so a rule is written that way too.
	p = normalizePath(p)
	r := routeRule{glob: compileGlob(p)}
	if dir, ok := strings.CutSuffix(p, "/*"); ok {
		r.dir, r.tree = compileGlob(dir), true
	}
	return r, nil
}

// Match reports whether the function answers a path: a rule of include matches it and none of exclude does. The
// path is the URL's, percent-encoded.
func (rs *Routes) Match(path string) bool {
	return matchRoutes(rs.include, path) && !matchRoutes(rs.exclude, path)
}

func matchRoutes(rules []routeRule, path string) bool {
	for i := range rules {
		if rules[i].match(path) {
			return true
		}
	}
	return false
}

func (r *routeRule) match(path string) bool {
	if r.glob.match(path) {
		return true
	}
	if r.tree {
		return r.dir.match(path)
	}
	bare, ok := strings.CutSuffix(path, "/")
	return ok && r.glob.match(bare)
}
