package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape reads the escapes of Python's literals. One that it does not know stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if k := strings.IndexByte(`abfnrtv\'"`, s[i]); k >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\'\""[k])
			continue
		}
		switch c := s[i]; {
		case c == '\n':
		case c >= '0' && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			i += writeRune(&b, s[i:i+n], 8) - 1
		case c == 'x' && hex(s, i+1, 2), c == 'u' && hex(s, i+1, 4), c == 'U' && hex(s, i+1, 8):
			i += writeRune(&b, s[i+1:i+1+map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]], 16)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hex(s string, at, n int) bool {
	return at+n <= len(s) && strings.Trim(s[at:at+n], "0123456789abcdefABCDEF") == ""
}

// writeRune writes the character of a number and returns how many digits that has.
func writeRune(b *strings.Builder, digits string, base int) int {
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > utf8.MaxRune {
		n = utf8.RuneError
	}
	b.WriteRune(rune(n)) //nolint:gosec // checked above
	return len(digits)
}
