package supervise

import "fmt"

// Priority says who gets the processor first.
type Priority int

const (
	// Normal is what every process starts with.
	Normal Priority = iota
	// Background processes run only when nobody else wants the processor (SCHED_IDLE,
	// sched(7)): they delay others by nothing, and get what these leave.
	Background
)

// SetPriority holds for the threads that the process has now and those that they
// start. The error is [ErrNotRunning] after the exit, and [errors.ErrUnsupported]
// where [CanBackground] is false.
func (p *Process) SetPriority(to Priority) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return fmt.Errorf("supervise: priority of process %d: %w", p.pid, ErrNotRunning)
	}
	if err := setPriority(p.pid, to); err != nil {
		return fmt.Errorf("supervise: priority of process %d: %w", p.pid, err)
	}
	return nil
}
