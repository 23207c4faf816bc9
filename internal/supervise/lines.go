package supervise

import (
	"bytes"
	"errors"
	"io"
)

const (
	// MaxLine is the longest line that is passed on, in bytes, [CutMark] not
	// counted.
	MaxLine = 64 << 10
	// CutMark ends a line of which the rest was dropped.
	CutMark = "…[cut]"

	firstBuf = 4 << 10
)

// output returns the writer that splits a child's output into lines; a nil
// interface, which discards, for a nil function.
func output(fn func([]byte)) io.Writer {
	if fn == nil {
		return nil
	}
	return &lineWriter{emit: fn}
}

// lineWriter turns a stream into calls of emit, one a line. Its buffer grows
// with the longest line seen, up to MaxLine.
type lineWriter struct {
	emit func(line []byte)
	buf  []byte // buf[:n] is the line so far
	n    int
	skip bool // dropping the rest of a line that was cut
}

// ReadFrom is what os/exec's copying uses; it reads straight into the line
// buffer and delivers a last line that has no line end.
func (w *lineWriter) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		w.grow()
		m, err := r.Read(w.buf[w.n:])
		total += int64(m)
		w.advance(m)
		if err != nil {
			w.flush()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return total, err
		}
	}
}

// Write makes it an io.Writer; see ReadFrom.
func (w *lineWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		w.grow()
		m := copy(w.buf[w.n:], p)
		p = p[m:]
		w.advance(m)
	}
	return total, nil
}

// grow makes room for at least one more byte.
func (w *lineWriter) grow() {
	if w.n < len(w.buf) {
		return
	}
	size := min(max(2*len(w.buf), firstBuf), MaxLine+1)
	next := make([]byte, size)
	copy(next, w.buf[:w.n])
	w.buf = next
}

// advance takes m new bytes behind buf[:n] into account.
func (w *lineWriter) advance(m int) {
	searched := w.n
	w.n += m
	start := 0
	for {
		i := bytes.IndexByte(w.buf[searched:w.n], '\n')
		if i < 0 {
			break
		}
		w.line(w.buf[start : searched+i])
		start = searched + i + 1
		searched = start
	}
	w.n = copy(w.buf, w.buf[start:w.n])
	if w.n > MaxLine {
		if !w.skip {
			cut := make([]byte, 0, MaxLine+len(CutMark))
			w.emit(append(append(cut, w.buf[:MaxLine]...), CutMark...))
		}
		w.skip = true
		w.n = 0
	}
}

func (w *lineWriter) line(b []byte) {
	if w.skip {
		w.skip = false
		return
	}
	w.emit(bytes.TrimSuffix(b, []byte("\r")))
}

func (w *lineWriter) flush() {
	if w.n > 0 {
		w.line(w.buf[:w.n])
	}
	w.n = 0
}

// Lines returns a writer that passes on what is copied into it line by line, as
// [Spec] says of a process's output. Its ReadFrom also delivers a last line that
// does not end.
func Lines(fn func(line []byte)) io.ReaderFrom { return &lineWriter{emit: fn} }
