package workerd

import "strings"

const (
	rayLen = 16
	// The number maxInvocation bounds the id of an invocation, in bytes.
	maxInvocation = rayLen + MaxDepth*12
)

func (l *LogLine) setInvocation(id string) {
	l.Invocation = validInvocation(id)
	l.Ray = rayOf(l.Invocation)
}

// rayOf returns the ray that a valid id of an invocation begins with.
func rayOf(id string) string { return id[:min(len(id), rayLen)] }

// Depth returns how many calls from one worker to another led to an invocation.
func Depth(id string) int { return strings.Count(id, "/") + strings.Count(id, ".") }

// cutRay takes off what our console patch put before a message: the id of the
// invocation.
func cutRay(message string) (id, rest string) {
	if len(message) < rayLen+2 || message[0] != 1 {
		return "", message
	}
	i := strings.IndexAny(message[1:min(len(message), maxInvocation+2)], "\x01\x02") + 1
	if i == 0 {
		return "", message
	}
	if id = validInvocation(message[1:i]); id == "" {
		return "", message
	}
	rest = message[i+1:]
	if message[i] == 2 {
		rest = strings.TrimPrefix(rest, " ") // the marker was an argument of its own
	}
	return id, rest
}

// validInvocation returns the sixteen hexadecimal digits of a ray and the steps
// behind it, or nothing. The name of a place that may follow a ray is left out.
func validInvocation(s string) string {
	if len(s) < rayLen || len(s) > maxInvocation {
		return ""
	}
	for _, c := range []byte(s[:rayLen]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	rest := s[rayLen:]
	switch {
	case rest == "":
		return s
	case rest[0] == '-':
		return s[:rayLen]
	case rest[0] != '/' && rest[0] != '.':
		return ""
	}
	for _, c := range []byte(rest) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '/' && c != '.' {
			return ""
		}
	}
	return s
}
