package http1

import (
	"net/http"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// requestHead is what the head of a request says about the connection, beside
// the request itself.
type requestHead struct {
	keepAlive bool // the client lets the connection stay open
	expect    bool // it waits for 100 before it sends the body
	http11    bool
}

// parseRequest reads the complete head b (RFC 9112 sections 2 to 6) into r and h.
// Whatever could be understood in two ways is refused. Strings in r are views
// of b. Fields that belong to the connection are marked Drop.
func parseRequest(b []byte, r *wire.Request, h *requestHead) wire.Fault {
	line, rest := cutLine(b)
	if len(line) == 0 { // the scanner let one empty line through
		line, rest = cutLine(rest)
	}
	authority, f := parseRequestLine(line, r, h)
	if f != wire.NoFault {
		return f
	}
	if r.Fields, f = parseFields(rest, r.Fields[:0]); f != wire.NoFault {
		return f
	}
	if f = takeHost(r, authority); f != wire.NoFault {
		return f
	}
	return parseFraming(r, h)
}

// parseRequestLine returns the authority of a target in absolute form.
func parseRequestLine(line []byte, r *wire.Request, h *requestHead) (string, wire.Fault) {
	i := 0
	for i < len(line) && isToken(line[i]) {
		i++
	}
	if i == 0 || i == len(line) || line[i] != ' ' {
		return "", wire.BadRequestLine
	}
	method, target := line[:i], line[i+1:]
	i = 0
	for i < len(target) && target[i] > ' ' && target[i] != 0x7f && target[i] != '#' {
		i++
	}
	if i == 0 || i == len(target) || target[i] != ' ' {
		return "", wire.BadRequestLine
	}
	r.Method = wire.View(method)
	switch version := string(target[i+1:]); version {
	case "HTTP/1.1":
		h.http11, r.Proto = true, "HTTP/1.1"
	case "HTTP/1.0":
		r.Proto = "HTTP/1.0"
	default:
		if len(version) == 8 && version[:5] == "HTTP/" && version[6] == '.' {
			return "", wire.BadVersion
		}
		return "", wire.BadRequestLine
	}
	return splitTarget(wire.View(target[:i]), r)
}

// splitTarget brings the target into origin form (RFC 9112 section 3.2).
func splitTarget(target string, r *wire.Request) (authority string, f wire.Fault) {
	if target[0] == '/' {
		r.Target = target
		return "", wire.NoFault
	}
	if r.Method == http.MethodConnect {
		// Authority form. The core refuses the method; the target is for the log.
		r.Target = "*"
		return target, wire.NoFault
	}
	if target == "*" {
		r.Target = target
		if r.Method != http.MethodOptions {
			return "", wire.BadTarget
		}
		return "", wire.NoFault
	}
	switch {
	case len(target) > 7 && wire.Is(target[:7], "http://"):
		target = target[7:]
	case len(target) > 8 && wire.Is(target[:8], "https://"):
		target = target[8:]
	default:
		return "", wire.BadTarget
	}
	i := 0
	for i < len(target) && target[i] != '/' && target[i] != '?' {
		i++
	}
	switch {
	case i == 0 || i < len(target) && target[i] == '?':
		// A query right after the authority would have to be sent on with a
		// slash that the client did not write: nobody does this.
		return "", wire.BadTarget
	case i == len(target):
		r.Target = "/"
	default:
		r.Target = target[i:]
	}
	return target[:i], wire.NoFault
}

// takeHost moves the Host field out of the fields; an authority in the target
// wins over it.
func takeHost(r *wire.Request, authority string) wire.Fault {
	hosts := 0
	kept := r.Fields[:0]
	for _, f := range r.Fields {
		if f.Known == wire.Host {
			hosts++
			r.Host = f.Value
			continue
		}
		kept = append(kept, f)
	}
	r.Fields = kept
	if hosts > 1 {
		return wire.BadHost
	}
	if hosts == 1 && !validHost(r.Host) {
		return wire.BadHost
	}
	if hosts == 0 && r.Proto == "HTTP/1.1" {
		return wire.MissingHost
	}
	if authority != "" {
		if !validHost(authority) {
			return wire.BadHost
		}
		r.Host = authority
	}
	return wire.NoFault
}

// validHost accepts a registered name or an IP literal with an optional port.
func validHost(h string) bool {
	i := 0
	if h != "" && h[0] == '[' {
		for i = 1; i < len(h) && h[i] != ']'; i++ {
			ch := h[i]
			if !isHex(ch) && ch != ':' && ch != '.' {
				return false
			}
		}
		if i < 3 || i == len(h) {
			return false
		}
		i++
	} else {
		for i < len(h) && isRegName(h[i]) {
			i++
		}
		if i == 0 {
			return false
		}
	}
	if i == len(h) {
		return true
	}
	if h[i] != ':' || len(h)-i > 6 {
		return false
	}
	for _, ch := range []byte(h[i+1:]) {
		if ch < '0' || ch > '9' {
			return false
		}
	}
	return true
}

// isRegName reports whether ch is unreserved or a sub-delim of RFC 3986. Escapes
// and bytes beyond ASCII are not accepted: names come in their ASCII form (IDNA).
func isRegName(ch byte) bool {
	switch {
	case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9':
		return true
	}
	switch ch {
	case '-', '.', '_', '~', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=':
		return true
	}
	return false
}

func isHex(ch byte) bool {
	return '0' <= ch && ch <= '9' || 'a' <= ch|0x20 && ch|0x20 <= 'f'
}

// parseFraming works out the length of the body (RFC 9112 section 6) and what
// happens with the connection afterwards, and marks the fields that end here.
func parseFraming(r *wire.Request, h *requestHead) wire.Fault {
	h.keepAlive = h.http11
	h.expect = false
	r.Length, r.Upgrade = 0, ""
	lengths, codings := 0, 0
	upgrade := false
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.Known { //nolint:exhaustive // the rest is not about framing
		case wire.ContentLength:
			f.Drop = true
			n, ok := parseLength(f.Value)
			if !ok || lengths > 0 {
				return wire.BadContentLength
			}
			lengths++
			r.Length = n
		case wire.TransferEncoding:
			f.Drop = true
			if codings > 0 || !h.http11 || !wire.Is(f.Value, "chunked") {
				return wire.BadTransferEncoding
			}
			codings++
		case wire.Connection:
			f.Drop = true
			upgrade = upgrade || wire.HasToken(f.Value, "upgrade")
			h.setConnection(f.Value)
			dropNamed(r.Fields, f.Value)
		case wire.Upgrade:
			f.Drop = true
			r.Upgrade = f.Value
		case wire.HopByHop:
			f.Drop = true
		case wire.Expect:
			f.Drop = true
			if !wire.Is(f.Value, "100-continue") {
				return wire.BadExpectation
			}
			h.expect = h.http11
		}
	}
	if codings > 0 {
		if lengths > 0 {
			return wire.AmbiguousLength
		}
		r.Length = wire.Unknown
	}
	if !upgrade || !h.http11 || r.Length != 0 {
		r.Upgrade = ""
	}
	if r.Length == 0 {
		h.expect = false
	}
	return wire.NoFault
}

func (h *requestHead) setConnection(value string) {
	switch {
	case wire.HasToken(value, "close"):
		h.keepAlive = false
	case !h.http11 && wire.HasToken(value, "keep-alive"):
		h.keepAlive = true
	}
}
