package edge

import "github.com/selvage-dev/selvage/internal/edge/wire"

// format is a way to write a page.
type format uint8

const (
	plain format = iota
	html
	json
)

// formatFor picks the format of a page by the Accept field (RFC 9110 section
// 12.5.1): HTML or JSON only for those who name it, the one with the greater
// weight, then the one named first; plain text for everyone else ("*/*" is what
// curl and most programs send).
func formatFor(accept string) format {
	best, bestQ := plain, 0
	for accept != "" {
		var element string
		element, accept = wire.NextToken(accept)
		name, q := splitWeight(element)
		var f format
		switch {
		case wire.Is(name, "text/html"), wire.Is(name, "application/xhtml+xml"):
			f = html
		case wire.Is(name, "application/json"), wire.Is(name, "application/problem+json"):
			f = json
		case wire.Is(name, "text/plain"):
			f = plain
		default:
			continue
		}
		if q > bestQ {
			best, bestQ = f, q
		}
	}
	return best
}

// splitWeight splits a media range from its q-value, in thousandths.
func splitWeight(element string) (name string, q int) {
	name, params := cutByte(element, ';')
	q = 1000
	for params != "" {
		var param string
		param, params = cutByte(params, ';')
		if len(param) > 2 && wire.Is(param[:2], "q=") {
			q = parseWeight(param[2:])
		}
	}
	return name, q
}

func cutByte(s string, sep byte) (before, after string) {
	for i := range len(s) {
		if s[i] == sep {
			return wire.TrimSpace(s[:i]), wire.TrimSpace(s[i+1:])
		}
	}
	return wire.TrimSpace(s), ""
}

// parseWeight reads 0, 1 or a fraction of up to three digits; nonsense is 0.
func parseWeight(s string) int {
	if s == "" || s[0] != '0' && s[0] != '1' || len(s) > 5 {
		return 0
	}
	q := int(s[0]-'0') * 1000
	if len(s) == 1 {
		return q
	}
	if s[1] != '.' {
		return 0
	}
	unit := 100
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		q += int(s[i]-'0') * unit
		unit /= 10
	}
	return min(q, 1000)
}
