package instances

import "sync"

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
