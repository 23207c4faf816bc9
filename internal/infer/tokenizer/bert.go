package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer cleans text as BERT was trained: control characters go, white
// space becomes spaces, ideographs stand alone, accents and case go.
type bertNormalizer struct {
	clean, ideographs, accents, lower bool
}

func (n bertNormalizer) normalize(s string) string {
	out := make([]byte, 0, len(s)+len(s)/8)
	for s != "" {
		run := asciiRun(s)
		for _, c := range []byte(s[:run]) {
			switch {
			case c < ' ' || c == 0x7f:
				if !n.clean {
					out = append(out, c)
				} else if c == '\t' || c == '\n' || c == '\r' {
					out = append(out, ' ')
				}
			case n.lower && 'A' <= c && c <= 'Z':
				out = append(out, c+'a'-'A')
			default:
				out = append(out, c)
			}
		}
		s = s[run:]
		wide := 0
		for wide < len(s) && s[wide] >= utf8.RuneSelf {
			wide++
		}
		out = n.wide(out, s[:wide])
		s = s[wide:]
	}
	return string(out)
}

// asciiRun is how many bytes of s are ASCII before another comes.
func asciiRun(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return i
		}
	}
	return len(s)
}

// wide adds a run of s that has no ASCII. Such a run can be decomposed by
// itself: ASCII never takes part in it.
func (n bertNormalizer) wide(out []byte, s string) []byte {
	if s == "" {
		return out
	}
	run := make([]byte, 0, 2*len(s))
	for _, r := range s {
		switch {
		case n.clean && (r == utf8.RuneError || control(r)):
		case n.clean && unicode.IsSpace(r):
			run = append(run, ' ')
		case n.ideographs && ideograph(r):
			run = append(run, ' ')
			run = utf8.AppendRune(run, r)
			run = append(run, ' ')
		default:
			run = utf8.AppendRune(run, r)
		}
	}
	if n.accents {
		run = norm.NFD.Bytes(run)
	}
	if !n.accents && !n.lower {
		return append(out, run...)
	}
	for len(run) > 0 {
		r, size := utf8.DecodeRune(run)
		run = run[size:]
		if n.accents && unicode.Is(unicode.Mn, r) {
			continue
		}
		if n.lower {
			out = appendLower(out, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// appendLower adds the lower case of r. One character has a lower case of two.
func appendLower(out []byte, r rune) []byte {
	if r == 'İ' {
		return append(out, "i\u0307"...)
	}
	return utf8.AppendRune(out, unicode.ToLower(r))
}

// control is what cleaning removes.
func control(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r)
}

// ideograph is what BERT takes for a word of its own: the blocks of CJK
// ideographs, and not the other scripts of these languages.
func ideograph(r rune) bool {
	if r < 0x3400 {
		return false
	}
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B73F || r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}

// bertSplitter cuts at white space, and makes each punctuation mark a word.
type bertSplitter struct{}

func (bertSplitter) split(s string, _ bool, emit func(string) bool) bool {
	start := 0
	for i := 0; i < len(s); {
		class, size := classOf(s, i)
		if class == letter {
			i += size
			continue
		}
		if start < i && !emit(s[start:i]) {
			return false
		}
		if class == mark && !emit(s[i:i+size]) {
			return false
		}
		i += size
		start = i
	}
	return start == len(s) || emit(s[start:])
}

// class is what a character is to the splitter.
type class uint8

const (
	letter class = iota
	space
	mark
)

// ascii has the classes of the first characters.
var ascii = func() (t [utf8.RuneSelf]class) { //nolint:gochecknoglobals // a table
	for c := range t {
		switch r := rune(c); {
		case r == ' ' || r >= '\t' && r <= '\r':
			t[c] = space
		case '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z':
			t[c] = letter
		case r > ' ' && r < 0x7f:
			t[c] = mark
		}
	}
	return t
}()

// classOf returns the class of the character at s[i:] and its length in bytes.
func classOf(s string, i int) (class, int) {
	if c := s[i]; c < utf8.RuneSelf {
		return ascii[c], 1
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	switch {
	case unicode.IsSpace(r):
		return space, size
	case unicode.IsPunct(r):
		return mark, size
	}
	return letter, size
}

func endsInWord(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return size > 0 && wordRune(r)
}

func beginsWithWord(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && wordRune(r)
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
