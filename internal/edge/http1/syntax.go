package http1

import (
	"bytes"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// scanner finds the end of a head that arrives in pieces. It looks at each byte
// once, however small the pieces are.
type scanner struct {
	start int // of the first line: an empty line before it is skipped
	line  int // start of the line being scanned
	pos   int // where to go on
	lines int // complete lines so far, with the first
}

// headLimits bound a head: in bytes altogether, in bytes of its first line, in
// fields.
type headLimits struct {
	bytes, first, fields int
}

// next returns the length of the head in b, with the empty line that ends it,
// or 0 when it is not complete. All that arrived so far is in b.
func (s *scanner) next(b []byte, lim headLimits) (int, wire.Fault) {
	for {
		i := bytes.IndexByte(b[s.pos:], '\n')
		if i < 0 {
			s.pos = len(b)
			return 0, s.bounds(len(b), lim)
		}
		i += s.pos
		s.pos = i + 1
		if f := s.bounds(i+1, lim); f != wire.NoFault {
			return 0, f
		}
		if i == s.line || b[i-1] != '\r' {
			return 0, wire.BareLineFeed
		}
		if i-1 == s.line {
			if s.lines > 0 {
				return i + 1, wire.NoFault
			}
			// RFC 9112 section 2.2: one empty line before the request line
			// is to be ignored.
			if s.start > 0 {
				return 0, wire.BadRequestLine
			}
			s.start = i + 1
		} else {
			s.lines++
			if s.lines > lim.fields+1 {
				return 0, wire.TooManyFields
			}
		}
		s.line = i + 1
	}
}

func (s *scanner) bounds(end int, lim headLimits) wire.Fault {
	switch {
	case s.lines == 0 && end-s.line > lim.first:
		return wire.TargetTooLong
	case end > lim.bytes:
		return wire.HeadTooLarge
	}
	return wire.NoFault
}

// cutLine splits the first line, without CR LF, from b, in which each line ends
// with CR LF.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 {
		return nil, nil
	}
	return b[:i-1], b[i+1:]
}

// parseFields appends the fields in b, lines up to an empty one, to fields.
func parseFields(b []byte, fields []wire.Field) ([]wire.Field, wire.Fault) {
	for {
		var line []byte
		line, b = cutLine(b)
		if len(line) == 0 {
			return fields, wire.NoFault
		}
		if line[0] == ' ' || line[0] == '\t' {
			return fields, wire.FoldedField
		}
		colon := 0
		for colon < len(line) && isToken(line[colon]) {
			colon++
		}
		if colon == 0 || colon == len(line) || line[colon] != ':' {
			return fields, wire.BadFieldName
		}
		value := line[colon+1:]
		for _, ch := range value {
			if ch < ' ' && ch != '\t' || ch == 0x7f {
				return fields, wire.BadFieldValue
			}
		}
		name := wire.View(line[:colon])
		fields = append(fields, wire.Field{
			Name:  name,
			Value: wire.TrimSpace(wire.View(value)),
			Known: wire.Classify(name),
		})
	}
}

// isToken reports whether ch may stand in a token (RFC 9110 section 5.6.2).
func isToken(ch byte) bool {
	const (
		digits  = (1<<10 - 1) << '0'
		letters = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
		low     = uint64(digits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.')
		high    = uint64(letters | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64))
	)
	switch {
	case ch < 64:
		return low>>ch&1 != 0
	case ch < 128:
		return high>>(ch-64)&1 != 0
	}
	return false
}

// parseLength reads a Content-Length: digits only, and few enough for an int64.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// dropNamed marks the fields that a Connection field names (RFC 9110 section
// 7.6.1).
func dropNamed(fields []wire.Field, connection string) {
	for connection != "" {
		var token string
		token, connection = wire.NextToken(connection)
		if token == "" || wire.Is(token, "close") || wire.Is(token, "keep-alive") || wire.Is(token, "upgrade") {
			continue
		}
		for i := range fields {
			if wire.EqualFold(fields[i].Name, token) {
				fields[i].Drop = true
			}
		}
	}
}
