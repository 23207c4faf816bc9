package workerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/upstream"
)

// Process is one running worker. Its methods are safe for concurrent use.
type Process struct {
	proc *supervise.Process
	pool *upstream.Pool
	dir  string
	took time.Duration
	info started
	logs *logReader
	// dispatches says that the entry module has a fetch handler of ours, which
	// knows the key that a ray begins with; see dispatch.go.
	dispatches bool
	key        string
	cleanup    sync.Once
	rmErr      error
}

// Upstream returns the connections to the worker. They fail once the process has
// ended.
func (p *Process) Upstream() *upstream.Pool { return p.pool }

// Pid returns the process id.
func (p *Process) Pid() int { return p.proc.Pid() }

// Done is closed when the process has ended and everything it logged has been
// delivered.
func (p *Process) Done() <-chan struct{} { return p.proc.Done() }

// Err returns nil while the process runs and when it ended with exit code 0, as
// it does when asked to; otherwise a *supervise.ExitError.
func (p *Process) Err() error { return p.proc.Err() }

// Handlers returns the names of the handlers of the worker's default export, for
// instance "fetch" and "scheduled". It is nil for a script in service-worker
// syntax and for a module without a default export: these register theirs at run
// time.
func (p *Process) Handlers() []string { return p.info.Handlers }

// Exports returns the names of the main module's other exports, at most 500.
func (p *Process) Exports() []string { return p.info.Exports }

// Entrypoints returns those of Exports, the default one left out, that a service binding or
// a [Socket] can name: classes that extend WorkerEntrypoint and objects.
func (p *Process) Entrypoints() []string { return p.info.Entrypoints }

// StartupTime is how long it took from the start of the process until it
// answered.
func (p *Process) StartupTime() time.Duration { return p.took }

// Usage returns resident memory in bytes and processor time used; see
// [supervise.Process.Usage].
func (p *Process) Usage() (rssBytes int64, cpu time.Duration, err error) { return p.proc.Usage() }

// Stop ends the process and removes its private folder. The runtime stops taking
// connections at once, finishes the requests that it has, streamed answers
// included, and exits; when the context ends before that, it is killed and the
// context's error returned. Stop must also be called for a process that ended by
// itself, as it frees the folder and the idle connections. It may be called more
// than once.
func (p *Process) Stop(ctx context.Context) error {
	p.pool.Close()
	err := p.proc.Stop(ctx)
	p.cleanup.Do(func() {
		if p.rmErr = os.RemoveAll(p.dir); p.rmErr != nil {
			p.rmErr = fmt.Errorf("workerd: remove private folder: %w", p.rmErr)
		}
	})
	return errors.Join(err, p.rmErr)
}
