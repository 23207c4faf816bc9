package native

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendArrays appends rows of n columns as JSON: [[1,"a"],[2,null]].
func AppendArrays(dst, rows []byte, n int) []byte {
	dst = append(dst, '[')
	for first := true; len(rows) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		for i := range n {
			if i > 0 {
				dst = append(dst, ',')
			}
			var v Value
			v, rows = Next(rows)
			dst = AppendJSON(dst, v)
		}
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// AppendObjects appends rows as JSON objects. Of columns with the same name the
// last one counts, as in an object of JavaScript.
func AppendObjects(dst, rows []byte, columns []string) []byte {
	keys := make([][]byte, len(columns))
	last := make(map[string]int, len(columns))
	for i, c := range columns {
		keys[i] = append(AppendString(nil, []byte(c)), ':')
		last[c] = i
	}
	dst = append(dst, '[')
	for first := true; len(rows) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		started := false
		for i := range columns {
			var v Value
			v, rows = Next(rows)
			if last[columns[i]] != i {
				continue
			}
			if started {
				dst = append(dst, ',')
			}
			started = true
			dst = AppendJSON(append(dst, keys[i]...), v)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// AppendJSON appends one value as D1 does: a blob is an array of bytes, and what
// JSON has no number for is null. An integer keeps all its digits; JavaScript
// rounds it when it reads it.
func AppendJSON(dst []byte, v Value) []byte {
	switch v.Kind {
	case Integer:
		return strconv.AppendInt(dst, v.Int, 10)
	case Float:
		return appendFloat(dst, v.Float)
	case Text:
		return AppendString(dst, v.Data)
	case Blob:
		return appendBytes(dst, v.Data)
	case Null:
	}
	return append(dst, "null"...)
}

// appendFloat writes the shortest digits that mean f.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	const smallest, largest = 1e-6, 1e21 // the bounds of ECMA-262, Number::toString
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < smallest || abs >= largest) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

func appendBytes(dst, b []byte) []byte {
	dst = append(dst, '[')
	for i, c := range b {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(c), 10)
	}
	return append(dst, ']')
}

// plain reports whether a byte stands for itself in a JSON string.
func plain(c byte) bool { return c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' }

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain(c) {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			_, n := utf8.DecodeRune(s[i:])
			if n > 1 {
				i += n
				continue
			}
			dst = append(append(dst, s[from:i]...), "\uFFFD"...)
		} else {
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			}
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}
