// Package workerd runs one worker in one workerd process.
package workerd

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/selvage-dev/selvage/internal/upstream"
)

// Launcher starts workers.
type Launcher struct {
	// Binary is the path of the workerd executable.
	Binary string
	// Log gets what the platform has to say about processes; nil discards.
	Log *slog.Logger
	// StartTimeout bounds the time from the start of the process until every
	// top-level statement of the script has run; 0 means DefaultStartTimeout.
	StartTimeout time.Duration
	// V8Flags are passed to V8 as they are, for instance
	// "--max-old-space-size=128". They are for the platform's limits, never for
	// anything a worker says.
	V8Flags []string
}

// Process is one running worker.
type Process struct{}

// Start starts a worker.
func (l *Launcher) Start(ctx context.Context, dir string, w *Worker, onLog func(LogLine)) (*Process, error) {
	return nil, errors.New("workerd: not built yet")
}

// MaxCompatibilityDate returns the newest compatibility date the runtime knows.
func (l *Launcher) MaxCompatibilityDate(ctx context.Context) (string, error) {
	return "", errors.New("workerd: not built yet")
}

// Upstream returns the pool of connections to the worker.
func (p *Process) Upstream() *upstream.Pool { return nil }

// Pid returns the process id.
func (p *Process) Pid() int { return 0 }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return nil }

// Err says how the process ended.
func (p *Process) Err() error { return nil }

// Stop ends the process.
func (p *Process) Stop(ctx context.Context) error { return nil }

// Handlers returns the names of the handlers of the default export.
func (p *Process) Handlers() []string { return nil }

// Exports returns the names of the named exports.
func (p *Process) Exports() []string { return nil }

// StartupTime is how long the start took.
func (p *Process) StartupTime() time.Duration { return 0 }

// Usage returns resident memory and processor time.
func (p *Process) Usage() (rssBytes int64, cpu time.Duration, err error) { return 0, 0, nil }
