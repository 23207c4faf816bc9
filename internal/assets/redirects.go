package assets

import (
	"strings"
)

// RedirectRules are the rules of a _redirects file.
type RedirectRules struct {
	// static holds the rules without wildcards that stand before the first one with them.
	static map[string]*redirectRule
	// dynamic holds the others in their order.
	dynamic []*redirectRule
	index   ruleIndex // of dynamic
}

type redirectRule struct {
	source string
	match  *pattern // nil for a static rule
	to     target
	status int
	line   int
}

// Len returns the numbers of static and dynamic rules.
func (d *RedirectRules) Len() (static, dynamic int) { return len(d.static), len(d.dynamic) }

// ParseRedirects parses the text of a _redirects file. The Config's htmlHandling decides which rules
// would redirect to themselves for ever. A line that cannot be used gives a Warning, and so does one that
// would send visitors round in a circle.
func ParseRedirects(text, htmlHandling string, limits RuleLimits) (*RedirectRules, []Warning) {
	d := &RedirectRules{static: make(map[string]*redirectRule)}
	limits = limits.withDefaults()
	f := newRuleFile("_redirects", text, limits)
	seen := make(map[string]bool)
	for line, ok := f.next(); ok; line, ok = f.next() {
		tokens := strings.Fields(stripComment(line))
		if len(tokens) < 2 || len(tokens) > 3 {
			f.warn(line, "expected 2 or 3 words, source, destination and an optional status, found %d", len(tokens))
			continue
		}
		source, ok := redirectSource(f, line, tokens[0])
		if !ok {
			continue
		}
		static := len(d.dynamic) == 0 && !isDynamic(source)
		if static && len(d.static) == limits.StaticRedirects {
			f.warn(line, "there are more than %d static rules; this one is ignored", limits.StaticRedirects)
			continue
		}
		if !static && len(d.dynamic) == limits.DynamicRedirects {
			f.warn(line, "there are more than %d dynamic rules; the rest of the file is ignored", limits.DynamicRedirects)
			f.stop()
			continue
		}
		rule, ok := redirectTo(f, line, tokens[1:], source, htmlHandling)
		if !ok {
			continue
		}
		if seen[source] {
			f.warn(line, "there is an earlier rule for %s", clip(source))
			continue
		}
		seen[source] = true
		if static {
			rule.to.exact = true
			d.static[source] = rule
			continue
		}
		p, err := compilePattern(source, false)
		if err != nil {
			f.warn(line, "%s", err.Error())
			continue
		}
		rule.match = p
		d.dynamic = append(d.dynamic, rule)
	}
	d.index = indexRules(d.dynamic)
	d.dropLoops(f)
	return d, f.warnings
}

// stripComment removes a "#" that stands after white space, and what follows it.
func stripComment(line string) string {
	for i := 1; i < len(line); i++ {
		if line[i] == '#' && (line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}

func redirectSource(f *ruleFile, line, token string) (string, bool) {
	if host, _, ok := splitURL(token); ok && host != "" {
		f.warn(line, "the source must be a path; rules for one host are not supported, as on the platform")
		return "", false
	}
	if !strings.HasPrefix(token, "/") {
		token = "/" + token
	}
	return sourcePath(token), true
}

// redirectTo reads destination and status.
func redirectTo(f *ruleFile, line string, tokens []string, source, htmlHandling string) (*redirectRule, bool) {
	status := 302
	if len(tokens) == 2 {
		if status = redirectStatus(tokens[1]); status == 0 {
			f.warn(line, "the status must be 200, 301, 302 (default), 303, 307 or 308, not %s", clip(tokens[1]))
			return nil, false
		}
	}
	to, err := parseTarget(tokens[0])
	if err != nil {
		f.warn(line, "%s", err.Error())
		return nil, false
	}
	if to.external && status == 200 {
		f.warn(line, "a rule with status 200 can only point to a path of the same site")
		return nil, false
	}
	if !to.external && loops(source, tokens[0], htmlHandling) {
		f.warn(line, "the rule would redirect to itself for ever, because .html and /index are stripped from its destination")
		return nil, false
	}
	return &redirectRule{source: source, to: to, status: status, line: f.line}, true
}

// loops reports whether html_handling turns the destination into a path that the source matches.
func loops(source, to, htmlHandling string) bool {
	if !strings.HasSuffix(to, "/index") && !strings.HasSuffix(to, "/index.html") {
		return false
	}
	return strings.HasSuffix(source, "/*") || strings.HasSuffix(source, "/") && htmlHandling != NoHTMLHandling
}

func redirectStatus(s string) int {
	switch s {
	case "200":
		return 200
	case "301":
		return 301
	case "302":
		return 302
	case "303":
		return 303
	case "307":
		return 307
	case "308":
		return 308
	}
	return 0
}

// find returns the rule for a path and what its wildcards matched.
func (d *RedirectRules) find(path string, buf []binding) (*redirectRule, []binding) {
	if r := d.static[path]; r != nil {
		return r, nil
	}
	i := d.index.first(d.dynamic, path)
	if i < 0 {
		return nil, nil
	}
	bound, _ := d.dynamic[i].match.match(path, buf)
	return d.dynamic[i], bound
}
