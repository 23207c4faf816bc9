package instances

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// idLen is the length of an instance's id in hex digits, as Docker has it.
const idLen = 64

func newID() string {
	var b [idLen / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// shortID is how much of an id names a container to the driver: enough to be
// unique, short enough for paths.
const shortID = 24

// Instance is one container of an object. Its methods are safe for concurrent use.
type Instance struct {
	o       *Owner
	app     Application
	image   *image
	ref     Image
	request Request
	id      string
	created time.Time

	starting sync.Mutex // one start or remove at a time
	gone     bool       // under starting

	health  health
	waiting atomic.Int64 // requests; see Admit
	output  tail
	meter   meter

	mu      sync.Mutex
	c       driver.Container // nil before the start
	started time.Time
	ended   time.Time
	state   State
	ahead   []archive // files that are put into it before it starts

	done    chan struct{} // closed when it has ended, or will never start
	removed chan struct{}
	end     sync.Once
}

func newInstance(o *Owner, app Application, img *image, ref Image, q Request) *Instance {
	return &Instance{
		o: o, app: app, image: img, ref: ref, request: q, id: newID(), created: time.Now(), done: make(chan struct{}), removed: make(chan struct{}),
	}
}

// State is what an instance is at.
type State struct {
	Running     bool
	Ended       bool
	ExitCode    int
	OutOfMemory bool
	// Reason says why it ended, or did not start, when there is more to say than the
	// code.
	Reason string
}

// ID returns the instance's id.
func (in *Instance) ID() string { return in.id }

// Name returns the name that it was created with.
func (in *Instance) Name() string { return in.request.Name }

// Image returns what it runs.
func (in *Instance) Image() Image { return in.ref }

// State returns what it is at.
func (in *Instance) State() State {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.state
}

// Done is closed when it has ended.
func (in *Instance) Done() <-chan struct{} { return in.done }

// Removed is closed when nothing is left of it.
func (in *Instance) Removed() <-chan struct{} { return in.removed }

// Network says how an instance is connected, between its making and its start.
type Network interface {
	// Attach is given the container before its program runs, and Nameserver is what
	// its resolv.conf names, empty for nothing.
	Attach(ctx context.Context, c driver.Container) error
	Nameserver() string
}

// Start starts it. When it returns an error, it has ended.
func (in *Instance) Start(ctx context.Context, n Network) error {
	in.starting.Lock()
	defer in.starting.Unlock()
	if in.gone || in.State().Ended {
		return Fail(CodeNotRunning, "the container has ended")
	}
	if in.State().Running {
		return Fail(CodeConflict, "the container runs already")
	}
	begin := time.Now()
	if err := in.o.s.take(&in.app); err != nil {
		in.finish(State{Reason: err.Error()})
		return err
	}
	c, err := in.run(ctx, n)
	if err != nil {
		in.o.s.give(&in.app)
		if bad, ok := errors.AsType[*driver.StartError](err); ok {
			err = &Error{Code: CodeStart, Message: bad.Text}
		}
		in.finish(State{Reason: err.Error()})
		in.event(Event{Kind: EventFailed, Reason: err.Error()})
		return err
	}
	checks := in.checks()
	if checks != nil {
		in.health.set(Starting, "it has not been checked yet")
	}
	in.mu.Lock()
	in.c, in.started, in.state.Running = c, time.Now(), true
	in.mu.Unlock()
	in.event(Event{Kind: EventStarted, Took: time.Since(begin)})
	go in.watch(c)
	if checks != nil {
		go in.keepChecking(checks) //nolint:contextcheck,gosec // it lasts as long as the instance
	}
	return nil
}

// run makes the container, connects it and starts it.
func (in *Instance) run(ctx context.Context, n Network) (driver.Container, error) {
	d := in.o.s.o.Driver
	c, err := d.Create(ctx, in.spec(n))
	if err != nil {
		return nil, err
	}
	if err = n.Attach(ctx, c); err == nil {
		err = in.putAhead(ctx, c)
	}
	if err == nil {
		err = c.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Remove(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (in *Instance) spec(n Network) driver.Spec {
	c := &in.image.config.Config
	l := in.app.Limits
	return driver.Spec{
		ID:     in.id[:shortID],
		Layers: in.image.layers,
		Args:   in.args(),
		Env:    slices.Concat(c.Env, in.request.Env, in.ownEnv()),
		Dir:    c.WorkingDir, User: c.User,
		Hostname:   in.id[:12],
		Nameserver: n.Nameserver(),
		Resources: driver.Resources{
			Memory: cmp.Or(l.Memory, liteMemory), MilliCPU: cmp.Or(l.MilliCPU, liteMilliCPU), Disk: cmp.Or(l.Disk, liteDisk), PIDs: in.o.s.o.PIDs,
		},
		Stdout: func(line []byte) { in.print(line, false) },
		Stderr: func(line []byte) { in.print(line, true) },
	}
}

// ownEnv is what every container finds out about itself. The runtime sends the same
// names, with values that say nothing.
func (in *Instance) ownEnv() []string {
	out := []string{"CLOUDFLARE_APPLICATION_ID=" + in.app.ID, "CLOUDFLARE_DEPLOYMENT_ID=" + in.UUID().String()}
	if object := objectOf(in.request.Name); object != "" {
		out = append(out, "CLOUDFLARE_DURABLE_OBJECT_ID="+object)
	}
	return out
}

// args are the image's entrypoint and command, or what the object gives in place
// of both.
func (in *Instance) args() []string {
	c := &in.image.config.Config
	if len(in.request.Args) > 0 {
		return in.request.Args
	}
	return slices.Concat(c.Entrypoint, c.Cmd)
}

func (in *Instance) print(line []byte, stderr bool) {
	l := Line{
		Account: in.o.account, Script: in.o.script, Class: in.request.Class, Application: in.app.ID, Instance: in.id,
		Time: time.Now(), Stderr: stderr, Text: string(line),
	}
	in.output.add(l)
	in.pass(l)
}

func (in *Instance) event(e Event) {
	e.Account, e.Script, e.Class, e.Application, e.Instance, e.Time = in.o.account, in.o.script, in.request.Class, in.app.ID, in.id, time.Now()
	log := in.o.s.o.Log
	switch e.Kind {
	case EventStarted:
		log.Info("container started", "script", e.Script, "class", e.Class, "instance", in.id[:shortID], "took", e.Took)
	case EventExited:
		log.Info("container ended", "script", e.Script, "class", e.Class, "instance", in.id[:shortID], "exit_code", e.ExitCode, "out_of_memory", e.OutOfMemory)
	case EventFailed:
		log.Warn("container could not be started", "script", e.Script, "class", e.Class, "instance", in.id[:shortID], "error", e.Reason)
	}
	if in.o.s.o.OnEvent != nil {
		in.o.s.o.OnEvent(e)
	}
}

// outOfMemory is the reason of an instance that took more than it may.
const outOfMemory = "it took more memory than its instance type has, and was ended"

// watch notes the end.
func (in *Instance) watch(c driver.Container) {
	<-c.Done()
	e := c.Exit()
	state := State{ExitCode: e.Code, OutOfMemory: e.OutOfMemory}
	if e.OutOfMemory {
		state.Reason = outOfMemory
	}
	in.o.s.give(&in.app)
	in.event(Event{Kind: EventExited, ExitCode: e.Code, OutOfMemory: e.OutOfMemory, Reason: state.Reason})
	in.finish(state)
}

func (in *Instance) finish(s State) {
	in.end.Do(func() {
		s.Running, s.Ended = false, true
		in.mu.Lock()
		in.state, in.ended = s, time.Now()
		started := !in.started.IsZero() || s.Reason != ""
		in.mu.Unlock()
		close(in.done)
		if started {
			in.o.s.ended.add(in.Info())
		}
	})
}

// Container returns what runs, and since when. The error is of [CodeNotRunning].
func (in *Instance) Container() (driver.Container, time.Time, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.c == nil || !in.state.Running {
		return nil, time.Time{}, Fail(CodeNotRunning, "the container is not running")
	}
	return in.c, in.started, nil
}

// Signal goes to its first process.
func (in *Instance) Signal(sig syscall.Signal) error {
	c, _, err := in.Container()
	if err != nil {
		return err
	}
	err = c.Signal(sig)
	if errors.Is(err, driver.ErrNotRunning) {
		return &Error{Code: CodeNotRunning, Message: "the container is not running", Err: err}
	}
	return err
}

// Stop asks it to end, and ends it after the grace that the service has.
func (in *Instance) Stop(ctx context.Context) error { return in.End(ctx, in.o.s.o.StopGrace) }

// Remove ends it and all that it left.
func (in *Instance) Remove(ctx context.Context) error {
	in.starting.Lock()
	defer in.starting.Unlock()
	if in.gone {
		return nil
	}
	in.mu.Lock()
	c := in.c
	in.mu.Unlock()
	if c != nil {
		if err := c.Remove(ctx); err != nil {
			return err
		}
		<-in.done
	}
	in.finish(State{})
	in.gone = true
	in.o.forget(in)
	close(in.removed)
	return nil
}
