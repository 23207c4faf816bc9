package assets

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

// maxLocation bounds the length of a Location in bytes.
const maxLocation = 16 << 10

// target is the destination of a redirect, with placeholders.
type target struct {
	// external says that the text names a host; scheme is then "https", or "" for the request's own.
	external bool
	// exact keeps runs of slashes in the path of a rule without wildcards, as the platform does.
	exact     bool
	scheme    string
	authority string
	// path holds path, query and fragment. For an external target it may be empty.
	path string
}

var (
	errTargetURL  = errors.New(`the destination must begin with "/" or "https://"`)
	errTargetHost = errors.New("the destination's host is not valid")
	errTargetLong = errors.New("the destination is too long")
)

// parseTarget reads a destination: a path, //host/path or https://host/path.
func parseTarget(token string) (target, error) {
	rest, isHTTPS := strings.CutPrefix(token, "https://")
	t := target{external: isHTTPS, scheme: "https"}
	if !isHTTPS {
		if !strings.HasPrefix(token, "/") {
			return target{}, errTargetURL
		}
		// Two slashes and something else name a host. With more, or a backslash, it is a path.
		if len(token) < 3 || token[1] != '/' || strings.IndexByte(`/\?#`, token[2]) >= 0 {
			return target{path: token}, nil
		}
		t.external, t.scheme, rest = true, "", token[2:]
	}
	rest = strings.TrimLeft(rest, `/\`)
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		end = len(rest)
	}
	t.authority, t.path = rest[:end], rest[end:]
	if !isDynamic(t.authority) {
		ascii, ok := cleanAuthority(t.authority)
		if !ok {
			return target{}, errTargetHost
		}
		t.authority = ascii
	}
	return t, nil
}

// cleanAuthority returns host[:port] in lower case and ASCII. User names, which only serve to
// deceive in a redirect, make it fail.
func cleanAuthority(a string) (string, bool) {
	ascii := true
	for i := range len(a) {
		switch c := a[i]; {
		case c >= 0x80:
			ascii = false
		case !isWord(c) && c != '-' && c != '.' && c != ':' && c != '[' && c != ']':
			return "", false
		}
	}
	if !ascii {
		host, port, hasPort := strings.Cut(a, ":")
		host, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		if a = host; hasPort {
			a += ":" + port
		}
	}
	a = strings.ToLower(strings.TrimSuffix(a, ":443"))
	return a, a != "" && a[0] != ':'
}

// destination is a target filled in for one request.
type destination struct {
	// origin is scheme://host for another origin, "" for the request's own.
	origin string
	// path is normalised and starts with exactly one slash unless origin is set.
	path            string
	query, fragment string // with their "?" and "#", or empty
}

// resolve fills in what the wildcards matched. It fails with errTargetHost when that gives no valid
// host and with errTargetLong.
func (t *target) resolve(r *Request, bound []binding) (destination, error) {
	text, ok := expand(t.path, bound, maxLocation)
	if !ok {
		return destination{}, errTargetLong
	}
	var d destination
	if i := strings.IndexByte(text, '#'); i >= 0 {
		d.fragment = encodeNonEmpty(text[i:], fragmentUnsafe)
		text = text[:i]
	}
	if i := strings.IndexByte(text, '?'); i >= 0 {
		d.query = encodeNonEmpty(text[i:], queryUnsafe)
		text = text[:i]
	}
	text = strings.ReplaceAll(text, `\`, "/")
	if !t.external {
		if !t.exact {
			text = collapseSlashes(text)
		}
		d.path = oneSlash(normalizePath(text))
		return d, nil
	}
	authority := t.authority
	if isDynamic(authority) {
		if authority, ok = expand(authority, bound, maxLocation); ok {
			authority, ok = cleanAuthority(authority)
		}
		if !ok {
			return destination{}, errTargetHost
		}
	}
	d.path = normalizePath(text)
	scheme := t.scheme
	if scheme == "" {
		scheme = r.Scheme
	}
	if scheme == r.Scheme && strings.EqualFold(authority, r.Host) {
		// The origin is left out, so a path of two slashes would name a host again.
		d.path = oneSlash(d.path)
		return d, nil
	}
	d.origin = scheme + "://" + authority
	return d, nil
}

// oneSlash leaves one of the slashes that a path starts with: "//x" in a Location would name a host.
func oneSlash(path string) string { return "/" + strings.TrimLeft(path, "/") }

// encodeNonEmpty encodes what follows the first byte of s, a "?" or "#". With nothing there it
// returns "", as the URL standard's serialisation of search and hash does.
func encodeNonEmpty(s string, unsafe func(byte) bool) string {
	if len(s) == 1 {
		return ""
	}
	return string(appendEncoded([]byte{s[0]}, s[1:], unsafe))
}
