package rpcrelay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/rpcrelay"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const calleeScript = `
import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
const GENERATION = "@";
class Counter extends RpcTarget {
  #n; constructor(n) { super(); this.#n = n; }
  add(k) { return this.#n += k; }
  get generation() { return GENERATION; }
}
const wait = (ms) => new Promise((r) => setTimeout(r, ms));
export class Api extends WorkerEntrypoint {
  add(a, b) { return a + b; }
  generation() { return GENERATION; }
  props() { return this.ctx.props; }
  counter(n) { return new Counter(n); }
  async callback(f, n, ms) { let out = []; for (let i = 0; i < n; i++) { out.push(await f(i)); if (ms) await wait(ms); } return GENERATION + ":" + out; }
  boom() { throw new RangeError("kaboom"); }
  async slow(ms) { await wait(ms); return GENERATION; }
  use(stub) { return stub.add(1); }
  stream(n) {
    return new ReadableStream({ type: "bytes", async pull(c) { if (n-- > 0) c.enqueue(new Uint8Array(10000).fill(120)); else c.close(); } });
  }
  async length(stream) { return (await new Response(stream).arrayBuffer()).byteLength; }
  big(n) { return "x".repeat(n); }
}`

const callerScript = `
let kept;
const run = {
  add: (s) => s.add(20, 22),
  generation: (s) => s.generation(),
  props: async (s) => JSON.stringify(await s.props()),
  counter: async (s) => { using c = await s.counter(5); return [await c.add(1), await c.add(2), await c.generation].join(); },
  pipelined: async (s) => await s.counter(5).add(3),
  callback: (s) => s.callback((x) => x * 2, 3, 0),
  slowCallback: (s) => s.callback((x) => x + 1, 10, 30),
  stream: async (s) => (await new Response(await s.stream(50)).arrayBuffer()).byteLength,
  upload: (s) => s.length(new ReadableStream({ type: "bytes", n: 30, pull(c) { if (this.n-- > 0) c.enqueue(new Uint8Array(10000)); else c.close(); } })),
  big: async (s) => (await s.big(3000000)).length,
  slow: (s) => s.slow(400),
  boom: (s) => s.boom(),
  keep: async (s) => { let release; const c = await s.counter(1); const before = await c.add(1);
    await fetchGate(); const after = await c.add(1); const use = await s.use(c).catch((e) => "Error: " + e.message); return [before, after, use].join(); },
};
let gate;
const fetchGate = () => new Promise((r) => { gate = setInterval(() => { if (globalThis.open) { clearInterval(gate); r(); } }, 5); });
export default { async fetch(request, env) {
  const name = new URL(request.url).pathname.slice(1);
  if (name === "open") { globalThis.open = true; return new Response("opened"); }
  try { return new Response(String(await run[name](env.API))); }
  catch (e) { return new Response(e.constructor.name + ": " + e.message, { status: 500 }); }
} };`

func launcher(tb testing.TB) *workerd.Launcher {
	tb.Helper()
	path := os.Getenv("SELVAGE_WORKERD")
	if path == "" {
		path = filepath.Join("..", "..", "tools", "node_modules", "@cloudflare", "workerd-linux-64", "bin", "workerd")
	}
	return &workerd.Launcher{Binary: path}
}

func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "sr") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(tb testing.TB, dir string, w *workerd.Worker) *workerd.Process {
	tb.Helper()
	w.CompatibilityDate = "2026-09-01"
	p, err := launcher(tb).Start(tb.Context(), dir, w, func(l workerd.LogLine) {
		if l.Kind == workerd.Runtime && l.Level == "error" {
			tb.Logf("%s: %s", w.Script, l.Message)
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = p.Stop(ctx)
	})
	return p
}

// callee is a process that takes calls, as a Target.
type callee struct {
	proc     *workerd.Process
	dir      string
	inFlight atomic.Int64
	closed   atomic.Bool
	stopping chan struct{}
}

func newCallee(tb testing.TB, generation string) *callee {
	tb.Helper()
	c := &callee{dir: shortDir(tb), stopping: make(chan struct{})}
	c.proc = start(tb, c.dir, &workerd.Worker{
		Script:  "callee-" + generation,
		Modules: []workerd.Module{{Name: "index.js", Kind: workerd.ESModule, Body: []byte(strings.Replace(calleeScript, "@", generation, 1))}},
		Sockets: []workerd.Socket{{File: "api.sock", Entrypoint: "Api", Props: `{"role":"x"}`}},
	})
	return c
}

func (c *callee) Acquire() bool {
	if c.closed.Load() {
		return false
	}
	c.inFlight.Add(1)
	return true
}
func (c *callee) Release()                  { c.inFlight.Add(-1) }
func (c *callee) Stopping() <-chan struct{} { return c.stopping }
func (c *callee) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", filepath.Join(c.dir, "api.sock"))
}

func (c *callee) stop() {
	if !c.closed.Swap(true) {
		close(c.stopping)
	}
}

type routeFunc func(ctx context.Context) (rpcrelay.Target, error)

// stage is a caller's process with a relay behind its binding.
type stage struct {
	tb    testing.TB
	proc  *workerd.Process
	live  atomic.Pointer[callee]
	begun atomic.Int64
	limit atomic.Int64
	route atomic.Pointer[routeFunc]
}

func newStage(tb testing.TB) *stage {
	tb.Helper()
	s := &stage{tb: tb}
	s.limit.Store(1 << 30)
	s.setRoute(func(context.Context) (rpcrelay.Target, error) {
		c := s.live.Load()
		if c == nil || !c.Acquire() {
			return nil, &rpcrelay.CallError{Text: "nobody is there"}
		}
		return c, nil
	})
	dir := shortDir(tb)
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "unix", filepath.Join(dir, "out.sock"))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(ctx, conn) })
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = ln.Close()
		wg.Wait()
		if n := s.begun.Load(); n != 0 {
			tb.Errorf("%d calls never ended", n)
		}
	})
	s.proc = start(tb, dir, &workerd.Worker{
		Script:   "caller",
		Modules:  []workerd.Module{{Name: "index.js", Kind: workerd.ESModule, Body: []byte(callerScript)}},
		Bindings: []workerd.Binding{{Name: "API", Kind: workerd.FetcherBinding, Socket: "out.sock", RPC: true}},
	})
	return s
}

func (s *stage) setRoute(f routeFunc) { s.route.Store(&f) }

func (s *stage) serve(ctx context.Context, conn net.Conn) {
	var head []byte
	b := make([]byte, 4096)
	for !bytes.Contains(head, []byte("\r\n\r\n")) {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		head = append(head, b[:n]...)
	}
	_, early, _ := bytes.Cut(head, []byte("\r\n\r\n"))
	err := rpcrelay.Serve(ctx, conn, early, rpcrelay.Options{
		Route: func(ctx context.Context, _ any) (rpcrelay.Target, error) { return (*s.route.Load())(ctx) }, Host: workerd.ConnectHost,
		Begin: func() error {
			if s.begun.Load() >= s.limit.Load() {
				return &rpcrelay.CallError{Text: "too deep"}
			}
			s.begun.Add(1)
			return nil
		},
		End: func() { s.begun.Add(-1) },
	})
	if err != nil {
		s.tb.Errorf("relay: %v", err)
	}
}

// call runs one of the caller's functions.
func (s *stage) call(name string) (string, error) {
	c, err := s.proc.Upstream().Dial(context.Background())
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", name); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New("status "+strconv.Itoa(res.StatusCode)))
	}
	return string(body), err
}

func (s *stage) want(name, want string) {
	s.tb.Helper()
	if got, err := s.call(name); got != want {
		s.tb.Errorf("%s = %q (%v), want %q", name, got, err, want)
	}
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

func TestCalls(t *testing.T) {
	s, a := newStage(t), newCallee(t, "A")
	s.live.Store(a)
	for range 3 {
		s.want("add", "42")
		s.want("props", `{"role":"x"}`)
		s.want("counter", "6,8,A")
		s.want("pipelined", "8")
		s.want("callback", "A:0,2,4")
		s.want("stream", "500000")
		s.want("upload", "300000")
		s.want("big", "3000000")
		s.want("boom", "RangeError: kaboom")
	}
	eventually(t, "the callee is let go", func() bool { return a.inFlight.Load() == 0 && s.begun.Load() == 0 })
}
