package runc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/instances/keeper"
	"github.com/selvage-dev/selvage/internal/netns"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// killed is the exit code of a container that ended with its keeper.
const killed = 128 + int(syscall.SIGKILL)

type container struct {
	d      *Driver
	k      *keeper.Keeper
	id     string
	dir    string // what it writes
	net    *netns.NS
	quota  int64 // processor time of a period in µs; 0: no limit
	output sync.WaitGroup

	once sync.Once
	done chan struct{}
	exit driver.Exit // valid when done is closed

	removing sync.Mutex
	removed  bool
}

// Create implements [driver.Driver].
func (d *Driver) Create(ctx context.Context, s driver.Spec) (_ driver.Container, err error) {
	if len(s.Args) == 0 {
		return nil, &driver.StartError{Text: "the image names no program to run: give it an ENTRYPOINT or a CMD, or the class an entrypoint"}
	}
	k, err := d.running(ctx)
	if err != nil {
		return nil, err
	}
	c := &container{d: d, k: k, id: s.ID, dir: filepath.Join(d.o.Dir, s.ID), done: make(chan struct{})}
	if s.Resources.MilliCPU > 0 {
		c.quota = quota(s.Resources.MilliCPU)
	}
	d.mu.Lock()
	taken := d.all[s.ID] != nil
	if !taken {
		d.all[s.ID] = c
	}
	d.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("runc: there is a container %s already", s.ID)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Remove(context.WithoutCancel(ctx)))
		}
	}()
	pid, err := c.create(ctx, &s)
	if err != nil {
		return nil, err
	}
	if c.net, err = netns.At(k.Namespace(pid)); err != nil {
		return nil, fmt.Errorf("runc: the container ended before it began: %w", err)
	}
	if err := c.net.Do(netns.AllowLowPorts); err != nil {
		return nil, fmt.Errorf("runc: network of a container: %w", err)
	}
	go c.watch()
	return c, nil
}

func (c *container) create(ctx context.Context, s *driver.Spec) (pid int, err error) {
	upper, work := filepath.Join(c.dir, "upper"), filepath.Join(c.dir, "work")
	for _, dir := range []string{upper, work} {
		if err := fsx.MkdirAll(dir, 0o755); err != nil {
			return 0, fmt.Errorf("runc: folders of a container: %w", err)
		}
	}
	if err := os.Lchown(upper, c.d.o.Shift, c.d.o.Shift); err != nil {
		return 0, fmt.Errorf("runc: folders of a container: %w", err)
	}
	cgroup := c.d.cgroup + "/" + c.id
	body, err := config(s, c.k.Bundle(c.id), cgroup, c.d.o.Shift)
	if err != nil {
		return 0, err
	}
	stdout, err := c.pipe(s.Stdout)
	if err != nil {
		return 0, err
	}
	defer func() { _ = stdout.Close() }()
	stderr, err := c.pipe(s.Stderr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = stderr.Close() }()
	pid, err = c.k.Create(ctx, c.id, &keeper.Create{
		Config: body, Files: files(s), Lower: s.Layers, Upper: upper, Work: work, User: s.User, Shift: c.d.o.Shift,
		Counter: c.d.groups.counter(cgroup),
	}, stdout, stderr)
	if public, ok := errors.AsType[*keeper.StartError](err); ok {
		return 0, &driver.StartError{Text: public.Text}
	}
	return pid, err
}

// pipe returns a pipe's end for the container's output, of which each line goes to
// fn.
func (c *container) pipe(fn func([]byte)) (*os.File, error) {
	if fn == nil {
		fn = func([]byte) {}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("runc: %w", err)
	}
	// The container's root may open it again, as /dev/stdout.
	if err := w.Chown(c.d.o.Shift, c.d.o.Shift); err != nil {
		return nil, errors.Join(fmt.Errorf("runc: %w", err), r.Close(), w.Close())
	}
	c.output.Go(func() {
		_, _ = supervise.Lines(fn).ReadFrom(r) // its end is the container's
		_ = r.Close()
	})
	return w, nil
}

// watch notes the end of a container whose keeper ended.
func (c *container) watch() {
	select {
	case <-c.done:
	case <-c.k.Done():
		c.finish(driver.Exit{Code: killed})
	}
}

// finish notes how it ended, when all that it printed was delivered.
func (c *container) finish(e driver.Exit) {
	c.once.Do(func() {
		go func() {
			c.output.Wait()
			c.exit = e
			close(c.done)
		}()
	})
}

// ID implements [driver.Container].
func (c *container) ID() string { return c.id }

// Network implements [driver.Container].
func (c *container) Network() *netns.NS { return c.net }

// Done implements [driver.Container].
func (c *container) Done() <-chan struct{} { return c.done }

// Exit implements [driver.Container].
func (c *container) Exit() driver.Exit { return c.exit }

// Start implements [driver.Container].
func (c *container) Start(ctx context.Context) error {
	if err := c.k.Start(ctx, c.id); err != nil {
		return c.explain(err)
	}
	if c.quota > 0 && c.quota < period {
		go c.settle() //nolint:contextcheck // it outlives the call
	}
	return nil
}

// boost is how long a container that has less than a processor has a whole one after
// its start: a sixteenth of one is 6 ms in each 100 ms, which a program takes to begin.
const boost = 500 * time.Millisecond

// settle gives the container the processor time that it is to have.
func (c *container) settle() {
	t := time.NewTimer(boost)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.done:
		return
	}
	err := c.d.groups.limitCPU(c.d.cgroup+"/"+c.id, c.quota)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return // or it has ended meanwhile
	}
	// A limit that cannot be set must not be none.
	c.d.o.Log.Error("the processor time of a container cannot be limited: it is ended", "container", c.id, "error", err)
	_ = c.Signal(syscall.SIGKILL) // it has ended already, or does now
}

// Signal implements [driver.Container].
func (c *container) Signal(sig syscall.Signal) error {
	select {
	case <-c.done:
		return driver.ErrNotRunning
	default:
	}
	return c.explain(c.k.Signal(context.Background(), c.id, sig))
}

// explain makes the keeper's errors the driver's.
func (c *container) explain(err error) error {
	if err == nil {
		return nil
	}
	if public, ok := errors.AsType[*keeper.StartError](err); ok {
		return &driver.StartError{Text: public.Text}
	}
	select {
	case <-c.done:
		return fmt.Errorf("runc: %w", driver.ErrNotRunning)
	default:
		return fmt.Errorf("runc: %w", err)
	}
}

// Exec implements [driver.Container].
func (c *container) Exec(ctx context.Context, e driver.ExecSpec) (driver.Process, error) {
	stdio := [3]*os.File{e.Stdin, e.Stdout, e.Stderr}
	for i, f := range stdio {
		if f != nil {
			continue
		}
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("runc: %w", err)
		}
		defer func() { _ = null.Close() }()
		stdio[i] = null
	}
	p, err := c.k.Exec(ctx, c.id, &keeper.Exec{Args: e.Args, Env: e.Env, Dir: e.Dir, User: e.User}, stdio)
	if err != nil {
		return nil, c.explain(err)
	}
	return p, nil
}

// Files implements [driver.Container].
func (c *container) Files() (driver.Files, error) {
	root, err := os.OpenRoot(c.k.RootFS(c.id))
	if err != nil {
		return nil, fmt.Errorf("runc: files of a container: %w", err)
	}
	return &rootFiles{root: root, shift: c.d.o.Shift}, nil
}

// Stats implements [driver.Container].
func (c *container) Stats() (driver.Stats, error) { return c.d.groups.stats(c.d.cgroup + "/" + c.id) }

// Remove implements [driver.Container].
func (c *container) Remove(ctx context.Context) error {
	c.removing.Lock()
	defer c.removing.Unlock()
	if c.removed {
		return nil
	}
	if err := c.k.Remove(ctx, c.id); err != nil && !errors.Is(err, keeper.ErrGone) && c.net != nil {
		return fmt.Errorf("runc: remove a container: %w", err)
	}
	c.finish(driver.Exit{Code: killed})
	if c.net != nil {
		_ = c.net.Close() // nothing to be done about it
	}
	c.d.mu.Lock()
	delete(c.d.all, c.id)
	c.d.mu.Unlock()
	c.removed = true
	if err := os.RemoveAll(c.dir); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("runc: files of a container: %w", err)
	}
	return nil
}
