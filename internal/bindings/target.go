package bindings

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// target is where a request wants to go. Exactly one of name and addr is set.
type target struct {
	// name is a host name in lower case without the dot at its end.
	name string
	// addr is the address that was given as such. It may be IPv4 in IPv6.
	addr netip.Addr
	port uint16
}

// errTarget is the cause of all refusals to parse; the texts below wrap it.
var errTarget = errors.New("host is not a name or an address that fetch can use")

// parseTarget reads "host", "host:port", "[v6]" or "[v6]:port". A missing port
// becomes fallback; fallback 0 means that the port must be there.
//
// It is stricter than a URL parser, since the runtime has already put the URL in
// its normal form: no user information, no zone, no escapes, and a name whose
// last label looks like a number is an IPv4 address in decimal dotted form or
// nothing (URL Standard, "ends in a number checker").
func parseTarget(s string, fallback uint16) (target, error) {
	host, port, err := splitPort(s, fallback)
	if err != nil {
		return target{}, err
	}
	t := target{port: port}
	if strings.HasPrefix(host, "[") {
		a, err := netip.ParseAddr(host[1 : len(host)-1])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return target{}, errTarget
		}
		t.addr = a
		return t, nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if endsInNumber(host) {
		a, err := netip.ParseAddr(host)
		if err != nil || !a.Is4() {
			return target{}, errTarget
		}
		t.addr = a
		return t, nil
	}
	if !validName(host) {
		return target{}, errTarget
	}
	t.name = host
	return t, nil
}

// splitPort takes the port off. The host it returns is not empty, and has its
// closing bracket when it has an opening one.
func splitPort(s string, fallback uint16) (host string, port uint16, err error) {
	var rest string
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, errTarget
		}
		host, rest = s[:end+1], s[end+1:]
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, rest = s[:i], s[i:]
	} else {
		host = s
	}
	if host == "" {
		return "", 0, errTarget
	}
	if rest == "" {
		if fallback == 0 {
			return "", 0, errors.New("port is missing")
		}
		return host, fallback, nil
	}
	if rest[0] != ':' || len(rest) > 6 || strings.Trim(rest[1:], "0123456789") != "" {
		return "", 0, errors.New("port is not a number from 1 to 65535")
	}
	n, err := strconv.ParseUint(rest[1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, errors.New("port is not a number from 1 to 65535")
	}
	return host, uint16(n), nil
}

// endsInNumber is the URL Standard's test for "this is meant as an IPv4 address".
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(last, "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// validName accepts the names that DNS can carry as host names (RFC 1123), and
// "_" since names in use have it.
func validName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// hostPort is the form to dial and to put into a URL: the port always, brackets
// around IPv6.
func (t target) hostPort() string {
	if t.name != "" {
		return t.name + ":" + strconv.Itoa(int(t.port))
	}
	return netip.AddrPortFrom(t.addr, t.port).String()
}

// host is the name or address alone, for messages.
func (t target) host() string {
	if t.name != "" {
		return t.name
	}
	return t.addr.String()
}
