package edge_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/upstream"
)

const host = "app.test"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// platform is an edge in front of one worker that is played by the test.
type platform struct {
	t       testing.TB
	edge    *edge.Server
	addr    string
	events  *events
	worker  *worker
	metrics *prometheus.Registry
}

// worker plays the workers service, one worker and its process.
type worker struct {
	socket   string
	acquired atomic.Int64
	released atomic.Int64
	pool     atomic.Pointer[upstream.Pool]
	acquire  func() error
	hangup   context.Context
	ended    atomic.Value // string: what a limit did
}

// Ended implements edge.Instance.
func (w *worker) Ended(time.Time, bool) string {
	outcome, _ := w.ended.Load().(string)
	return outcome
}

func (w *worker) Upstream() *upstream.Pool { return w.pool.Load() }
func (w *worker) Release()                 { w.released.Add(1) }

func (w *worker) Tunnel() (hangup context.Context, done func()) {
	if w.hangup != nil {
		return w.hangup, func() {}
	}
	return context.Background(), func() {}
}

func (w *worker) Acquire(context.Context) (edge.Instance, error) {
	if w.acquire != nil {
		if err := w.acquire(); err != nil {
			return nil, err
		}
	}
	w.acquired.Add(1)
	return w, nil
}

func (w *worker) inFlight() int64 { return w.acquired.Load() - w.released.Load() }

// lookup is the edge's view of the workers service.
type lookup map[string]edge.Target

func (l lookup) Lookup(_ context.Context, host string) (edge.Target, error) {
	if t, ok := l[host]; ok {
		return t, nil
	}
	return edge.Target{}, edge.ErrNoRoute
}

// events keeps what was logged.
type events struct {
	mu  sync.Mutex
	all []telemetry.Event
}

func (e *events) Append(ev *telemetry.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := *ev
	for _, s := range []*string{&kept.Ray, &kept.Method, &kept.Host, &kept.Path, &kept.ClientIP, &kept.Message} {
		*s = strings.Clone(*s)
	}
	e.all = append(e.all, kept)
}

// wait returns the first event of a kind that fits, as soon as there is one.
func (e *events) wait(tb testing.TB, kind string, fits func(telemetry.Event) bool) telemetry.Event {
	tb.Helper()
	var found telemetry.Event
	eventually(tb, "an event of kind "+kind, func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, ev := range e.all {
			if ev.Kind == kind && fits(ev) {
				found = ev
				return true
			}
		}
		return false
	})
	return found
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatalf("never came: %s", what)
}

// start runs an edge in front of a worker that h answers for.
func start(tb testing.TB, h http.Handler, change ...func(*edge.Options, *worker)) *platform {
	tb.Helper()
	w := &worker{socket: filepath.Join(tb.TempDir(), "w.sock")}
	if h != nil {
		serveWorker(tb, w.socket, h)
	}
	return startWith(tb, w, change...)
}

func startWith(tb testing.TB, w *worker, change ...func(*edge.Options, *worker)) *platform {
	tb.Helper()
	w.pool.Store(upstream.New(w.socket))
	p := &platform{t: tb, events: &events{}, worker: w, metrics: prometheus.NewRegistry()}
	tails := tail.New(tail.Options{})
	tb.Cleanup(tails.Close)
	o := edge.Options{
		Tails:   tails,
		Workers: lookup{host: {Account: "acc", Script: "app", Version: "v1", Worker: w}},
		Logs:    p.events,
		Log:     slog.New(slog.DiscardHandler),
		Metrics: p.metrics,
	}
	for _, f := range change {
		f(&o, w)
	}
	p.edge = edge.New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- p.edge.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := p.edge.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, edge.ErrServerClosed) {
			tb.Errorf("serve: %v", err)
		}
		w.pool.Load().Close()
		if n := w.inFlight(); n != 0 {
			tb.Errorf("%d requests still count as in flight", n)
		}
	})
	return p
}

// serveWorker answers on a unix socket as workerd would.
func serveWorker(tb testing.TB, socket string, h http.Handler) (stop func()) {
	tb.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	stop = sync.OnceFunc(func() {
		_ = srv.Close()
		<-done
	})
	tb.Cleanup(stop)
	return stop
}

// client speaks HTTP over one connection to the edge, byte by byte if need be.
type client struct {
	net.Conn

	t  testing.TB
	br *bufio.Reader
}

func (p *platform) dial() *client {
	p.t.Helper()
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{nc, p.t, bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// head reads a response up to its body.
func (c *client) head(method string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read the response: %v", err)
	}
	return resp
}

// answer reads a response and its body.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp := c.head(method)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("read the body: %v", err)
	}
	return resp, string(b)
}

// closed fails the test unless the edge ends the connection.
func (c *client) closed() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.br); err != nil || len(rest) > 0 {
		c.t.Errorf("the connection goes on: %q, %v", rest, err)
	}
}

// do makes one request on a connection of its own.
func (p *platform) do(head string) (*http.Response, string) {
	p.t.Helper()
	c := p.dial()
	defer c.Close()
	c.send(head)
	method, _, _ := strings.Cut(head, " ")
	return c.answer(method)
}

func (p *platform) get(path string, fields ...string) (*http.Response, string) {
	p.t.Helper()
	return p.do("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n")
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }
