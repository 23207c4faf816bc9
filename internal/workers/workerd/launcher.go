package workerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/upstream"
)

const (
	// DefaultStartTimeout is how long the top level of a script may run.
	DefaultStartTimeout = 10 * time.Second

	// The longest path, maxSocketPath, is what fits into sockaddr_un with its final zero on every
	// system (104 bytes on the BSDs, 108 on Linux).
	maxSocketPath = 103

	// A time, exitGrace, within which a process that no longer answers may
	// exit by itself, so that its last words are read.
	exitGrace = 2 * time.Second
)

// textStartTimeout is the wording that wrangler recognises and explains.
const textStartTimeout = "Script startup exceeded CPU time limit."

// Launcher starts workers. Its methods are safe for concurrent use; the fields
// must not change once one was called.
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
	// Isolation confines the processes; nil, for tests, leaves them with all that
	// this user may do.
	Isolation *supervise.Isolation

	closure closure
	mu      sync.Mutex
	maxDate string
}

// Start starts a worker and returns when its top level has run and the process
// answers.
//
// The folder dir holds the unix sockets that the worker may reach and must be
// short (the path of a socket has at most 103 bytes). Once Start succeeded it
// belongs to the process, and [Process.Stop] removes it. When Start fails the
// folder is left to the caller, without what Start put there.
//
// A *[StartError] means that the script is at fault. The context bounds the
// start only. The function onLog gets what the worker and the runtime print; it is
// called by one goroutine at a time, and while it blocks the worker may block.
func (l *Launcher) Start(ctx context.Context, dir string, w *Worker, onLog func(LogLine)) (*Process, error) {
	if err := validate(w); err != nil {
		return nil, err
	}
	dir, err := prepareDir(dir)
	if err != nil {
		return nil, err
	}
	kind := entryDefault
	if !w.ServiceWorker && surelyNoDefault(&w.Modules[0]) {
		kind = entryPlain
	}
	p, err := l.launch(ctx, dir, w, onLog, kind)
	if mismatch := (*exportMismatchError)(nil); errors.As(err, &mismatch) {
		// Whether the main module has a default export is only known once it
		// was linked, and ours must have one exactly if it does.
		p, err = l.launch(ctx, dir, w, onLog, mismatch.want)
	}
	return p, err
}

// exportMismatchError says that the entry module has a default export and the
// worker's main module has not, or the other way round.
type exportMismatchError struct{ want entryKind }

func (e *exportMismatchError) Error() string {
	return fmt.Sprintf("workerd: the main module needs the other entry module, %s", e.want)
}

// mismatch compares what the entry module found with what it is.
func mismatch(logs *logReader, kind entryKind) error {
	info, known := logs.startInfo()
	switch {
	case known && kind == entryDefault && !info.Default:
		return &exportMismatchError{want: entryPlain}
	case known && kind == entryPlain && info.Default:
		return &exportMismatchError{want: entryDefault}
	}
	return nil
}

func (l *Launcher) launch(ctx context.Context, dir string, w *Worker, onLog func(LogLine), kind entryKind) (_ *Process, err error) {
	sec := newSecrets()
	pl, entry, err := newPlan(w, l.V8Flags, sec, kind)
	if err != nil {
		return nil, err
	}
	header, segment, err := encodeConfig(pl)
	if err != nil {
		return nil, err
	}
	socks, err := listen(dir, w.Sockets)
	if err != nil {
		return nil, err
	}
	defer func() {
		socks.closeFiles()
		if err != nil {
			socks.remove()
		}
	}()

	limit := l.StartTimeout
	if limit == 0 {
		limit = DefaultStartTimeout
	}
	startCtx, cancel := context.WithTimeoutCause(ctx, limit, errStartTimeout)
	defer cancel()

	logs := newLogReader(sec.nonce, entry, onLog)
	if w.ServiceWorker {
		logs.reported(started{Default: true}) // it is asked
	}
	begin := time.Now()
	spec, err := l.spec(startCtx, w, dir, socks, io.MultiReader(bytes.NewReader(header), bytes.NewReader(segment)), logs)
	if err != nil {
		return nil, err
	}
	proc, err := supervise.Start(startCtx, spec)
	if err != nil {
		return nil, fmt.Errorf("workerd: start %s: %w", w.Script, err)
	}
	socks.closeFiles()

	if err := await(startCtx, proc, logs, socks.ready); err != nil {
		err = explain(startCtx, proc, logs, limit, err)
		if other := mismatch(logs, kind); other != nil && startCtx.Err() == nil {
			return nil, other // what was logged comes again with the other module
		}
		logs.ready()
		return nil, err
	}
	if err := mismatch(logs, kind); err != nil {
		proc.Kill()
		return nil, err
	}
	logs.ready()
	info, _ := logs.startInfo()
	if info.Inert && !listens(w.Modules) {
		proc.Kill()
		return nil, startError("No event handlers were registered. This script does nothing. Export a default object with a fetch method, or a class to bind.")
	}
	p := &Process{
		proc: proc, pool: upstream.New(socks.http), dir: dir, took: time.Since(begin), info: info, logs: logs,
		key: "!" + sec.dispatch,
	}
	if w.ServiceWorker {
		if err := p.listeners(startCtx); err != nil {
			proc.Kill()
			return nil, fmt.Errorf("workerd: the process failed to start: %w", err)
		}
	}
	p.dispatches = info.Default && p.info.takesEvents()
	if l.Log != nil {
		l.Log.DebugContext(ctx, "worker started", "script", w.Script, "version", w.Version, "pid", p.Pid(), "took", p.took)
	}
	return p, nil
}

func (l *Launcher) spec(ctx context.Context, w *Worker, dir string, socks *sockets, config io.Reader, logs *logReader) (supervise.Spec, error) {
	binary := l.Binary
	if abs, err := filepath.Abs(binary); err == nil {
		binary = abs // the working directory of the process is another one
	}
	args := []string{
		"serve", "--binary", "-",
		"--socket-fd", socketUser + "=3", // the first of ExtraFiles
		"--socket-fd", socketReady + "=4",
	}
	for i := range w.Sockets {
		args = append(args, "--socket-fd", w.Sockets[i].socketName()+"="+strconv.Itoa(5+i))
	}
	spec := supervise.Spec{
		Path:       binary,
		Args:       args,
		Env:        []string{"TZ=UTC"},
		Dir:        dir,
		Stdin:      config,
		ExtraFiles: slices.Concat(socks.files, w.Locks),
		Stdout:     logs.line,
		Stderr:     logs.line,
	}
	if !l.Isolation.Active() {
		return spec, nil
	}
	return spec, l.confine(ctx, &spec, w)
}

// errStartTimeout is the cause of a context that ended for lack of time.
var errStartTimeout = errors.New("start timed out")

// await returns nil when the process answers on its ready socket and the entry
// module, where there is one, has reported.
func await(ctx context.Context, proc *supervise.Process, logs *logReader, ready string) error {
	// The socket already listens, so this connects at once; the answer comes
	// when every service of the config has started.
	if err := ask(ctx, ready); err != nil {
		return err
	}
	// The report was written before the answer, but comes through another descriptor.
	select {
	case <-logs.started:
		return nil
	case <-proc.Done():
		return errors.New("process ended")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ask sends one request to the ready socket and waits for the beginning of the
// answer.
func ask(ctx context.Context, socket string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, "GET /ready HTTP/1.1\r\nHost: ready\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	var b [9]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if string(b[:]) != "HTTP/1.1 " {
		return fmt.Errorf("unexpected answer %q", b)
	}
	return nil
}

// explain ends a process that failed to start and says whose fault it is.
func explain(ctx context.Context, proc *supervise.Process, logs *logReader, limit time.Duration, cause error) error {
	if ctx.Err() == nil {
		// The connection broke: the process is about to exit. Its last words
		// are needed.
		select {
		case <-proc.Done():
		case <-time.After(exitGrace):
		case <-ctx.Done():
		}
	}
	timedOut := errors.Is(context.Cause(ctx), errStartTimeout)
	_, cpu, usageErr := proc.Usage()
	proc.Kill()
	fault, tail := logs.startFailure()
	switch {
	case fault != nil:
		return fault
	case timedOut && (usageErr != nil || cpu >= limit/8):
		return startError("%s", textStartTimeout)
	case timedOut:
		// It hardly ran: not the script is slow, the machine is.
		return fmt.Errorf("workerd: the process was not ready after %s, of which it ran %s: the machine is overloaded", limit, cpu)
	case ctx.Err() != nil:
		return fmt.Errorf("workerd: start was given up: %w", context.Cause(ctx))
	}
	if err := proc.Err(); err != nil {
		cause = err
	}
	if tail != "" {
		return fmt.Errorf("workerd: the process failed to start: %w; it said: %s", cause, tail)
	}
	return fmt.Errorf("workerd: the process failed to start: %w", cause)
}

// MaxCompatibilityDate returns the newest compatibility date that this workerd
// knows, as "2006-01-02". It asks the binary, once.
func (l *Launcher) MaxCompatibilityDate(ctx context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maxDate != "" {
		return l.maxDate, nil
	}
	dir, err := os.MkdirTemp("", "selvage-date-")
	if err != nil {
		return "", fmt.Errorf("workerd: ask for the newest compatibility date: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// The runtime names the date when it refuses a later one; no option does.
	p, err := l.Start(ctx, dir, &Worker{
		Script:            "date",
		Modules:           []Module{{Name: "index.js", Kind: ESModule, Body: []byte("export default {}")}},
		CompatibilityDate: "2999-12-31",
	}, nil)
	if err == nil {
		_ = p.Stop(ctx)
		return "", errors.New("workerd: the runtime accepts every compatibility date")
	}
	var fault *StartError
	if !errors.As(err, &fault) {
		return "", fmt.Errorf("workerd: ask for the newest compatibility date: %w", err)
	}
	m := regexp.MustCompile(`supported by this server binary is "(\d{4}-\d{2}-\d{2})"`).FindStringSubmatch(fault.Text)
	if m == nil {
		return "", fmt.Errorf("workerd: no date in the runtime's answer: %w", err)
	}
	l.maxDate = m[1]
	return l.maxDate, nil
}
