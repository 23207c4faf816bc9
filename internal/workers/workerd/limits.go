package workerd

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// textOutOfMemory is in the last words of V8 when its heap is at its bound.
const textOutOfMemory = "JavaScript heap out of memory"

// HeapLimit returns the flag of V8 that bounds its heap, for [Launcher.V8Flags].
// The process ends when the bound is reached; see [Process.OutOfMemory].
func HeapLimit(bytes int64) string {
	return "--max-old-space-size=" + strconv.FormatInt(bytes>>20, 10)
}

// Sample returns what the process uses; see [supervise.Process.Sample].
func (p *Process) Sample() (supervise.Sample, error) { return p.proc.Sample() }

// Ping returns nil as soon as the process's event loop, which is also where its
// JavaScript runs, takes a turn. While JavaScript runs it does not return.
func (p *Process) Ping(ctx context.Context) error {
	return ask(ctx, filepath.Join(p.dir, readySocket))
}

// Kill ends the process at once and waits until it is gone. Stop must be called
// all the same.
func (p *Process) Kill() { p.proc.Kill() }

// SetPriority is [supervise.Process.SetPriority].
func (p *Process) SetPriority(to supervise.Priority) error { return p.proc.SetPriority(to) }

// OutOfMemory reports, once the process has ended, whether V8 ended it because its heap was
// full.
func (p *Process) OutOfMemory() bool { return p.logs.outOfMemory.Load() }
