package supervise

import "fmt"

// Background says whether the process may run only when nobody else wants the
// processor (SCHED_IDLE, sched(7)): then it delays others by nothing, and gets
// what they leave. It holds for the threads that the process has now. The error
// is [ErrNotRunning] after the exit, and [errors.ErrUnsupported] where the system
// has no such class or would not let the process back out of it, see
// [CanBackground].
func (p *Process) Background(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return fmt.Errorf("supervise: priority of process %d: %w", p.pid, ErrNotRunning)
	}
	class := uint32(inForeground)
	if on {
		class = inBackground
	}
	if err := setClass(p.pid, class); err != nil {
		return fmt.Errorf("supervise: priority of process %d: %w", p.pid, err)
	}
	return nil
}
