package telemetry

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// maxLine bounds one encoded event: an input byte becomes at most six.
const maxLine = 6*(2*maxText+11*maxField) + 512

// encoder writes events as JSON lines without reflection or allocation. It
// keeps the text of the current second, which is most of a timestamp's cost.
// Not safe for concurrent use.
type encoder struct {
	second int64
	prefix [len("2006-01-02T15:04:05")]byte
}

// append adds one JSON line for e to b. Invalid UTF-8 becomes U+FFFD.
func (c *encoder) append(b []byte, e *Event) []byte {
	b = append(b, `{"time":"`...)
	b = c.appendTime(b, e.Time)
	b = append(b, `","kind":"`...)
	b = appendEscaped(b, clip(e.Kind, maxField))
	b = append(b, '"')
	b = appendString(b, `,"level":"`, e.Level, maxField)
	b = appendString(b, `,"ray":"`, e.Ray, maxField)
	b = appendString(b, `,"account":"`, e.Account, maxField)
	b = appendString(b, `,"script":"`, e.Script, maxField)
	b = appendString(b, `,"version":"`, e.Version, maxField)
	b = appendString(b, `,"message":"`, e.Message, maxText)
	b = appendString(b, `,"stack":"`, e.Stack, maxText)
	b = appendString(b, `,"method":"`, e.Method, maxField)
	b = appendString(b, `,"host":"`, e.Host, maxField)
	b = appendString(b, `,"path":"`, e.Path, maxField)
	b = appendInt(b, `,"status":`, int64(e.Status))
	b = appendInt(b, `,"duration_us":`, e.DurationUS)
	b = appendInt(b, `,"bytes_out":`, e.BytesOut)
	b = appendString(b, `,"client_ip":"`, e.ClientIP, maxField)
	b = appendString(b, `,"outcome":"`, e.Outcome, maxField)
	return append(b, '}', '\n')
}

// appendTime writes RFC 3339 in UTC with six digits of a second.
func (c *encoder) appendTime(b []byte, t time.Time) []byte {
	second := t.Unix()
	if second != c.second || c.prefix[0] == 0 {
		u := t.UTC()
		if u.Year() < 0 || u.Year() > 9999 { // not to be written in RFC 3339
			u = time.Unix(0, 0).UTC()
		}
		u.AppendFormat(c.prefix[:0], "2006-01-02T15:04:05")
		c.second = second
	}
	b = append(b, c.prefix[:]...)
	b = append(b, ".000000Z"...)
	us := t.Nanosecond() / int(time.Microsecond)
	for i := len(b) - 2; us > 0; i-- {
		b[i] = byte('0' + us%10)
		us /= 10
	}
	return b
}

func appendString(b []byte, key, value string, limit int) []byte {
	if value == "" {
		return b
	}
	b = append(b, key...)
	b = appendEscaped(b, clip(value, limit))
	return append(b, '"')
}

func appendInt(b []byte, key string, value int64) []byte {
	if value == 0 {
		return b
	}
	b = append(b, key...)
	return strconv.AppendInt(b, value, 10)
}

// clip cuts s to at most limit bytes at a rune's boundary.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// appendEscaped writes s as the inside of a JSON string (RFC 8259, section 7).
// It escapes what must be, replaces invalid UTF-8 and escapes U+2028 and U+2029
// so that a line stays a line in every reader.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) && plain8(s[i:i+8]) {
			i += 8
			continue
		}
		ch := s[i]
		if ch < utf8.RuneSelf {
			if ch >= 0x20 && ch != '"' && ch != '\\' && ch != 0x7f {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch ch {
			case '"', '\\':
				b = append(b, '\\', ch)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[ch>>4], hex[ch&0xf])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
		case r == '\u2028' || r == '\u2029':
			b = append(b, s[start:i]...)
			b = append(b, '\\', 'u', '2', '0', '2', hex[r&0xf])
		default:
			i += size
			continue
		}
		i += size
		start = i
	}
	return append(b, s[start:]...)
}

// plain8 reports whether none of the eight bytes needs a closer look. It tests
// them at once: a byte below 0x20, equal to '"' or '\\', 0x7f or above sets its
// top bit in one of the terms. A borrow may refuse eight plain bytes, never the
// opposite.
func plain8(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	control := x - ones*0x20
	quote := (x ^ ones*'"') - ones
	backslash := (x ^ ones*'\\') - ones
	del := x + ones
	return (x|control|quote|backslash|del)&tops == 0
}
