package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// Name is the only argument of the process that [Main] runs in.
const Name = "selvage-keeper"

// IsKeeper reports whether these arguments are those of a keeper; the program then
// does nothing but call [Main].
func IsKeeper(args []string) bool { return len(args) == 2 && args[1] == Name }

// ErrGone is what every call returns when the keeper has ended.
var ErrGone = errors.New("the keeper of containers has ended")

// StartError says that what the image or the user names cannot be run. Its text is
// for the user.
type StartError struct{ Text string }

// Error returns the text.
func (e *StartError) Error() string { return e.Text }

// Options of [Start].
type Options struct {
	// Helper is this program, or another that calls [Main] first thing when [IsKeeper]
	// says so.
	Helper string
	// Runc is the path of runc.
	Runc string
	// Dir is an empty folder, over which the keeper mounts what it writes itself.
	Dir string
	// Home is its working directory, which tells an operator whose it is.
	Home string
	Log  *slog.Logger
	// OnExit is told of each container that has ended, once. It must not block.
	OnExit func(id string, code int, oom bool)
}

// Keeper is the platform's side of a running keeper. It is safe for concurrent use.
type Keeper struct {
	o    Options
	proc *supervise.Process
	conn *net.UnixConn

	mu      sync.Mutex
	seq     uint64
	pending map[uint64]chan reply
	gone    bool

	writing sync.Mutex
	read    chan struct{} // closed when the reader has ended
}

// Start starts a keeper. Its process ends with [Keeper.Close] or with the platform.
func Start(ctx context.Context, o Options) (*Keeper, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	log := o.Log
	proc, err := supervise.Start(ctx, supervise.Spec{
		Path: o.Helper, Args: []string{Name}, Env: []string{envDir + "=" + o.Dir, envRunc + "=" + o.Runc},
		Dir: o.Home, ExtraFiles: []*os.File{theirs}, OwnTree: true,
		Stderr: func(line []byte) {
			log.WarnContext(context.WithoutCancel(ctx), "the keeper of containers says", "text", string(line))
		},
	})
	_ = theirs.Close()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("keeper: %w", err)
	}
	k := &Keeper{o: o, proc: proc, conn: ours, pending: make(map[uint64]chan reply), read: make(chan struct{})}
	go k.receive()
	return k, nil
}

// Done is closed when the keeper has ended, and with it all of its containers.
func (k *Keeper) Done() <-chan struct{} { return k.read }

// Close ends the keeper and what is in it, and waits until all is gone.
func (k *Keeper) Close() {
	k.proc.Kill()
	<-k.read
}

// Path returns where a path in the keeper's view is in the platform's.
func (k *Keeper) Path(path string) string {
	return "/proc/" + strconv.Itoa(k.proc.Pid()) + "/root" + path
}

// RootFS returns the platform's path of a container's files.
func (k *Keeper) RootFS(id string) string { return k.Path(filepath.Join(k.Bundle(id), "rootfs")) }

// Bundle returns the folder of a container as the keeper sees it.
func (k *Keeper) Bundle(id string) string { return filepath.Join(k.o.Dir, bundles, id) }

// Namespace returns the platform's path of the network namespace of a process of
// which Create gave the id.
func (k *Keeper) Namespace(pid int) string { return k.Path("/proc/" + strconv.Itoa(pid) + "/ns/net") }

// Create makes a container and returns the id of its first process, which waits for
// Start, as the keeper sees it. The files are its standard output and error and
// still belong to the caller.
func (k *Keeper) Create(ctx context.Context, id string, c *Create, stdout, stderr *os.File) (pid int, err error) {
	r, err := k.call(ctx, &request{Op: opCreate, ID: id, Create: c}, stdout, stderr)
	return r.Pid, err
}

// Start lets a container's first process run.
func (k *Keeper) Start(ctx context.Context, id string) error {
	_, err := k.call(ctx, &request{Op: opStart, ID: id})
	return err
}

// Signal sends a signal to a container's first process.
func (k *Keeper) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	_, err := k.call(ctx, &request{Op: opSignal, ID: id, Signal: int(sig)})
	return err
}

// Remove ends a container and all that it left.
func (k *Keeper) Remove(ctx context.Context, id string) error {
	_, err := k.call(ctx, &request{Op: opRemove, ID: id})
	return err
}

// Exec starts a process in a container and returns when it runs.
func (k *Keeper) Exec(ctx context.Context, id string, e *Exec, stdio [3]*os.File) (*Process, error) {
	answers := make(chan reply, 2)
	if err := k.send(&request{Op: opExec, ID: id, Exec: e}, answers, stdio[:]...); err != nil {
		return nil, err
	}
	select {
	case r, ok := <-answers:
		if !ok {
			return nil, ErrGone
		}
		if err := r.err(); err != nil {
			return nil, err
		}
		return &Process{pid: r.Pid, answers: answers}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Process is one that Exec started.
type Process struct {
	pid     int
	answers chan reply

	mu    sync.Mutex
	ended *reply
}

// Pid returns its id as the keeper sees it.
func (p *Process) Pid() int { return p.pid }

// Wait returns the exit code, 128 and the signal when one ended it.
func (p *Process) Wait(ctx context.Context) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		select {
		case r, ok := <-p.answers:
			if !ok {
				return 0, ErrGone
			}
			p.ended = &r
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return p.ended.Code, p.ended.err()
}

func (r *reply) err() error {
	switch {
	case r.Error == "":
		return nil
	case r.Start:
		return &StartError{Text: r.Error}
	}
	return errors.New("keeper: " + r.Error)
}

func (k *Keeper) call(ctx context.Context, q *request, files ...*os.File) (reply, error) {
	answer := make(chan reply, 1)
	if err := k.send(q, answer, files...); err != nil {
		return reply{}, err
	}
	select {
	case r, ok := <-answer:
		if !ok {
			return reply{}, ErrGone
		}
		return r, r.err()
	case <-ctx.Done():
		return reply{}, context.Cause(ctx)
	}
}

// send sends a request of which the answers go to answers.
func (k *Keeper) send(q *request, answers chan reply, files ...*os.File) error {
	k.mu.Lock()
	if k.gone {
		k.mu.Unlock()
		return ErrGone
	}
	k.seq++
	q.Seq = k.seq
	k.pending[q.Seq] = answers
	k.mu.Unlock()
	body, err := json.Marshal(q)
	if err == nil && len(body) > maxMessage {
		err = &StartError{Text: fmt.Sprintf("arguments, environment and settings of the container have %d bytes together, and %d are allowed", len(body), maxMessage)}
	}
	if err == nil {
		k.writing.Lock()
		_ = k.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		err = writeMessage(k.conn, body, files)
		k.writing.Unlock()
	}
	if err != nil {
		k.forget(q.Seq)
		if _, ok := errors.AsType[*StartError](err); ok {
			return err
		}
		return fmt.Errorf("keeper: ask: %w", err)
	}
	return nil
}

const writeTimeout = 10 * time.Second

func (k *Keeper) forget(seq uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pending, seq)
}

// receive passes answers on until the keeper has ended.
func (k *Keeper) receive() {
	defer close(k.read)
	buf := make([]byte, maxMessage)
	for {
		n, err := k.conn.Read(buf)
		if err != nil || n == 0 {
			break
		}
		var r reply
		if err := json.Unmarshal(buf[:n], &r); err != nil {
			k.o.Log.Error("the keeper of containers sent what is no answer", "error", err)
			break
		}
		if r.Seq == 0 {
			k.o.OnExit(r.ID, r.Code, r.OOM)
			continue
		}
		k.deliver(r)
	}
	k.proc.Kill()
	_ = k.conn.Close()
	k.mu.Lock()
	k.gone = true
	for seq, answers := range k.pending {
		delete(k.pending, seq)
		close(answers)
	}
	k.mu.Unlock()
}

// deliver never blocks: who asks has room for all answers.
func (k *Keeper) deliver(r reply) {
	k.mu.Lock()
	answers := k.pending[r.Seq]
	if !r.more() {
		delete(k.pending, r.Seq)
	}
	k.mu.Unlock()
	if answers != nil {
		answers <- r
	}
}

// more reports whether another answer to the same request follows.
func (r *reply) more() bool { return r.Running }
