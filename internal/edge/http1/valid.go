package http1

import "net/http"

// ValidMethod reports whether a method is a token.
func ValidMethod(method string) bool {
	for i := range len(method) {
		if !isToken(method[i]) {
			return false
		}
	}
	return method != ""
}

// ValidTarget reports whether a request target is in origin form, or "*" where that is allowed, and can be written
// in a request line. It is for requests that came in another protocol.
func ValidTarget(method, target string) bool {
	if target == "*" {
		return method == http.MethodOptions || method == http.MethodConnect
	}
	if target == "" || target[0] != '/' {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// ValidHost reports whether an authority is one valid host with an optional port.
func ValidHost(authority string) bool { return validHost(authority) }

// ValidFieldValue reports whether a value can be written in a field line.
func ValidFieldValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
