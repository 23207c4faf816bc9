package routing

import (
	"cmp"
	"fmt"
	"strings"
)

// MaxPattern bounds the length of a pattern in bytes.
const MaxPattern = 2048

// Pattern is a parsed pattern.
type Pattern struct {
	scheme string // "", "http" or "https"
	wild   bool   // the host is a suffix
	host   string // lower case, without the "*"
	path   string // from "/", without the "*"
	prefix bool   // the path is a prefix
}

// PatternError says what is wrong with a pattern, in words for its author.
type PatternError struct {
	Pattern string
	Reason  string
}

// Error implements error.
func (e *PatternError) Error() string {
	return fmt.Sprintf("the route pattern %q is not valid: %s", e.Pattern, e.Reason)
}

// Parse reads a pattern. The error is a *PatternError.
func Parse(text string) (Pattern, error) {
	refuse := func(reason string) (Pattern, error) {
		const shown = 256
		return Pattern{}, &PatternError{Pattern: strings.ToValidUTF8(text[:min(len(text), shown)], "?"), Reason: reason}
	}
	if len(text) > MaxPattern {
		return refuse(fmt.Sprintf("it is longer than %d bytes", MaxPattern))
	}
	var p Pattern
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		p.scheme, rest = strings.ToLower(scheme), after
		if p.scheme != "http" && p.scheme != "https" {
			return refuse("the scheme must be http:// or https://, or left out")
		}
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '?' || c == '#':
			return refuse("it must not have a query; a \"*\" at the end of the path matches queries too")
		case c <= ' ' || c > '~':
			return refuse("it has characters that no URL has; write a host in Punycode and a path percent-encoded")
		}
	}
	host, path, hasPath := strings.Cut(rest, "/")
	host, p.wild = strings.CutPrefix(strings.ToLower(host), "*")
	p.host, p.path = host, "/"
	if hasPath {
		path, p.prefix = strings.CutSuffix(path, "*")
		p.path = "/" + path
	}
	switch {
	case strings.Contains(host, "*"):
		return refuse("in the host, a \"*\" may stand at the beginning only")
	case strings.Contains(path, "*"):
		return refuse("in the path, a \"*\" may stand at the end only")
	case strings.Contains(host, ":"):
		return refuse("the host must not have a port")
	}
	some := host // a host that the pattern matches
	if p.wild {
		some = "x" + host
	}
	if host == "" || !ValidHost(some) {
		return refuse("its host is not a hostname")
	}
	return p, nil
}

// ValidHost reports whether host is a hostname of at least one label, in lower
// case (RFC 1123, section 2.1, and underscores, which browsers take).
func ValidHost(host string) bool {
	const maxHost, maxLabel = 253, 63
	if host == "" || len(host) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// Within reports whether all hosts that the pattern means are the zone's or below it.
func (p *Pattern) Within(zone string) bool {
	return p.host == zone || strings.HasSuffix(p.host, "."+zone)
}

// Host returns the host without a "*" and the dot after that.
func (p *Pattern) Host() string {
	if p.wild {
		return strings.TrimPrefix(p.host, ".")
	}
	return p.host
}

// Name returns the one host that the pattern means, "" when it means several.
func (p *Pattern) Name() string {
	if p.wild {
		return ""
	}
	return p.host
}

// String returns the pattern in its shortest form: two patterns that match the
// same requests by the same rules have the same.
func (p *Pattern) String() string {
	var b strings.Builder
	if p.scheme != "" {
		b.WriteString(p.scheme + "://")
	}
	if p.wild {
		b.WriteByte('*')
	}
	b.WriteString(p.host)
	if p.path != "/" || p.prefix {
		b.WriteString(p.path)
	}
	if p.prefix {
		b.WriteByte('*')
	}
	return b.String()
}

// Matches reports whether the pattern matches a request: scheme "http" or "https", host in lower case
// without port, target from the "/" with the query.
func (p *Pattern) Matches(scheme, host, target string) bool {
	if p.wild && !strings.HasSuffix(host, p.host) || !p.wild && host != p.host {
		return false
	}
	return p.matchesRest(scheme, target)
}

// matchesRest is Matches for a host that does.
func (p *Pattern) matchesRest(scheme, target string) bool {
	if p.scheme != "" && p.scheme != scheme {
		return false
	}
	if p.prefix {
		return strings.HasPrefix(target, p.path)
	}
	return target == p.path
}

// compare orders patterns of the same host, or of hosts with "*", from the most
// specific to the least.
func (p *Pattern) compare(o *Pattern) int {
	return cmp.Or(
		cmp.Compare(len(o.host), len(p.host)),
		cmp.Compare(len(o.path), len(p.path)),
		compareBool(p.prefix, o.prefix),
		compareBool(p.scheme == "", o.scheme == ""),
		strings.Compare(p.String(), o.String()), // hosts or paths that cannot both match
	)
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
