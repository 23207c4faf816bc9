package assets

import (
	"net/textproto"
	"slices"
	"strings"
)

const (
	maxFieldsPerRule = 128
	maxRuleBytes     = 32 << 10
)

// HeaderRules are the rules of a _headers file.
type HeaderRules struct {
	rules []headerRule
	// byHost says that some rule depends on the host.
	byHost bool
}

type headerRule struct {
	source string
	match  *pattern
	set    []Field
	unset  []string
	size   int
}

// Len returns the number of rules.
func (h *HeaderRules) Len() int { return len(h.rules) }

// ParseHeaders parses the text of a _headers file. A line that cannot be used costs itself, or its
// rule when it is the rule's first line, and gives a Warning.
func ParseHeaders(text string, limits RuleLimits) (*HeaderRules, []Warning) {
	h := &HeaderRules{}
	limits = limits.withDefaults()
	f := newRuleFile("_headers", text, limits)
	var rule *headerRule
	start, skipping := 0, false
	finish := func() {
		if rule == nil {
			return
		}
		if len(rule.set) == 0 && len(rule.unset) == 0 {
			f.warnAt(start, rule.source, "the rule has no headers")
			return
		}
		h.add(*rule)
	}
	for line, ok := f.next(); ok; line, ok = f.next() {
		if !looksLikeURL(line) {
			if !skipping {
				parseHeaderLine(f, rule, line)
			}
			continue
		}
		finish()
		rule, skipping = nil, true
		if len(h.rules) == limits.HeaderRules {
			f.warn(line, "there are more than %d rules; the rest of the file is ignored", limits.HeaderRules)
			f.stop()
			break
		}
		if rule = parseHeaderSource(f, line); rule != nil {
			start, skipping = f.line, false
		}
	}
	finish()
	return h, f.warnings
}

// add keeps a rule. As on the platform, a later rule for the same source replaces the earlier one.
func (h *HeaderRules) add(r headerRule) {
	h.byHost = h.byHost || r.match.host
	for i := range h.rules {
		if h.rules[i].source == r.source {
			h.rules[i] = r
			return
		}
	}
	h.rules = append(h.rules, r)
}

// looksLikeURL reports whether a line starts a rule: a path or scheme://….
func looksLikeURL(line string) bool {
	if line[0] == '/' {
		return true
	}
	i := strings.Index(line, "://")
	return i > 0 && !strings.ContainsAny(line[:i], " \t")
}

func parseHeaderSource(f *ruleFile, line string) *headerRule {
	host, path, ok := splitURL(line)
	if !ok {
		f.warn(line, `a URL must begin with "/" or "https://"`)
		return nil
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i+1 < len(host) && strings.Trim(host[i+1:], "0123456789") == "" {
		f.warn(line, "a port in a URL is not supported")
		return nil
	}
	source := strings.ToLower(host) + sourcePath(path)
	if host != "" && isDynamic(host) {
		source = host + sourcePath(path) // Names of placeholders are case-sensitive.
	}
	p, err := compilePattern(source, host != "")
	if err != nil {
		f.warn(line, "%s", err.Error())
		return nil
	}
	return &headerRule{source: source, match: p}
}

func parseHeaderLine(f *ruleFile, rule *headerRule, line string) {
	if rule == nil {
		f.warn(line, "expected a path that begins with a slash before any header")
		return
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		removed, isUnset := strings.CutPrefix(line, "! ")
		if removed = strings.TrimSpace(removed); !isUnset || !isToken(removed) {
			f.warn(line, "expected a header as name: value, or ! name to remove one")
			return
		}
		if len(rule.unset) < maxFieldsPerRule {
			rule.unset = append(rule.unset, textproto.CanonicalMIMEHeaderKey(removed))
		}
		return
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case name == "":
		f.warn(line, "the header has no name")
	case !isToken(name):
		f.warn(line, "a header name cannot include spaces or special characters")
	case value == "":
		f.warn(line, "the header has no value")
	case !isFieldValue(value):
		f.warn(line, "a header value cannot include control characters")
	case isReserved(textproto.CanonicalMIMEHeaderKey(name)):
		f.warn(line, "the header %s frames the message and is set by the platform alone", name)
	case len(rule.set) == maxFieldsPerRule || rule.size+len(name)+len(value) > maxRuleBytes:
		f.warn(line, "the rule has more than %d headers or %d bytes of them", maxFieldsPerRule, maxRuleBytes)
	default:
		rule.set = appendField(rule.set, Field{textproto.CanonicalMIMEHeaderKey(name), value})
		rule.size += len(name) + len(value)
	}
}

// appendField adds a field. A name that is there already gets both values in one field, but for
// Set-Cookie, which cannot be combined (RFC 9110, 5.3).
func appendField(fields []Field, f Field) []Field {
	if f.Name != "Set-Cookie" {
		for i := range fields {
			if fields[i].Name == f.Name {
				fields[i].Value += ", " + f.Value
				return fields
			}
		}
	}
	return append(fields, f)
}

// isReserved reports whether a field describes the message's framing or connection.
func isReserved(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Content-Range", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isWord(c) && !strings.ContainsRune("!#$%&'*+-.^`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// maxHeaderBytes bounds what rules may add to one answer. Placeholders can repeat a long path many
// times over.
const maxHeaderBytes = 128 << 10

// apply changes fields as the rules that match say. The first rule to set a field replaces what was
// there, further ones add to it. It returns ErrHeaderTooLarge beyond the limit.
func (h *HeaderRules) apply(fields []Field, host, path string) ([]Field, error) {
	var touched []string
	var buf [8]binding
	hostPath := ""
	if h.byHost {
		hostPath = host + path
	}
	size := 0
	for i := range h.rules {
		r := &h.rules[i]
		text := path
		if r.match.host {
			text = hostPath
		}
		bound, ok := r.match.match(text, buf[:0])
		if !ok {
			continue
		}
		for _, name := range r.unset {
			fields = removeField(fields, name)
		}
		for _, f := range r.set {
			f.Value, ok = expand(f.Value, bound, maxHeaderBytes-size)
			if !ok {
				return nil, ErrHeaderTooLarge
			}
			size += len(f.Name) + len(f.Value)
			if !slices.Contains(touched, f.Name) {
				fields = removeField(fields, f.Name)
				touched = append(touched, f.Name)
			}
			fields = appendField(fields, f)
		}
	}
	return fields, nil
}

func removeField(fields []Field, name string) []Field {
	return slices.DeleteFunc(fields, func(f Field) bool { return f.Name == name })
}

func findField(fields []Field, name string) (string, bool) {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value, true
		}
	}
	return "", false
}
