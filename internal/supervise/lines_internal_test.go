package supervise

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func split(input string, pieces func(io.Reader) io.Reader) []string {
	var got []string
	w := &lineWriter{emit: func(b []byte) { got = append(got, string(b)) }}
	_, _ = w.ReadFrom(pieces(strings.NewReader(input)))
	return got
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	tests := map[string]struct {
		in   string
		want []string
	}{
		"nothing":          {"", nil},
		"lines":            {"a\nb\n", []string{"a", "b"}},
		"no end":           {"a\nb", []string{"a", "b"}},
		"empty lines":      {"\n\na\n\n", []string{"", "", "a", ""}},
		"carriage returns": {"a\r\nb\r\r\n", []string{"a", "b\r"}},
		"longest":          {long + "\nb\n", []string{long, "b"}},
		"longest, no end":  {long, []string{long}},
		"one too long":     {long + "y\nb\n", []string{long + CutMark, "b"}},
		"much too long":    {"a\n" + long + long + long + "y\nb", []string{"a", long + CutMark, "b"}},
		"too long, no end": {long + "yy", []string{long + CutMark}},
		"growing":          {strings.Repeat("y", 5000) + "\n" + strings.Repeat("z", 20000) + "\n", []string{strings.Repeat("y", 5000), strings.Repeat("z", 20000)}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for i, pieces := range []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.OneByteReader, iotest.HalfReader} {
				if d := cmp.Diff(tt.want, split(tt.in, pieces)); d != "" {
					t.Errorf("in pieces of kind %d: %s", i, d)
				}
			}
		})
	}
}

// FuzzLines compares with the obvious way, for input below the bound.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc"), true)
	f.Add(bytes.Repeat([]byte("x"), 9000), false)
	f.Fuzz(func(t *testing.T, in []byte, oneByte bool) {
		if len(in) > MaxLine {
			return
		}
		pieces := iotest.DataErrReader
		if oneByte {
			pieces = iotest.OneByteReader
		}
		var want []string
		if len(in) > 0 {
			for l := range strings.SplitSeq(strings.TrimSuffix(string(in), "\n"), "\n") {
				want = append(want, strings.TrimSuffix(l, "\r"))
			}
		}
		if d := cmp.Diff(want, split(string(in), pieces)); d != "" {
			t.Error(d)
		}
	})
}
