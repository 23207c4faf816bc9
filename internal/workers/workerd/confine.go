package workerd

import (
	"context"
	"fmt"
	"sync"

	"github.com/selvage-dev/selvage/internal/sandbox"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// programInside is where workerd is in the root of a confined process.
const programInside = "/workerd"

// closure is what workerd needs in a root of its own, looked up once.
type closure struct {
	mu    sync.Mutex
	known bool
	files []sandbox.Bind
	env   []string
}

// confine makes spec one of a process that sees workerd, its libraries, its
// private folder and what the worker may write.
func (l *Launcher) confine(ctx context.Context, spec *supervise.Spec, w *Worker) error {
	files, env, err := l.closure.of(ctx, spec.Path)
	if err != nil {
		return fmt.Errorf("workerd: %w", err)
	}
	if l.Isolation.Confined() {
		spec.Env = append(spec.Env, env...)
	}
	spec.Sandbox = &supervise.Sandbox{
		Isolation: l.Isolation, Program: programInside, ReadOnly: files, Writable: w.writable(),
	}
	if w.Containers != "" {
		spec.Sandbox.Loopback = 1
	}
	return nil
}

func (c *closure) of(ctx context.Context, program string) ([]sandbox.Bind, []string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		return c.files, c.env, nil
	}
	files, env, err := supervise.Closure(ctx, program, programInside)
	if err != nil {
		return nil, nil, err
	}
	c.files, c.env, c.known = files, env, true
	return files, env, nil
}

// writable returns the folders outside of the private one that the worker's
// process may write.
func (w *Worker) writable() []string {
	if w.Storage == "" {
		return nil
	}
	return []string{w.Storage}
}
