package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/sandbox"
)

// pipeGrace is how long after the exit of a child its output may still be held
// open by a process that left the child's group.
const pipeGrace = time.Second

// ErrNotRunning is returned for questions that only a running process answers.
var ErrNotRunning = errors.New("process is not running")

// Spec says how to start one process.
type Spec struct {
	// Path is the executable: an absolute path, or one relative to the working
	// directory of the platform. There is no look-up in $PATH.
	Path string
	// Args are the arguments after the program's name.
	Args []string
	// Env is the whole environment as "name=value"; nil means an empty one.
	Env []string
	// Dir is the working directory; empty means the platform's.
	Dir string
	// Stdin is read to its end and given to the process; nil means /dev/null.
	// Prefer an *os.File or a *bytes.Reader: a Reader that blocks for ever
	// keeps one goroutine.
	Stdin io.Reader
	// ExtraFiles become descriptors 3, 4, … of the process. They still belong
	// to the caller, who may close them when Start has returned.
	ExtraFiles []*os.File
	// Stdout and Stderr get one line at a time, without its line end; nil
	// discards. Each is called by one goroutine of its own and never after Done
	// is closed. The slice is only valid during the call. While a call blocks,
	// the process may block in its write. Lines longer than [MaxLine] are cut
	// and end in [CutMark].
	Stdout, Stderr func(line []byte)
	// StdoutFile is the process's standard output in place of Stdout, for output
	// that is not lines: a pipe, say, whose reader takes its time. It still belongs
	// to the caller, who closes it when Start has returned.
	StdoutFile *os.File
	// StderrFile is the same for its standard error.
	StderrFile *os.File
	// OwnTree makes the process the first of a process namespace and gives it a mount
	// namespace: with it ends all that it started, and what it mounted. It needs root.
	OwnTree bool
	// Sandbox confines the process; nil runs it as the platform's own user with
	// all that this user may do. Dir must be an absolute path then, and is what
	// the process sees as its working directory.
	Sandbox *Sandbox
}

// Process is one started process. Its methods are safe for concurrent use.
type Process struct {
	pid  int
	done chan struct{}

	mu     sync.Mutex
	exited bool // no signal may be sent any more: the id is about to be freed

	err error // valid when done is closed
}

// ExitError is how a process ended when it did not end with exit code 0.
type ExitError struct {
	Path   string
	Code   int            // exit code; -1 when a signal ended it
	Signal syscall.Signal // 0 when it exited by itself
}

func (e *ExitError) Error() string {
	if e.Signal != 0 {
		return fmt.Sprintf("%s was ended by signal %d (%s)", e.Path, int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("%s exited with code %d", e.Path, e.Code)
}

// Start starts a process. The context bounds only the start: the process lives
// until it exits, is stopped, or the platform dies.
func Start(ctx context.Context, s Spec) (*Process, error) { return start(ctx, s, false) }

func start(ctx context.Context, s Spec, probe bool) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("supervise: start %s: %w", s.Path, err)
	}
	cmd := &exec.Cmd{
		Path:        s.Path,
		Args:        append([]string{s.Path}, s.Args...),
		Env:         append([]string{}, s.Env...), // never nil, which would inherit
		Dir:         s.Dir,
		Stdin:       s.Stdin,
		Stdout:      output(s.Stdout),
		Stderr:      output(s.Stderr),
		ExtraFiles:  s.ExtraFiles,
		SysProcAttr: sysProcAttr(),
		WaitDelay:   pipeGrace,
	}
	if s.StdoutFile != nil {
		cmd.Stdout = s.StdoutFile
	}
	if s.StderrFile != nil {
		cmd.Stderr = s.StderrFile
	}
	if s.OwnTree {
		ownTree(cmd.SysProcAttr)
	}
	if s.Sandbox != nil && s.Sandbox.Isolation.Active() {
		arg, err := s.Sandbox.helperArg(&s, probe)
		if err != nil {
			return nil, fmt.Errorf("supervise: start %s: %w", s.Path, err)
		}
		cmd.Path, cmd.Args, cmd.Env = s.Sandbox.Isolation.helper, []string{sandbox.Name, arg}, []string{}
		s.Sandbox.Isolation.confine(cmd.SysProcAttr)
	}
	p := &Process{done: make(chan struct{})}
	started := make(chan error)
	go p.run(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("supervise: start %s: %w", s.Path, err)
	}
	return p, nil
}

// run starts the process and waits for it, both on one thread; see doc.go.
func (p *Process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil

	var err error
	reaped := !waitExit(p.pid)
	if reaped {
		err = cmd.Wait()
	}
	p.mu.Lock()
	p.exited = true
	killGroup(p.pid, syscall.SIGKILL) // what the process left behind
	p.mu.Unlock()
	if !reaped {
		err = cmd.Wait()
	}
	p.err = exitError(cmd.Path, err)
	close(p.done)
}

func exitError(path string, err error) error {
	var ee *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.As(err, &ee):
		out := &ExitError{Path: path, Code: ee.ExitCode()}
		if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			out.Signal = ws.Signal()
		}
		return out
	default:
		// The process exited with code 0 but did not read its whole input.
		return nil
	}
}

// Pid returns the process id, which is also the id of its process group.
func (p *Process) Pid() int { return p.pid }

// Done is closed when the process has exited and its output was delivered.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil while the process runs and when it exited with code 0,
// otherwise an [*ExitError].
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop asks the process to end (SIGTERM) and waits. When the context ends first,
// the process is killed and Stop returns the context's error once it is gone. It
// is nil when the process went by itself, whatever its exit code.
func (p *Process) Stop(ctx context.Context) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.Kill()
	return fmt.Errorf("supervise: process %d did not stop in time and was killed: %w", p.pid, context.Cause(ctx))
}

// Kill ends the process and its group at once and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Usage returns the resident memory in bytes and the processor time used so far.
// The error is [ErrNotRunning] after the exit, and [errors.ErrUnsupported] where
// the system offers no such numbers.
func (p *Process) Usage() (rssBytes int64, cpu time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exited {
		return 0, 0, fmt.Errorf("supervise: usage of process %d: %w", p.pid, ErrNotRunning)
	}
	rssBytes, cpu, err = usage(p.pid)
	if err != nil {
		return 0, 0, fmt.Errorf("supervise: usage of process %d: %w", p.pid, err)
	}
	return rssBytes, cpu, nil
}

func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.exited {
		killGroup(p.pid, sig)
	}
}

// killGroup signals a process group. The only possible failure is that nobody is
// left to signal.
func killGroup(pgid int, sig syscall.Signal) {
	_ = syscall.Kill(-pgid, sig)
}
