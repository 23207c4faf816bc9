package tail

import "strings"

const redacted = "REDACTED"

// redactHeaders hides the values of headers that may be secrets, by the platform's
// rule: cookies, and what has one of these words in its name.
func redactHeaders(h map[string]string) map[string]string {
	out := make(map[string]string, len(h))
	for name, value := range h {
		if sensitive(name) {
			value = redacted
		}
		out[name] = value
	}
	return out
}

func sensitive(name string) bool {
	if name == "cookie" || name == "set-cookie" {
		return true
	}
	for _, word := range [...]string{"auth", "jwt", "key", "secret", "token"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// Parts of a URL count as secrets from these lengths on, by the platform's rule:
// hexadecimal digits, and letters and digits of a base-64 alphabet that are mixed
// as random ones are.
const (
	secretHex    = 32
	secretBase64 = 21
	mixed        = 2 // of upper case, lower case and digits, each
)

// redactURL hides the parts of a URL that look like keys.
func redactURL(url string) string {
	var out strings.Builder
	for url != "" {
		n := 0
		for n < len(url) && idByte(url[n]) {
			n++
		}
		switch {
		case n == 0:
			out.WriteByte(url[0])
			n = 1
		case looksSecret(url[:n]):
			out.WriteString(redacted)
		default:
			out.WriteString(url[:n])
		}
		url = url[n:]
	}
	return out.String()
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '_'
}

func looksSecret(id string) bool {
	var upper, lower, digit, hex int
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9':
			digit++
			hex++
		case c >= 'a' && c <= 'z':
			lower++
			if c <= 'f' {
				hex++
			}
		case c >= 'A' && c <= 'Z':
			upper++
			if c <= 'F' {
				hex++
			}
		case c == '-': // UUIDs have them between their digits
			hex++
		}
	}
	return hex == len(id) && upper+lower+digit >= secretHex || len(id) >= secretBase64 && upper >= mixed && lower >= mixed && digit >= mixed
}
