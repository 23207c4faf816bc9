package tokenizer

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// charsMap is the normaliser that SentencePiece compiles into a model: a
// double-array trie (as darts-clone stores it) of what is replaced, and the
// strings that replace it, each ended by a zero.
type charsMap struct {
	units   []uint32
	strings string
}

func parseCharsMap(b []byte) (charsMap, error) {
	if len(b) < 4 {
		return charsMap{}, invalid("the precompiled_charsmap has %d bytes", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if n%4 != 0 || n == 0 || uint64(n) > uint64(len(b)-4) { //nolint:gosec // not negative
		return charsMap{}, invalid("the precompiled_charsmap claims a trie of %d bytes, and has %d", n, len(b)-4)
	}
	m := charsMap{units: make([]uint32, n/4), strings: string(b[4+n:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	return m, nil
}

// find returns what replaces the shortest beginning of s that the trie has.
func (m charsMap) find(s string) (string, bool) {
	at := offset(m.units[0])
	for i := range len(s) {
		c := uint32(s[i])
		at ^= c
		if c == 0 || int(at) >= len(m.units) || m.units[at]&(1<<31|0xff) != c {
			return "", false
		}
		leaf := m.units[at]>>8&1 == 1
		if at ^= offset(m.units[at]); leaf {
			if int(at) >= len(m.units) {
				return "", false
			}
			v := int(m.units[at] & (1<<31 - 1))
			if v > len(m.strings) {
				return "", false
			}
			out, _, _ := strings.Cut(m.strings[v:], "\x00")
			return out, true
		}
	}
	return "", false
}

// offset is the distance from a node to its children.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// cluster is up to how many bytes of a character with its marks are looked up
// as one.
const cluster = 6

func (m charsMap) normalize(s string) string {
	out := make([]byte, 0, len(s)+len(s)/8)
	for s != "" {
		n := clusterLen(s)
		if n < cluster {
			if r, ok := m.find(s[:n]); ok {
				out = append(out, r...)
				s = s[n:]
				continue
			}
		}
		for c := s[:n]; c != ""; {
			_, size := utf8.DecodeRuneInString(c)
			if r, ok := m.find(c[:size]); ok {
				out = append(out, r...)
			} else {
				out = append(out, c[:size]...)
			}
			c = c[size:]
		}
		s = s[n:]
	}
	return string(out)
}

// clusterLen is the length of the first character of s and what is drawn with
// it. It is exact for those shorter than [cluster], and not shorter for others.
func clusterLen(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if r == '\r' && n < len(s) && s[n] == '\n' {
		return 2
	}
	if unicode.Is(unicode.Cc, r) {
		return n
	}
	for n < len(s) {
		if s[n] < utf8.RuneSelf {
			return n
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		if !unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) && r != 0x200c && r != 0x200d {
			return n
		}
		n += size
	}
	return n
}
