package workerd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/sandbox"
	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func TestMain(m *testing.M) {
	if sandbox.IsHelper(os.Args) {
		os.Exit(sandbox.Main(os.Args[1]))
	}
	goleak.VerifyTestMain(m)
}

// confined finds the layers of isolation, of which namespaces must be one: a
// machine without them cannot show that workers are kept in.
func confined(tb testing.TB) *supervise.Isolation {
	tb.Helper()
	i, err := supervise.Probe(tb.Context(), "/proc/self/exe")
	if err != nil {
		tb.Fatal(err)
	}
	if !i.Confined() {
		tb.Fatalf("this machine makes no namespaces: %s", i.Missing())
	}
	return i
}

// binary finds the pinned workerd; a missing one is a failure, not a skip.
func binary(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("SELVAGE_WORKERD")
	if path == "" {
		path = filepath.Join("..", "..", "..", "tools", "node_modules", "@cloudflare", "workerd-linux-64", "bin", "workerd")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(abs); err != nil {
		tb.Fatalf("no workerd to test with: %v; install the tools or set SELVAGE_WORKERD", err)
	}
	return abs
}

// shortDir is a private folder whose path fits into a socket address.
func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "sw") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

const date = "2026-09-01"

func esm(source string) *workerd.Worker {
	return &workerd.Worker{
		Account: "a", Script: "test", Version: "v",
		Modules:           []workerd.Module{{Name: "index.js", Kind: workerd.ESModule, Body: []byte(source)}},
		CompatibilityDate: date,
	}
}

// logSink collects log lines.
type logSink struct {
	mu    sync.Mutex
	lines []workerd.LogLine
	more  chan struct{}
}

func newSink() *logSink { return &logSink{more: make(chan struct{}, 1)} }

func (s *logSink) add(l workerd.LogLine) {
	s.mu.Lock()
	s.lines = append(s.lines, l)
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *logSink) all() []workerd.LogLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// waitFor waits until n lines satisfy the predicate and returns those there are.
func (s *logSink) waitFor(t *testing.T, n int, match func(workerd.LogLine) bool) []workerd.LogLine {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		out := slices.DeleteFunc(s.all(), func(l workerd.LogLine) bool { return !match(l) })
		if len(out) >= n {
			return out
		}
		select {
		case <-s.more:
		case <-deadline:
			t.Fatalf("%d of %d lines came; all: %+v", len(out), n, s.all())
		}
	}
}

func start(t *testing.T, w *workerd.Worker, sink *logSink) *workerd.Process {
	t.Helper()
	return startIn(t, &workerd.Launcher{Binary: binary(t)}, shortDir(t), w, sink)
}

func startIn(t *testing.T, l *workerd.Launcher, dir string, w *workerd.Worker, sink *logSink) *workerd.Process {
	t.Helper()
	if sink == nil {
		sink = newSink()
	}
	p, err := l.Start(t.Context(), dir, w, sink.add)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return p
}

// do sends one request through the pool and returns status and body.
func do(tb testing.TB, p *workerd.Process, path string, header ...string) (status int, body string) {
	tb.Helper()
	status, body, err := try(tb.Context(), p, path, header...)
	if err != nil {
		tb.Fatalf("GET %s: %v", path, err)
	}
	return status, body
}

func try(ctx context.Context, p *workerd.Process, path string, header ...string) (status int, body string, err error) {
	c, err := p.Upstream().Get(ctx)
	if err != nil {
		return 0, "", err
	}
	req := "GET " + path + " HTTP/1.1\r\nHost: example.com\r\n" + strings.Join(append(header, ""), "\r\n") + "\r\n"
	if _, err := io.WriteString(c, req); err != nil {
		_ = c.Close()
		return 0, "", err
	}
	res, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		_ = c.Close()
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	if err != nil || res.Close {
		_ = c.Close()
	} else {
		p.Upstream().Put(c)
	}
	return res.StatusCode, string(b), err
}

func expect(t *testing.T, p *workerd.Process, path, want string, header ...string) {
	t.Helper()
	status, body := do(t, p, path, header...)
	if status != 200 || body != want {
		t.Errorf("GET %s: got %d %q, want %q", path, status, body, want)
	}
}

func TestHello(t *testing.T) {
	p := start(t, esm(`export default { fetch() { return new Response("hello"); } };
		export class Room {}`), nil)
	expect(t, p, "/", "hello")
	if got := p.Handlers(); !slices.Equal(got, []string{"fetch"}) {
		t.Errorf("handlers: %q", got)
	}
	if got := p.Exports(); !slices.Equal(got, []string{"Room"}) {
		t.Errorf("exports: %q", got)
	}
	if p.StartupTime() <= 0 || p.StartupTime() > 5*time.Second {
		t.Errorf("startup time: %s", p.StartupTime())
	}
	rss, cpu, err := p.Usage()
	if err != nil || rss < 1<<20 || cpu <= 0 {
		t.Errorf("usage: %d bytes, %s, %v", rss, cpu, err)
	}
}

func TestModuleKinds(t *testing.T) {
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	w := esm(`
		import cjs from "./lib/common.cjs";
		import text from "./a text.txt";
		import data from "./raw.bin";
		import wasm from "./add.wasm";
		import json from "./conf.json";
		import { deep } from "./lib/deep/ü.mjs";
		export default { async fetch(req, env) {
			return new Response(JSON.stringify([cjs.name, text, data.byteLength, wasm instanceof WebAssembly.Module, json.k, deep,
				env.T, env.J.a, env.D.byteLength, Object.keys(env).sort().join()]));
		} };`)
	w.Modules = append(w.Modules,
		workerd.Module{Name: "lib/common.cjs", Kind: workerd.CommonJSModule, Body: []byte(`module.exports = { name: "cjs" };`)},
		workerd.Module{Name: "./a text.txt", Kind: workerd.TextModule, Body: []byte("some\x00text")},
		workerd.Module{Name: "raw.bin", Kind: workerd.DataModule, Body: []byte{0, 1, 2, 255}},
		workerd.Module{Name: "add.wasm", Kind: workerd.WasmModule, Body: wasm},
		workerd.Module{Name: "conf.json", Kind: workerd.JSONModule, Body: []byte(`{"k":"v"}`)},
		workerd.Module{Name: "lib/deep/ü.mjs", Kind: workerd.ESModule, Body: []byte(`export const deep = "deep";`)},
	)
	w.Bindings = []workerd.Binding{
		{Name: "T", Kind: workerd.TextBinding, Text: "text"},
		{Name: "J", Kind: workerd.JSONBinding, Text: `{"a":1}`},
		{Name: "D", Kind: workerd.DataBinding, Data: []byte("data")},
	}
	want := `["cjs","some\u0000text",4,true,"v","deep","text",1,4,"D,J,T"]`
	for _, flags := range [][]string{nil, {"new_module_registry"}} {
		t.Run(fmt.Sprint(flags), func(t *testing.T) {
			w.CompatibilityFlags = flags
			expect(t, start(t, w, nil), "/", want)
		})
	}
}
