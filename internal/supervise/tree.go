package supervise

import "fmt"

// TreeUsage is what a process and all of its descendants use.
type TreeUsage struct {
	Processes int
	Threads   int
	Anon      int64 // resident memory that belongs to no file, in bytes
}

// Tree looks at the process and its descendants. Of a process that leads a process
// namespace these are all that are in it, as orphans become its children. It costs
// a look at every process of the machine. The errors are those of [Process.Usage].
func (p *Process) Tree() (TreeUsage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return TreeUsage{}, fmt.Errorf("supervise: tree of process %d: %w", p.pid, ErrNotRunning)
	}
	u, err := tree(p.pid)
	if err != nil {
		return TreeUsage{}, fmt.Errorf("supervise: tree of process %d: %w", p.pid, err)
	}
	return u, nil
}
