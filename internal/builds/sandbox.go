package builds

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/selvage-dev/selvage/internal/sandbox"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// sandboxed runs the commands of one build.
type sandboxed struct {
	s   *Service
	j   *job
	w   *workspace
	dir string // below the source
	env []string
}

// niceness of a build: whoever visits sites comes first.
const niceness = 10

// program is what runs in the sandbox.
type program struct {
	path string // inside
	args []string
	// readOnly and work are there besides.
	readOnly, work []sandbox.Bind
}

// run runs a command line with the shell until it ends, and whatever it has
// started with it. An error that is the command's is a *failure.
func (x *sandboxed) run(ctx context.Context, line string) error {
	return x.start(ctx, &program{path: "/bin/sh", args: []string{"-c", line}})
}

// start runs a program until it ends, as run does.
func (x *sandboxed) start(ctx context.Context, what *program) error {
	o := &x.s.o
	user := 0
	if o.Isolation.AsRoot() {
		user = o.FirstUser + x.j.slot
		if err := x.w.give(user); err != nil {
			return err
		}
	}
	if err := x.w.writeEtc(user); err != nil {
		return err
	}
	spec := supervise.Spec{
		Path: what.path, Args: what.args, Env: x.env, Dir: o.emptyDir(),
		Stdout: x.j.log.output, Stderr: x.j.log.output,
		Sandbox: &supervise.Sandbox{
			Isolation: o.Isolation, ReadOnly: slices.Concat(supervise.System(o.Path), x.w.etcBinds(), what.readOnly), Work: slices.Concat(x.w.binds(), what.work), WorkDir: path.Join(insideSource, x.dir),
			System: true, Loopback: 1, User: user,
			Limits: sandbox.Limits{
				Processes: int64(o.Processes), Memory: o.Memory, File: o.Disk, CPU: max(int64(o.Timeout/time.Second), 1) * cpuPerSecond, Nice: niceness,
			},
		},
	}
	var gate *proxy
	if o.Dial != nil {
		var err error
		if gate, err = newProxy(o.Dial); err != nil {
			return err
		}
		defer gate.close()
		spec.ExtraFiles = gate.files()
		spec.Sandbox.Loopback = proxyPort
		spec.Env = append(proxyEnv(), spec.Env...)
	}
	p, err := supervise.Start(ctx, spec)
	if err != nil {
		return fmt.Errorf("builds: %w", err)
	}
	if gate != nil {
		gate.serve(ctx)
	}
	return x.wait(ctx, p)
}

// cpuPerSecond bounds the processor time of one process by the time of the build.
const cpuPerSecond = 4

// lookEvery is how often a build is looked at. Between two looks it may exceed a
// bound that the kernel does not hold for it.
const lookEvery = 500 * time.Millisecond

// wait waits for the end of the command and ends it when it goes too far.
func (x *sandboxed) wait(ctx context.Context, p *supervise.Process) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	full := 0
	for looks := 0; ; looks++ {
		select {
		case <-p.Done():
			return ended(p.Err())
		case <-ctx.Done():
			// It may want to clean up. The first process of a namespace does not get a
			// signal that it does not handle, so it is often the second that ends it.
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.s.o.Grace)
			_ = p.Stop(stop) // it is gone in any case
			cancel()
			return context.Cause(ctx)
		case <-tick.C:
		}
		u, err := p.Tree()
		if errors.Is(err, supervise.ErrNotRunning) || errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			p.Kill()
			return fmt.Errorf("builds: look at a build: %w", err)
		}
		if u.Threads >= x.s.o.Processes-1 {
			full++
		} else {
			full = 0
		}
		const patience = 4 // looks
		switch {
		case u.Anon > x.s.o.Memory:
			p.Kill()
			return failf("its processes took more than %d MiB of memory (builds.memory)", x.s.o.Memory>>20)
		case full >= patience:
			p.Kill()
			return failf("it had %d processes and threads, as many as it may have, and did not go on with fewer (builds.processes)", u.Threads)
		}
		const everyFourth = 4
		if looks%everyFourth != 0 {
			continue
		}
		size, err := diskUsage(x.w.dir, x.s.o.Disk)
		if err == nil && size <= x.s.o.Disk && x.w.cache != "" {
			size, err = diskUsage(x.w.cache, maxCache+x.s.o.Disk)
		}
		if err == nil && size > x.s.o.Disk {
			p.Kill()
			return failf("it wrote more than %d MiB to disk (builds.disk)", x.s.o.Disk>>20)
		}
	}
}

// ended says how a command ended.
func ended(err error) error {
	exit, ok := errors.AsType[*supervise.ExitError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return err
	case exit.Code == sandbox.ExitFailed:
		return failf("the command exited with code %d, or its sandbox could not be made: see the lines above", exit.Code)
	case exit.Signal != 0:
		return failf("the command was ended by signal %d (%s)", int(exit.Signal), exit.Signal)
	}
	return failf("the command exited with code %d", exit.Code)
}

// binds are the folders that a build may change.
func (w *workspace) binds() []sandbox.Bind {
	out := []sandbox.Bind{
		{Source: w.source(), Target: insideSource}, {Source: w.home(), Target: insideHome}, {Source: w.tmp(), Target: "/tmp"},
	}
	if w.cache != "" {
		out = append(out, sandbox.Bind{Source: w.cache, Target: insideCache})
	}
	return out
}

// writeEtc makes the few files that programs look for themselves in.
func (w *workspace) writeEtc(user int) error {
	for name, text := range map[string]string{
		"passwd": fmt.Sprintf("build:x:%d:%d:build:%s:/bin/sh\n", user, user, insideHome),
		"group":  fmt.Sprintf("build:x:%d:\n", user),
		"hosts":  "127.0.0.1 localhost\n::1 localhost\n",
	} {
		if err := w.fs.WriteFile(filepath.Join(w.etc(), name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("builds: %w", err)
		}
	}
	return nil
}

func (w *workspace) etcBinds() []sandbox.Bind {
	var out []sandbox.Bind
	for _, name := range []string{"passwd", "group", "hosts"} {
		out = append(out, sandbox.Bind{Source: filepath.Join(w.etc(), name), Target: "/etc/" + name})
	}
	return out
}
