package wire

import "unsafe"

// Field is one header or trailer field. Value has no surrounding whitespace.
type Field struct {
	Name, Value string
	// Known is the meaning of Name, from [Classify].
	Known Known
	// Drop marks a field that must not be passed on.
	Drop bool
}

// Known tells apart the fields that a proxy has to understand.
type Known uint8

// The fields a proxy has to understand. Other stands for all that it only
// passes on.
const (
	Other Known = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	HopByHop // Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE
	Trailer
	Upgrade
	Expect
	Accept
	Date
	Server
	SetCookie
	ForwardedFor     // X-Forwarded-For
	ForwardedProto   // X-Forwarded-Proto
	Forwarding       // X-Forwarded-*, Forwarded, X-Real-IP, True-Client-IP
	VersionKey       // Cloudflare-Workers-Version-Key: what a visitor stays with a version by
	VersionOverrides // Cloudflare-Workers-Version-Overrides: which versions a visitor asks for
	Platform         // CF-*: what the platform itself says about a request
	Internal         // Selvage-*: between the platform and its runtime
	InternalProto    // Selvage-Proto: the scheme of the URL
	InternalDepth    // Selvage-Depth: how many of the platform's workers are behind the request
)

// Classify returns the meaning of a field name, in any case.
func Classify(name string) Known {
	if len(name) < 2 {
		return Other
	}
	switch name[0] | 0x20 {
	case 'a':
		return is(name, "accept", Accept)
	case 'c':
		return classifyC(name)
	case 'd':
		return is(name, "date", Date)
	case 'e':
		return is(name, "expect", Expect)
	case 'f':
		return is(name, "forwarded", Forwarding)
	case 'h':
		return is(name, "host", Host)
	case 'k':
		return is(name, "keep-alive", HopByHop)
	case 'p':
		if Is(name, "proxy-connection") || Is(name, "proxy-authenticate") || Is(name, "proxy-authorization") {
			return HopByHop
		}
	case 's':
		return classifyS(name)
	case 't':
		return classifyT(name)
	case 'u':
		return is(name, "upgrade", Upgrade)
	case 'x':
		return classifyX(name)
	}
	return Other
}

const versionPrefix = "cloudflare-workers-version-"

func classifyC(name string) Known {
	switch {
	case hasPrefix(name, "cf-"):
		return Platform
	case len(name) > len(versionPrefix) && hasPrefix(name, versionPrefix):
		switch {
		case Is(name, versionPrefix+"key"):
			return VersionKey
		case Is(name, versionPrefix+"overrides"):
			return VersionOverrides
		}
		return Other
	case Is(name, "content-length"):
		return ContentLength
	case Is(name, "connection"):
		return Connection
	}
	return Other
}

func classifyS(name string) Known {
	switch {
	case Is(name, "set-cookie"):
		return SetCookie
	case Is(name, "server"):
		return Server
	case hasPrefix(name, "selvage-"):
		switch {
		case Is(name, "selvage-proto"):
			return InternalProto
		case Is(name, "selvage-depth"):
			return InternalDepth
		}
		return Internal
	}
	return Other
}

func classifyT(name string) Known {
	switch {
	case Is(name, "te"):
		return HopByHop
	case Is(name, "trailer"):
		return Trailer
	case Is(name, "transfer-encoding"):
		return TransferEncoding
	case Is(name, "true-client-ip"):
		return Forwarding
	}
	return Other
}

func classifyX(name string) Known {
	switch {
	case hasPrefix(name, "x-forwarded-"):
		switch {
		case Is(name, "x-forwarded-for"):
			return ForwardedFor
		case Is(name, "x-forwarded-proto"):
			return ForwardedProto
		}
		return Forwarding
	case Is(name, "x-real-ip"):
		return Forwarding
	}
	return Other
}

func is(name, lower string, k Known) Known {
	if Is(name, lower) {
		return k
	}
	return Other
}

// IsInternal reports whether k is one of the platform's internal fields.
func (k Known) IsInternal() bool { return k >= Internal }

// Is reports whether s equals lower, which is in lower case, but for the case of
// ASCII letters.
func Is(s, lower string) bool {
	return len(s) == len(lower) && hasPrefix(s, lower)
}

// EqualFold compares tokens, ignoring the case of ASCII letters.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x |= 0x20
		}
		if 'A' <= y && y <= 'Z' {
			y |= 0x20
		}
		if x != y {
			return false
		}
	}
	return true
}

func hasPrefix(s, lower string) bool {
	if len(s) < len(lower) {
		return false
	}
	for i := range len(lower) {
		ch := s[i]
		if 'A' <= ch && ch <= 'Z' {
			ch |= 0x20
		}
		if ch != lower[i] {
			return false
		}
	}
	return true
}

// HasToken reports whether the comma-separated list in value names the token,
// which is in lower case.
func HasToken(value, lower string) bool {
	for value != "" {
		var token string
		token, value = NextToken(value)
		if Is(token, lower) {
			return true
		}
	}
	return false
}

// NextToken splits the first element, without whitespace around it, from a
// comma-separated list.
func NextToken(list string) (token, rest string) {
	i := 0
	for i < len(list) && list[i] != ',' {
		i++
	}
	token = TrimSpace(list[:i])
	if i < len(list) {
		rest = list[i+1:]
	}
	return token, rest
}

// TrimSpace removes spaces and tabs at both ends (RFC 9110 OWS).
func TrimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// View returns b as a string without a copy. It is valid only as long as b is
// not written to.
func View(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the package comment says who may keep it
}
