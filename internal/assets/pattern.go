package assets

import (
	"errors"
	"regexp"
	"strings"
)

// maxWildcards bounds the splats and placeholders of one rule, and with them the cost of a match.
const maxWildcards = 32

// pattern is the source of a rule in _headers or _redirects, compiled. "*" is a splat: any text.
// ":name" is a placeholder: one or more characters other than "/", in a host also other than ".".
type pattern struct {
	// host says that the pattern matches hostname + path, not the path alone.
	host bool
	// prefix and suffix are the literal ends; for a pattern without wildcards prefix is all of it.
	prefix, suffix string
	names          []string
	// stop holds what the only wildcard must not match, when there is one.
	stop string
	// re decides when there are several wildcards. Go's regexp runs in linear time.
	re *regexp.Regexp
}

// binding is what one wildcard matched.
type binding struct{ name, value string }

var (
	errManyWildcards = errors.New("more than 32 wildcards and placeholders in one rule")
	errTwoSplats     = errors.New("only one wildcard * is allowed in a rule, and none beside a placeholder named :splat; use named placeholders")
	errTwoNames      = errors.New("a placeholder is named twice")
)

// compilePattern compiles a source. For an absolute URL, src is the host and path after "https://".
func compilePattern(src string, host bool) (*pattern, error) {
	p := &pattern{host: host}
	var expr strings.Builder
	expr.WriteString(`\A`)
	literal := 0
	inHost := host
	for i := 0; i < len(src); {
		name, n := wildcardAt(src, i)
		if n == 0 {
			if src[i] == '/' {
				inHost = false
			}
			i++
			continue
		}
		p.addLiteral(src[literal:i])
		expr.WriteString(regexp.QuoteMeta(src[literal:i]))
		for _, seen := range p.names {
			if seen == name {
				if name == splatName {
					return nil, errTwoSplats
				}
				return nil, errTwoNames
			}
		}
		if len(p.names) == maxWildcards {
			return nil, errManyWildcards
		}
		p.names = append(p.names, name)
		switch {
		case src[i] == '*':
			p.stop = ""
			expr.WriteString(`(.*)`)
		case inHost:
			p.stop = "/."
			expr.WriteString(`([^/.]+)`)
		default:
			p.stop = "/"
			expr.WriteString(`([^/]+)`)
		}
		i += n
		literal = i
	}
	if len(p.names) == 0 {
		p.prefix = src
		return p, nil
	}
	p.suffix = src[literal:]
	if len(p.names) == 1 {
		return p, nil
	}
	expr.WriteString(regexp.QuoteMeta(p.suffix))
	expr.WriteString(`\z`)
	re, err := regexp.Compile(expr.String())
	if err != nil {
		return nil, err
	}
	p.re = re
	return p, nil
}

func (p *pattern) addLiteral(s string) {
	if len(p.names) == 0 {
		p.prefix = s
	}
}

const splatName = "splat"

// wildcardAt returns the name and length of the wildcard at src[i], a length of 0 if there is none.
func wildcardAt(src string, i int) (name string, n int) {
	if src[i] == '*' {
		return splatName, 1
	}
	if src[i] != ':' || i+1 == len(src) || !isLetter(src[i+1]) {
		return "", 0
	}
	j := i + 2
	for j < len(src) && isWord(src[j]) {
		j++
	}
	return src[i+1 : j], j - i
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isWord(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' || c == '_' }

// isDynamic reports whether src has a wildcard.
func isDynamic(src string) bool {
	for i := range len(src) {
		if _, n := wildcardAt(src, i); n > 0 {
			return true
		}
	}
	return false
}

// match reports whether the pattern matches all of text, and appends what its wildcards matched.
func (p *pattern) match(text string, dst []binding) ([]binding, bool) {
	if len(p.names) == 0 {
		return dst, text == p.prefix
	}
	if len(text) < len(p.prefix)+len(p.suffix) || !strings.HasPrefix(text, p.prefix) || !strings.HasSuffix(text, p.suffix) {
		return dst, false
	}
	if p.re == nil {
		value := text[len(p.prefix) : len(text)-len(p.suffix)]
		if p.stop != "" && (value == "" || strings.ContainsAny(value, p.stop)) {
			return dst, false
		}
		return append(dst, binding{p.names[0], value}), true
	}
	at := p.re.FindStringSubmatchIndex(text)
	if at == nil {
		return dst, false
	}
	for i, name := range p.names {
		dst = append(dst, binding{name, text[at[2*i+2]:at[2*i+3]]})
	}
	return dst, true
}

// expand writes template with the placeholders that are bound replaced. It stops at limit bytes and
// then reports false.
func expand(template string, bound []binding, limit int) (string, bool) {
	if len(bound) == 0 || !strings.Contains(template, ":") {
		return template, len(template) <= limit
	}
	var b strings.Builder
	for i := 0; i < len(template) && b.Len() <= limit; {
		name, n := "", 0
		if template[i] == ':' {
			name, n = wildcardAt(template, i)
		}
		value, ok := lookupBinding(bound, name)
		if n == 0 || !ok {
			b.WriteByte(template[i])
			i++
			continue
		}
		b.WriteString(value)
		i += n
	}
	return b.String(), b.Len() <= limit
}

func lookupBinding(bound []binding, name string) (string, bool) {
	for _, v := range bound {
		if v.name == name {
			return v.value, true
		}
	}
	return "", false
}

// glob is a path pattern of run_worker_first, in which "*" stands for any text.
type glob []string

func compileGlob(src string) glob { return strings.Split(src, "*") }

func (g glob) match(text string) bool {
	if len(g) == 1 {
		return text == g[0]
	}
	last := g[len(g)-1]
	rest, ok := strings.CutPrefix(text, g[0])
	if !ok {
		return false
	}
	if rest, ok = strings.CutSuffix(rest, last); !ok {
		return false
	}
	// The leftmost place for each piece leaves the most room for the others.
	for _, piece := range g[1 : len(g)-1] {
		i := strings.Index(rest, piece)
		if i < 0 {
			return false
		}
		rest = rest[i+len(piece):]
	}
	return true
}
