package instances

import (
	"fmt"
	"sync"
	"time"
)

// What of an instance's output is kept in memory; all of it goes to the platform's
// event log.
const (
	keptLines = 1000
	keptBytes = 256 << 10
)

// tail keeps the last lines.
type tail struct {
	mu    sync.Mutex
	lines []Line
	bytes int
}

func (t *tail) add(l Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
	t.bytes += len(l.Text)
	drop := 0
	for len(t.lines)-drop > keptLines || t.bytes > keptBytes && drop < len(t.lines)-1 {
		t.bytes -= len(t.lines[drop].Text)
		t.lines[drop] = Line{} // so that its text can go
		drop++
	}
	t.lines = t.lines[drop:]
}

// How much an instance may put into the platform's event log, where others' lines are
// too: so many bytes at once, and so many a second.
const (
	logBurst = 4 << 20
	logRate  = 256 << 10
)

// meter lets lines into the event log, or counts those that are too many.
type meter struct {
	mu      sync.Mutex
	left    float64
	at      time.Time
	dropped int
}

// take reports whether a line may go in, and how many before it could not.
func (m *meter) take(now time.Time, size int) (ok bool, dropped int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() {
		m.left = logBurst
	} else {
		m.left = min(m.left+now.Sub(m.at).Seconds()*logRate, logBurst)
	}
	m.at = now
	if m.left < float64(size) {
		m.dropped++
		return false, 0
	}
	m.left -= float64(size)
	dropped, m.dropped = m.dropped, 0
	return true, dropped
}

// pass gives a line to the event log, unless there are too many.
func (in *Instance) pass(l Line) {
	to := in.o.s.o.OnLog
	if to == nil {
		return
	}
	ok, dropped := in.meter.take(l.Time, len(l.Text))
	if dropped > 0 {
		note := l
		note.Stderr, note.Text = true, fmt.Sprintf("(%d lines of the container were left out: it prints more than %d KiB/s)", dropped, logRate>>10)
		to(note)
	}
	if ok {
		to(l)
	}
}

// Lines returns the last that the instance printed, at most n.
func (in *Instance) Lines(n int) []Line {
	in.output.mu.Lock()
	defer in.output.mu.Unlock()
	all := in.output.lines
	if len(all) > n {
		all = all[len(all)-n:]
	}
	return append([]Line(nil), all...)
}
