package assets

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// urlPath is the path of a request in the forms that matching needs.
type urlPath struct {
	// raw is the path as the URL standard (https://url.spec.whatwg.org/#path-state) normalises it:
	// backslashes are slashes, dot segments are resolved, it is still percent-encoded. Rules match
	// on it.
	raw string
	// decoded is raw with each segment decoded once and runs of slashes collapsed. Assets are
	// looked up by it.
	decoded string
	// canonical says that decoded, encoded again, is raw: the one path an asset is served at.
	canonical bool
}

func parsePath(p string) urlPath {
	if isPlainPath(p) {
		return urlPath{raw: p, decoded: p, canonical: true}
	}
	raw := normalizePath(strings.ReplaceAll(p, `\`, "/"))
	return decodeURLPath(raw)
}

// disguised says whether the path is written in a way in which nobody means it and which a comparison of texts takes
// for another path: with slashes in a row or backslashes, with dot segments, with an encoded slash, or with a character
// encoded that RFC 3986 (section 2.3) says never needs to be. What plainPath writes is never disguised. The path was
// parsed from given: code for old compatibility dates sees it like that.
func (p *urlPath) disguised(given string) bool {
	if given == p.raw && p.canonical {
		return false
	}
	if strings.Contains(given, `\`) {
		return true
	}
	for seg := range strings.SplitSeq(given, "/") {
		if dots(seg) > 0 {
			return true
		}
	}
	for i := 0; i < len(p.raw); i++ {
		switch {
		case p.raw[i] == '/' && i+1 < len(p.raw) && p.raw[i+1] == '/':
			return true
		case p.raw[i] == '%' && i+2 < len(p.raw) && isHex(p.raw[i+1]) && isHex(p.raw[i+2]):
			if c := unhex(p.raw[i+1])<<4 | unhex(p.raw[i+2]); c == '/' || isUnreserved(c) {
				return true
			}
		}
	}
	return false
}

// plainPath writes a decoded path as the URL standard does, with nothing encoded that need not be.
func plainPath(decoded string) string {
	return string(appendEncoded(nil, decoded, func(c byte) bool { return pathUnsafe(c) || c == '%' || c == '\\' }))
}

// decodeURLPath returns the forms of a path that is normalised already.
func decodeURLPath(raw string) urlPath {
	decoded := decodePath(raw)
	return urlPath{raw: raw, decoded: decoded, canonical: encodePath(decoded) == raw}
}

// isPlainPath reports whether p is its own normalised, decoded and encoded form, as nearly all are.
func isPlainPath(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	for i := 1; i < len(p); i++ {
		c := p[i]
		if !isUnreserved(c) && c != '/' {
			return false
		}
		if (c == '/' || c == '.') && p[i-1] == '/' {
			return false
		}
	}
	return true
}

// isUnreserved reports whether encodeURIComponent (ECMA-262) leaves c as it is.
func isUnreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '-', '_', '.', '!', '~', '*', '\'', '(', ')':
		return true
	}
	return false
}

// normalizePath resolves dot segments and percent-encodes what a URL path may not hold. The result
// starts with "/". Runs of slashes stay.
func normalizePath(p string) string {
	p = strings.TrimPrefix(p, "/")
	out := make([]byte, 0, len(p)+8)
	for {
		seg, rest, more := strings.Cut(p, "/")
		switch dots(seg) {
		case 2:
			out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
			fallthrough
		case 1:
			if !more {
				out = append(out, '/')
			}
		default:
			out = append(out, '/')
			out = appendEncoded(out, seg, pathUnsafe)
		}
		if !more {
			break
		}
		p = rest
	}
	return string(out)
}

// dots returns 1 for a segment that means ".", 2 for one that means "..", else 0.
func dots(seg string) int {
	n := 0
	for seg != "" {
		switch {
		case seg[0] == '.':
			seg = seg[1:]
		case len(seg) >= 3 && strings.EqualFold(seg[:3], "%2e"):
			seg = seg[3:]
		default:
			return 0
		}
		n++
		if n > 2 {
			return 0
		}
	}
	return n
}

// decodePath decodes each segment once, leaving one that is not valid as it is, and collapses slashes.
func decodePath(raw string) string {
	out := make([]byte, 0, len(raw))
	for p, more := raw, true; more; {
		var seg string
		seg, p, more = strings.Cut(p, "/")
		out = appendDecoded(out, seg)
		if more {
			out = append(out, '/')
		}
	}
	return collapseSlashes(string(out))
}

func appendDecoded(dst []byte, seg string) []byte {
	start := len(dst)
	for i := 0; i < len(seg); i++ {
		if seg[i] != '%' {
			dst = append(dst, seg[i])
			continue
		}
		if i+2 >= len(seg) || !isHex(seg[i+1]) || !isHex(seg[i+2]) {
			return append(dst[:start], seg...)
		}
		dst = append(dst, unhex(seg[i+1])<<4|unhex(seg[i+2]))
		i += 2
	}
	if !utf8.Valid(dst[start:]) {
		return append(dst[:start], seg...)
	}
	return dst
}

// encodePath is the inverse of decodePath: each segment as encodeURIComponent writes it. Its result
// holds no backslash, control character, "?" or "#".
func encodePath(decoded string) string {
	plain := true
	for i := 0; i < len(decoded) && plain; i++ {
		plain = isUnreserved(decoded[i]) || decoded[i] == '/'
	}
	if plain {
		return decoded
	}
	return string(appendEncoded(make([]byte, 0, len(decoded)+16), decoded, func(c byte) bool {
		return c != '/' && !isUnreserved(c)
	}))
}

func collapseSlashes(s string) string {
	if !strings.Contains(s, "//") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] == '/' && i > 0 && s[i-1] == '/' {
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func appendEncoded(dst []byte, s string, unsafe func(byte) bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if unsafe(c) {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// pathUnsafe, queryUnsafe and fragmentUnsafe are the percent-encode sets of the URL standard
// (https://url.spec.whatwg.org/#percent-encoded-bytes), the query's being that of special schemes.
func pathUnsafe(c byte) bool {
	switch c {
	case '"', '#', '<', '>', '?', '^', '`', '{', '}':
		return true
	}
	return c <= ' ' || c >= 0x7f
}

func queryUnsafe(c byte) bool {
	switch c {
	case '"', '#', '<', '>', '\'':
		return true
	}
	return c <= ' ' || c >= 0x7f
}

func fragmentUnsafe(c byte) bool {
	switch c {
	case '"', '<', '>', '`':
		return true
	}
	return c <= ' ' || c >= 0x7f
}

// search returns a raw query as it goes after a path: with its "?", or empty.
func search(rawQuery string) string {
	if rawQuery == "" {
		return ""
	}
	return string(appendEncoded([]byte{'?'}, rawQuery, queryUnsafe))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
