package dockerapi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"

	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// maxExecs bounds the executions of one process that are remembered.
const maxExecs = 1024

// execution is a process in a container, from its description on.
type execution struct {
	in   *instances.Instance
	spec driver.ExecSpec

	mu      sync.Mutex
	begun   bool
	running bool
	pid     int
	code    int
}

func (h *Handler) createExec(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Cmd, Env         []string
		WorkingDir, User string
		Tty, Privileged  bool
	}
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	in, err := h.find(r)
	if err != nil {
		return err
	}
	switch {
	case q.Privileged:
		return instances.Fail(instances.CodeRefused, "privileged processes are not started in containers here")
	case q.Tty:
		return &apiError{http.StatusNotImplemented, "processes with a terminal (pty) are not offered here"}
	case len(q.Cmd) == 0:
		return &apiError{http.StatusBadRequest, "no command is given"}
	case !in.State().Running:
		return instances.Fail(instances.CodeNotRunning, "the container is not running")
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	h.mu.Lock()
	defer h.mu.Unlock()
	for old, e := range h.execs {
		if len(h.execs) < maxExecs {
			break
		}
		if e.ended() {
			delete(h.execs, old)
		}
	}
	if len(h.execs) >= maxExecs {
		return instances.Fail(instances.CodeFull, "%d processes run in the Worker's containers, and no more may be started", maxExecs)
	}
	h.execs[id] = &execution{in: in, spec: driver.ExecSpec{Args: q.Cmd, Env: q.Env, Dir: q.WorkingDir, User: q.User}}
	writeJSON(w, http.StatusCreated, map[string]string{"Id": id})
	return nil
}

func (e *execution) ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.begun && !e.running
}

func (h *Handler) execution(r *http.Request) (*execution, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.execs[r.PathValue("id")]; e != nil {
		return e, nil
	}
	return nil, &apiError{http.StatusNotFound, "No such exec instance"}
}

func (h *Handler) inspectExec(w http.ResponseWriter, r *http.Request) error {
	e, err := h.execution(r)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"ID": r.PathValue("id"), "Running": e.running, "ExitCode": e.code, "Pid": e.pid})
	return nil
}

func (h *Handler) startExec(w http.ResponseWriter, r *http.Request) error {
	var q struct{ Detach, Tty bool }
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	e, err := h.execution(r)
	if err != nil {
		return err
	}
	if !e.begin() {
		return &apiError{http.StatusConflict, "the process was started already"}
	}
	ctx := context.WithoutCancel(r.Context())
	if q.Detach {
		p, err := e.start(ctx, driver.ExecSpec{})
		if err != nil {
			return err
		}
		go e.wait(ctx, p)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return e.attach(ctx, w)
}

func (e *execution) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := !e.begun
	e.begun = true
	return first
}

// start starts the process with the descriptors of stdio.
func (e *execution) start(ctx context.Context, stdio driver.ExecSpec) (driver.Process, error) {
	c, _, err := e.in.Container()
	if err != nil {
		return nil, err
	}
	spec := e.spec
	spec.Stdin, spec.Stdout, spec.Stderr = stdio.Stdin, stdio.Stdout, stdio.Stderr
	p, err := c.Exec(ctx, spec)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.running, e.pid = true, p.Pid()
	e.mu.Unlock()
	return p, nil
}

func (e *execution) wait(ctx context.Context, p driver.Process) {
	code, err := p.Wait(ctx)
	if err != nil {
		code = 137 // it ended with its container
	}
	e.mu.Lock()
	e.running, e.code = false, code
	e.mu.Unlock()
}

// attach gives the connection to the process: what comes is its input, and its
// output goes back in Docker's frames.
func (e *execution) attach(ctx context.Context, w http.ResponseWriter) error {
	pipes, stdio, err := newPipes()
	if err != nil {
		return err
	}
	defer pipes.close()
	p, err := e.start(ctx, stdio)
	_, _, _ = stdio.Stdin.Close(), stdio.Stdout.Close(), stdio.Stderr.Close() // the process has them
	if err != nil {
		return err
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"); err != nil {
		return nil // nobody is there; the process runs on
	}
	go func() {
		_, _ = io.Copy(pipes.stdin, rw) // ends with the connection or the process
		_ = pipes.stdin.Close()
	}()
	var mu sync.Mutex
	var out sync.WaitGroup
	for stream, from := range map[byte]*os.File{1: pipes.stdout, 2: pipes.stderr} {
		out.Go(func() {
			_, _ = io.Copy(&frames{stream: stream, to: conn, mu: &mu}, from)
			_, _ = io.Copy(io.Discard, from) // so that the process is not held up by who left
		})
	}
	e.wait(ctx, p)
	out.Wait()
	return nil
}

// pipes are the platform's ends.
type pipes struct{ stdin, stdout, stderr *os.File }

func newPipes() (*pipes, driver.ExecSpec, error) {
	var p pipes
	var far driver.ExecSpec
	var err error
	if far.Stdin, p.stdin, err = os.Pipe(); err != nil {
		return nil, far, fmt.Errorf("pipes of a process: %w", err)
	}
	if p.stdout, far.Stdout, err = os.Pipe(); err != nil {
		p.close()
		return nil, far, errors.Join(fmt.Errorf("pipes of a process: %w", err), far.Stdin.Close())
	}
	if p.stderr, far.Stderr, err = os.Pipe(); err != nil {
		p.close()
		return nil, far, errors.Join(fmt.Errorf("pipes of a process: %w", err), far.Stdin.Close(), far.Stdout.Close())
	}
	return &p, far, nil
}

func (p *pipes) close() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		if f != nil {
			_ = f.Close() // nothing is lost
		}
	}
}

// frames writes a stream in Docker's form: a byte for the stream, three zeros, the
// length, the bytes.
type frames struct {
	stream byte
	to     io.Writer
	mu     *sync.Mutex
}

// Write implements io.Writer.
func (f *frames) Write(p []byte) (int, error) {
	const head = 8
	b := make([]byte, head, head+len(p))
	b[0] = f.stream
	binary.BigEndian.PutUint32(b[4:], uint32(len(p))) //nolint:gosec // a buffer of io.Copy
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.to.Write(append(b, p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// maxArchive bounds an archive that is put into a container, in bytes.
const maxArchive = 64 << 20

func (h *Handler) files(r *http.Request) (driver.Files, error) {
	in, err := h.find(r)
	if err != nil {
		return nil, err
	}
	c, _, err := in.Container()
	if err != nil {
		return nil, err
	}
	return c.Files()
}

func (h *Handler) readFiles(w http.ResponseWriter, r *http.Request) error {
	f, err := h.files(r)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w.Header().Set("Content-Type", "application/x-tar")
	err = f.ReadTar(r.Context(), r.URL.Query().Get("path"), w)
	if errors.Is(err, fs.ErrNotExist) {
		return &apiError{http.StatusNotFound, "there is no such file or folder in the container"}
	}
	return err
}

func (h *Handler) writeFiles(w http.ResponseWriter, r *http.Request) error {
	in, err := h.find(r)
	if err != nil {
		return err
	}
	err = in.Put(r.Context(), r.URL.Query().Get("path"), http.MaxBytesReader(w, r.Body, maxArchive))
	if errors.Is(err, fs.ErrNotExist) {
		return &apiError{http.StatusNotFound, "there is no such folder in the container"}
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
