package assets

import (
	"slices"
	"strings"
)

// maxHops is how many redirects in a row are followed to find a loop. Browsers give up after 20.
const maxHops = 20

// dropLoops removes the rules that close a circle of redirects: the last one in the file of each circle, so that
// visitors get to see something. A rule with wildcards is judged by what it does to a path of no special form.
func (d *RedirectRules) dropLoops(f *ruleFile) {
	rules := slices.Clone(d.dynamic)
	for _, r := range d.static {
		rules = append(rules, r)
	}
	slices.SortFunc(rules, func(a, b *redirectRule) int { return a.line - b.line })
	dropped := make(map[*redirectRule]bool)
	for _, r := range rules {
		if d.closesLoop(r) {
			dropped[r] = true
			f.warnAt(r.line, r.source, "the rule would redirect in a circle for ever; it is ignored")
		}
	}
	if len(dropped) == 0 {
		return
	}
	for source, r := range d.static {
		if dropped[r] {
			delete(d.static, source)
		}
	}
	d.dynamic = slices.DeleteFunc(d.dynamic, func(r *redirectRule) bool { return dropped[r] })
	d.index = indexRules(d.dynamic)
}

// closesLoop follows the redirects of a path that r matches, as long as they are made by r and rules before it,
// and reports whether r comes again.
func (d *RedirectRules) closesLoop(r *redirectRule) bool {
	start, request, again := samplePath(r.source), &Request{Scheme: "https"}, 0
	path := start
	var buf [8]binding
	for hop := range maxHops {
		rule, bound := d.find(path, buf[:0])
		if rule == nil || rule.status == 200 || rule.to.external || rule.line > r.line || hop == 0 && rule != r {
			return false
		}
		if rule == r {
			// A path that grows each time round never is the same again.
			if again++; hop > 0 && path == start || again == 3 {
				return true
			}
		}
		to, err := rule.to.resolve(request, bound)
		if err != nil {
			return false
		}
		path = to.path
	}
	return false
}

// samplePath fills the wildcards of a source with text that no rule names.
func samplePath(source string) string {
	var b strings.Builder
	for i := 0; i < len(source); {
		if _, n := wildcardAt(source, i); n > 0 {
			b.WriteString("~any~")
			i += n
			continue
		}
		b.WriteByte(source[i])
		i++
	}
	return b.String()
}
