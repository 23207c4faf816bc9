package bindings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/bindings/unixhttp"
)

// maxSocketPath is the longest path that fits into a sockaddr_un on Linux, with
// its terminating zero.
const maxSocketPath = 107

// socketMode lets only the owner of the folder connect.
const socketMode = 0o600

// door is the set of sockets of one running version.
type door struct {
	timeout time.Duration
	cancel  context.CancelCauseFunc
	// base derives from the door's life: it ends when the door closes.
	base func() context.Context

	servers []io.Closer
	onClose []func()
	busy    func() bool // nil: never, see Busy

	// handlers counts handlers in flight; closing forbids new ones. The mutex
	// keeps the first Add from racing with Wait.
	mu       sync.Mutex
	closing  bool
	handlers sync.WaitGroup
	serving  sync.WaitGroup
	closed   chan struct{}
}

var errDoorClosed = errors.New("the worker's process has ended")

func newDoor(timeout time.Duration) *door {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &door{
		timeout: timeout, cancel: cancel, base: func() context.Context { return ctx },
		closed: make(chan struct{}),
	}
}

// listen makes the socket and serves it with srv.
func (d *door) listen(ctx context.Context, path string, srv *http.Server) error {
	ln, err := listenUnix(ctx, path)
	if err != nil {
		return err
	}
	inner := srv.Handler
	srv.BaseContext = func(net.Listener) context.Context { return d.base() }
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.enter() {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer d.handlers.Done()
		inner.ServeHTTP(w, r)
	})
	d.servers = append(d.servers, srv)
	d.serving.Go(func() { _ = srv.Serve(ln) }) // ends only when the listener is closed
	return nil
}

// listenLean makes the socket and has the handler answer it without net/http's server.
func (d *door) listenLean(ctx context.Context, path string, log *slog.Logger, handler func(*unixhttp.Exchange)) error {
	ln, err := listenUnix(ctx, path)
	if err != nil {
		return err
	}
	srv := &unixhttp.Server{Handler: handler, Context: d.base(), Log: log}
	d.servers = append(d.servers, srv)
	d.serving.Go(func() { _ = srv.Serve(ln) }) // as above
	return nil
}

func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing {
		return false
	}
	d.handlers.Add(1)
	return true
}

// Busy reports whether something runs for the process although it may have no
// request in flight.
func (d *door) Busy() bool { return d.busy != nil && d.busy() }

// Close implements io.Closer; see [Server.Open].
func (d *door) Close() error {
	d.mu.Lock()
	again := d.closing
	d.closing = true
	d.mu.Unlock()
	if !again {
		d.cancel(errDoorClosed)
		for _, srv := range d.servers {
			hangUp(srv) // listeners are unlinked by their own Close
		}
		for _, f := range d.onClose {
			f()
		}
		go func() {
			d.serving.Wait()
			d.handlers.Wait()
			close(d.closed)
		}()
	}
	t := time.NewTimer(d.timeout)
	defer t.Stop()
	select {
	case <-d.closed:
		return nil
	case <-t.C:
		return fmt.Errorf("close doors: handlers still run after %s", d.timeout)
	}
}

// listenUnix listens on path, which only the owner may connect to from the
// first moment on.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen on %s: the path has %d bytes, a unix socket's may have %d: choose a shorter data directory",
			path, len(path), maxSocketPath)
	}
	switch fi, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("listen: %w", err)
	case fi.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("listen on %s: there is a file that is not a socket: remove it", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen: remove the socket of an earlier process: %w", err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// On Linux the mode of an unbound socket becomes that of its file. Elsewhere
		// this fails or does nothing, and Chmod below comes a moment later.
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), socketMode) })
	}}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		hangUp(ln)
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.o.Limits.HeaderTimeout,
		IdleTimeout:       s.o.Limits.IdleTimeout,
		MaxHeaderBytes:    s.o.Limits.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		Protocols:         http1Only(),

		DisableGeneralOptionsHandler: true,
	}
}

func http1Only() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}
