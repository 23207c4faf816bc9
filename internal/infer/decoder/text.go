package decoder

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// writer turns the bytes of tokens into text: whole characters only, and nothing
// of a stop string.
type writer struct {
	stops   [][]byte
	pending []byte
	stopped bool
}

func newWriter(stops []string) *writer {
	w := &writer{}
	for _, s := range stops {
		if s != "" {
			w.stops = append(w.stops, []byte(s))
		}
	}
	return w
}

// write adds bytes and returns what can be told of the text.
func (w *writer) write(b []byte) string {
	w.pending = append(w.pending, b...)
	end := -1
	for _, s := range w.stops {
		if i := bytes.Index(w.pending, s); i >= 0 && (end < 0 || i < end) {
			end = i
		}
	}
	if end >= 0 {
		w.stopped = true
		return w.take(end)
	}
	return w.take(len(w.pending) - w.held())
}

// held is how many of the last bytes may yet become a stop string, or are the
// beginning of a character.
func (w *writer) held() int {
	held := partial(w.pending)
	for _, s := range w.stops {
		for n := min(len(s)-1, len(w.pending)); n > held; n-- {
			if bytes.HasSuffix(w.pending, s[:n]) {
				held = n
			}
		}
	}
	// What stands before may end within a character, of which the rest is held.
	return held + partial(w.pending[:len(w.pending)-held])
}

// partial is how many of the last bytes of b are the beginning of a character.
func partial(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			break
		}
	}
	return 0
}

// rest is what was held, at the end of the text.
func (w *writer) rest() string {
	if w.stopped {
		return ""
	}
	return w.take(len(w.pending))
}

func (w *writer) take(n int) string {
	s := strings.ToValidUTF8(string(w.pending[:n]), "\uFFFD")
	w.pending = append(w.pending[:0], w.pending[n:]...)
	return s
}
