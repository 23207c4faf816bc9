package builds

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// buildLog is the log of a build that is not over. It is safe for concurrent use.
type buildLog struct {
	now func() time.Time
	max int // bytes

	mu      sync.Mutex
	lines   []Line
	bytes   int
	dropped int           // lines that did not fit
	lost    int64         // their bytes
	closed  bool          // no line comes any more
	changed chan struct{} // closed when something of this changes, and made anew
}

func newLog(now func() time.Time, limit int) *buildLog {
	return &buildLog{now: now, max: limit, changed: make(chan struct{})}
}

const (
	lineOverhead = 64      // bytes that a line costs beside its text
	maxLineText  = 4 << 10 // bytes of one line
)

// say adds a line of the platform's own, for which there is always room.
func (l *buildLog) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(fmt.Sprintf(format, args...))
}

// output adds a line that a command printed. What is beyond the bound is counted
// and dropped.
func (l *buildLog) output(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 || l.bytes+len(line)+lineOverhead > l.max {
		if l.dropped == 0 {
			l.add(fmt.Sprintf("[the output has more than %d bytes: what follows is left out]", l.max))
		}
		l.dropped++
		l.lost += int64(len(line)) + 1
		return
	}
	l.bytes += len(line) + lineOverhead
	l.add(clean(line))
}

func (l *buildLog) add(text string) {
	l.lines = append(l.lines, Line{Time: l.now().UTC().Truncate(time.Millisecond), Text: text})
	l.signal()
}

func (l *buildLog) signal() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// noteDropped says how much was left out.
func (l *buildLog) noteDropped() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		l.add(fmt.Sprintf("[left out: %d lines, %d bytes]", l.dropped, l.lost))
		l.dropped, l.lost = 0, 0
	}
}

// close says that no line comes any more.
func (l *buildLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.signal()
	}
}

// all returns a copy of the lines.
func (l *buildLog) all() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Line(nil), l.lines...)
}

// follow gives the lines to yield as they come, from the first one on, until there
// are no more, yield returns false, or ctx ends. In a silence it yields nil every
// pulse.
func (l *buildLog) follow(ctx context.Context, pulse time.Duration, yield func([]Line) bool) error {
	at := 0
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		l.mu.Lock()
		lines, closed, changed := l.lines[at:len(l.lines):len(l.lines)], l.closed, l.changed
		l.mu.Unlock()
		at += len(lines)
		if len(lines) > 0 && !yield(lines) {
			return nil
		}
		if closed && len(lines) == 0 {
			return nil
		}
		if closed {
			continue
		}
		select {
		case <-changed:
		case <-ticker.C:
			if !yield(nil) {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// clean makes a line of a command's output fit to be shown in the terminal of
// somebody else: nothing that moves the cursor or sets a title. Colors stay out too.
func clean(line []byte) string {
	out := make([]rune, 0, len(line))
	text := []rune(string(line))
	for i := 0; i < len(text); i++ {
		r := text[i]
		if r == 0x1b || r == 0x9b {
			i = skipEscape(text, i)
			continue
		}
		if r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			out = append(out, r)
		}
		if len(out) >= maxLineText {
			return string(out) + "…"
		}
	}
	return string(out)
}

// skipEscape returns the index of the last rune of the escape sequence that begins
// at i (ECMA-48: CSI … final, OSC … BEL, or ESC and one more).
func skipEscape(text []rune, i int) int {
	kind := rune('[')
	if text[i] == 0x1b {
		if i++; i >= len(text) {
			return i
		}
		kind = text[i]
	}
	switch kind {
	case '[':
		for i++; i < len(text); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return i
			}
		}
	case ']':
		for i++; i < len(text); i++ {
			if text[i] == 0x07 || text[i] == '\\' && text[i-1] == 0x1b {
				return i
			}
		}
	}
	return i
}
