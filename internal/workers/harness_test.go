package workers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/upstream"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// exportedClass finds what a fake process exports.
var exportedClass = regexp.MustCompile(`export class (\w+)`)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "00000000000000000000000000000001"
	domain  = "selvage.test"
)

// fakeRuntime starts processes that do nothing. A main module that contains
// "throw" does not start.
type fakeRuntime struct {
	mu          sync.Mutex
	procs       []*fakeProcess // all ever started
	broken      error          // what each start fails with
	delay       time.Duration  // of each start
	starts      int
	entrypoints []string // of each process; nil: "Api"
	last        *workerd.Worker
	work        *atomic.Int64  // percent of a core that all processes have to do together; nil: each a core
	opened      map[string]int // processes that have a namespace open, by its key
	twice       []string       // keys that two had open at a time

	events   []fakeEvent                                                          // that were dispatched
	watched  map[int]bool                                                         // by pid
	handlers []string                                                             // of processes started from now on, besides fetch
	handle   func(ctx context.Context, e *workerd.Event) (workerd.Outcome, error) // nil: ok
}

// fakeEvent is one that was dispatched to a process.
type fakeEvent struct {
	script, version, ray string
	event                workerd.Event
}

func (r *fakeRuntime) dispatch(ctx context.Context, p *fakeProcess, ray string, e *workerd.Event) (workerd.Outcome, error) {
	r.mu.Lock()
	r.events = append(r.events, fakeEvent{p.script, p.version, ray, *e})
	handle := r.handle
	r.mu.Unlock()
	if handle != nil {
		return handle(ctx, e)
	}
	return workerd.Outcome{Outcome: "ok"}, nil
}

func (r *fakeRuntime) dispatched() []fakeEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *fakeRuntime) watch(p *fakeProcess, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watched == nil {
		r.watched = make(map[int]bool)
	}
	r.watched[p.pid] = open
}

func (r *fakeRuntime) Start(ctx context.Context, dir string, w *workerd.Worker, _ func(workerd.LogLine)) (workers.Process, error) {
	r.mu.Lock()
	r.starts++
	broken, delay := r.broken, r.delay
	r.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if broken != nil {
		return nil, broken
	}
	if _, err := os.Stat(filepath.Join(dir, "egress.sock")); err != nil {
		return nil, fmt.Errorf("the doors are not open: %w", err)
	}
	if strings.Contains(string(w.Modules[0].Body), "throw") {
		return nil, &workerd.StartError{Text: "Uncaught Error: boom\n  at index.js:1:7", Message: "Uncaught Error: boom", Stack: "  at index.js:1:7"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = w
	p := &fakeProcess{r: r, handlers: r.handlers, pid: len(r.procs) + 1, script: w.Script, version: w.Version, pool: upstream.New(filepath.Join(dir, "worker.sock")), done: make(chan struct{}), started: time.Now(), looked: time.Now()}
	for _, m := range exportedClass.FindAllStringSubmatch(string(w.Modules[0].Body), -1) {
		p.exports = append(p.exports, m[1])
	}
	p.open(w)
	r.procs = append(r.procs, p)
	return p, nil
}

func (*fakeRuntime) MaxCompatibilityDate(context.Context) (string, error) { return "2026-11-20", nil }

// live returns the processes that run.
func (r *fakeRuntime) live() []*fakeProcess {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.procs), func(p *fakeProcess) bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
}

func (r *fakeRuntime) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starts
}

func (r *fakeRuntime) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = err
}

type fakeProcess struct {
	r        *fakeRuntime
	pid      int
	script   string
	version  string
	exports  []string
	keys     []string
	pool     *upstream.Pool
	done     chan struct{}
	once     sync.Once
	started  time.Time
	crashed  bool
	handlers []string

	// Under r.mu.
	sample     supervise.Sample
	stuck      bool
	heapFull   bool
	answer     chan struct{} // closed when a stuck process answers again; nil: never
	priorities []supervise.Priority
	looking    sync.Mutex
	used       time.Duration // see fakeRuntime.work
	looked     time.Time
}

func (p *fakeProcess) end(crashed bool) {
	p.once.Do(func() {
		p.crashed = crashed
		p.r.mu.Lock()
		for _, key := range p.keys {
			p.r.opened[key]--
		}
		p.r.mu.Unlock()
		close(p.done)
	})
}

// open notes which namespaces the process has open. The caller holds r.mu.
func (p *fakeProcess) open(w *workerd.Worker) {
	if w.Storage == "" {
		return
	}
	if p.r.opened == nil {
		p.r.opened = make(map[string]int)
	}
	for _, o := range w.Objects {
		p.keys = append(p.keys, o.Key)
		if p.r.opened[o.Key]++; p.r.opened[o.Key] > 1 {
			p.r.twice = append(p.r.twice, o.Key)
		}
	}
}

func (p *fakeProcess) Upstream() *upstream.Pool   { return p.pool }
func (p *fakeProcess) Pid() int                   { return p.pid }
func (p *fakeProcess) Done() <-chan struct{}      { return p.done }
func (p *fakeProcess) Stop(context.Context) error { p.end(false); return nil }

func (p *fakeProcess) Dispatch(ctx context.Context, ray string, e *workerd.Event) (workerd.Outcome, error) {
	return p.r.dispatch(ctx, p, ray, e)
}

func (p *fakeProcess) Watch(_ context.Context, open bool) error { p.r.watch(p, open); return nil }
func (p *fakeProcess) Handlers() []string                       { return append([]string{"fetch"}, p.handlers...) }
func (p *fakeProcess) StartupTime() time.Duration               { return 7 * time.Millisecond }
func (p *fakeProcess) Exports() []string                        { return p.exports }
func (p *fakeProcess) Sample() (supervise.Sample, error) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	return p.sample, nil
}

// Ping answers unless the process is stuck.
func (p *fakeProcess) Ping(ctx context.Context) error {
	p.r.mu.Lock()
	stuck, answer := p.stuck, p.answer
	p.r.mu.Unlock()
	if !stuck {
		return nil
	}
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
	case <-p.done:
	}
	return errors.New("no answer")
}

func (p *fakeProcess) SetPriority(to supervise.Priority) error {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.priorities = append(p.priorities, to)
	return nil
}

func (p *fakeProcess) Kill()             { p.end(true) }
func (p *fakeProcess) OutOfMemory() bool { return p.heapFull }

func (p *fakeProcess) Entrypoints() []string {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	if p.r.entrypoints != nil {
		return p.r.entrypoints
	}
	return []string{"Api"}
}

func (p *fakeProcess) Usage() (int64, time.Duration, error) {
	if p.r.work != nil { // shared out, at most a core each
		p.looking.Lock()
		defer p.looking.Unlock()
		at, share := time.Now(), min(p.r.work.Load()/int64(max(1, len(p.r.live()))), 100)
		p.used += at.Sub(p.looked) * time.Duration(share) / 100
		p.looked = at
		return 9 << 20, p.used, nil
	}
	return 9 << 20, time.Since(p.started), nil
}

func (p *fakeProcess) Err() error {
	if p.crashed {
		return errors.New("signal: killed")
	}
	return nil
}

// fakeDoors makes the socket files that a start looks for.
type fakeDoors struct {
	mu   sync.Mutex
	open int
	last workers.DoorSpec
}

func (d *fakeDoors) Open(_ context.Context, dir string, spec workers.DoorSpec) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open++
	d.last = spec
	return d, os.WriteFile(filepath.Join(dir, "egress.sock"), nil, 0o600)
}

func (d *fakeDoors) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	return nil
}

func (d *fakeDoors) left() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

type harness struct {
	*workers.Service
	t       testing.TB
	store   *store.Store
	runtime *fakeRuntime
	doors   *fakeDoors
	runDir  string
}

// open opens the data directory dir with a fake runtime; edit may change the options.
func open(tb testing.TB, dir string, edit func(*workers.Options)) *harness {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	runDir, err := os.MkdirTemp("", "run") //nolint:usetesting // a folder named after the test is too long for sockets
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(runDir) })
	h := &harness{t: tb, store: st, runtime: &fakeRuntime{}, doors: &fakeDoors{}, runDir: runDir}
	o := workers.Options{
		Store: st, Runtime: h.runtime, Doors: h.doors, RunDir: runDir, Domain: domain,
		AccountBySubdomain: func(sub string) (string, bool) { return account, sub == "acme" },
		Subdomain:          func(string) string { return "acme" },
		IssueTicket: func(t workers.Ticket) string {
			raw, _ := json.Marshal(t) //nolint:musttag // only read below
			return string(raw)
		},
		VerifyTicket: func(token, action string) (workers.Ticket, error) {
			var t workers.Ticket
			if err := json.Unmarshal([]byte(token), &t); err != nil || //nolint:musttag // written above
				t.Action != action || time.Now().After(t.Expires) {
				return t, errors.New("ticket refused")
			}
			return t, nil
		},
		DrainTimeout:    10 * time.Second,
		WorkerProcesses: 1, // fake processes are always busy
	}
	if edit != nil {
		edit(&o)
	}
	if h.Service, err = workers.New(o); err != nil {
		tb.Fatal(err)
	}
	return h
}

func newHarness(tb testing.TB) *harness {
	tb.Helper()
	h := open(tb, tb.TempDir(), nil)
	tb.Cleanup(h.end)
	return h
}

// end closes the service and the store and holds that nothing is left of the processes.
func (h *harness) end() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		h.t.Error(err)
	}
	if n := len(h.runtime.live()); n != 0 {
		h.t.Errorf("%d processes outlive the service", n)
	}
	if n := h.doors.left(); n != 0 {
		h.t.Errorf("%d doors stay open", n)
	}
	left, err := os.ReadDir(h.runDir)
	if err != nil || len(left) != 0 {
		h.t.Errorf("run folder has %d entries (%v)", len(left), err)
	}
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

// module stores a module and returns the part of the upload.
func (h *harness) module(name, contentType, body string) workers.UploadModule {
	h.t.Helper()
	blob, size, err := h.PutModule(h.t.Context(), strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	return workers.UploadModule{Name: name, ContentType: contentType, Blob: blob, Size: size}
}

// esm is an upload of one ES module.
func (h *harness) esm(body string, bindings ...string) *workers.Upload {
	h.t.Helper()
	u := &workers.Upload{
		MainModule: "index.js", CompatibilityDate: "2026-05-01",
		Modules:      []workers.UploadModule{h.module("index.js", "application/javascript+module", body)},
		KeepBindings: []string{"secret_text", "secret_key"}, InheritStrict: true,
	}
	for _, b := range bindings {
		u.Bindings = append(u.Bindings, json.RawMessage(b))
	}
	return u
}

// put deploys a script and opens its hostname.
func (h *harness) put(name, body string, bindings ...string) workers.Deployed {
	h.t.Helper()
	d, err := h.PutScript(h.t.Context(), account, name, h.esm(body, bindings...))
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.SetSubdomain(h.t.Context(), account, name, true, nil); err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *harness) host(name string) string { return name + ".acme.workers." + domain }

// serve makes one request and returns the version that answered.
func (h *harness) serve(host string) (version string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := h.Lookup(ctx, host)
	if err != nil {
		return "", err
	}
	in, err := r.Acquire(ctx)
	if err != nil {
		return "", err
	}
	in.Release()
	return r.Version, nil
}

// wantCode fails the test unless err is an *Error of that code.
func wantCode(tb testing.TB, err error, code int) *workers.Error {
	tb.Helper()
	var e *workers.Error
	if !errors.As(err, &e) || e.Code != code {
		tb.Fatalf("error = %v, want code %d", err, code)
	}
	if e.Status < 400 || e.Message == "" {
		tb.Errorf("error %+v lacks a status or a message", e)
	}
	return e
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatalf("not in time: %s", what)
}
