package supervise

import (
	"fmt"
	"time"
)

// Sample is what a process uses at a moment.
type Sample struct {
	// Anon is the resident memory that belongs to no file, in bytes: heaps,
	// buffers and stacks, and not the program.
	Anon int64
	// CPU is the processor time that the main thread has used.
	CPU time.Duration
	// Waited is the time for which the main thread could have run and had no
	// processor; 0 where the system does not say.
	Waited time.Duration
}

// Sample looks at the process. It costs microseconds. The errors are those of
// [Process.Usage].
func (p *Process) Sample() (Sample, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return Sample{}, fmt.Errorf("supervise: sample process %d: %w", p.pid, ErrNotRunning)
	}
	s, err := sample(p.pid)
	if err != nil {
		return Sample{}, fmt.Errorf("supervise: sample process %d: %w", p.pid, err)
	}
	return s, nil
}
