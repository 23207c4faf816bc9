package workerd_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func TestStartErrors(t *testing.T) {
	const ok = `export default { fetch() { return new Response("x"); } };`
	with := func(source string, change func(w *workerd.Worker)) *workerd.Worker {
		w := esm(source)
		if change != nil {
			change(w)
		}
		return w
	}
	tests := map[string]struct {
		w       *workerd.Worker
		text    string // the whole text, or with "…" at its end its beginning
		message string
		stack   string
	}{
		"throw": {
			w:       esm("throw new Error('boom\\nline2');" + ok),
			text:    "Uncaught Error: boom\nline2\n  at index.js:1:7",
			message: "Uncaught Error: boom\nline2", stack: "  at index.js:1:7",
		},
		"throw deep": {
			w:     esm("function f() { throw new TypeError('deep'); }\nf();" + ok),
			text:  "Uncaught TypeError: deep\n  at index.js:1:22 in f\n  at index.js:2:1",
			stack: "  at index.js:1:22 in f\n  at index.js:2:1",
		},
		"nothing that is called": {w: esm("export async function onRequestGet() {} export const pages = () => 3;"), text: "No event handlers were registered. This script does nothing.…"},
		"throw no error":         {w: esm("throw null;" + ok), text: "Uncaught Error: null"},
		"syntax":                 {w: esm("export default {"), text: "Uncaught SyntaxError: Unexpected end of input\n  at index.js:1:16"},
		"missing module":         {w: esm(`import "./missing.js";` + ok), text: "Uncaught Error: No such module \"missing.js\".\n  imported from \"index.js\""},
		"not for workers":        {w: esm(`import "selvage-internal:als";` + ok), text: "Uncaught Error: No such module \"selvage-internal:als\".\n  imported from \"index.js\""},
		"unsettled await":        {w: esm("await new Promise(() => {});" + ok), text: "Uncaught Error: Top-level await in module is unsettled."},
		"rejected await":         {w: esm("await Promise.reject(new Error('no'));" + ok), text: "Uncaught Error: no\n  at index.js:1:22"},
		"global fetch":           {w: esm("await fetch('http://x/');" + ok), text: "Uncaught Error: Disallowed operation called within global scope.…"},
		"null default":           {w: esm("export default null;"), text: "Uncaught TypeError: Cannot initialize…"},
		"number default":         {w: esm("export default 5;"), text: "Uncaught TypeError: Incorrect type for map entry 'default'…"},
		"bad export":             {w: esm("export const a = 1;"), text: "Uncaught TypeError: Incorrect type for map entry 'a'…"},
		"unknown flags": {
			w:    with(ok, func(w *workerd.Worker) { w.CompatibilityFlags = []string{"nope_flag", "other_nope"} }),
			text: "No such compatibility flag: nope_flag\nNo such compatibility flag: other_nope",
		},
		"experimental flag": {
			w:    with(ok, func(w *workerd.Worker) { w.CompatibilityFlags = []string{"d1_binding_jsrpc"} }),
			text: "The compatibility flag d1_binding_jsrpc is experimental…",
		},
		"future date": {
			w:    with(ok, func(w *workerd.Worker) { w.CompatibilityDate = "2099-01-01" }),
			text: "This Worker requires compatibility date \"2099-01-01\", but the newest date supported by this server binary is \"…",
		},
		"no date":      {w: with(ok, func(w *workerd.Worker) { w.CompatibilityDate = "x" }), text: "Invalid compatibility date: x"},
		"python":       {w: with(ok, func(w *workerd.Worker) { w.Modules[0].Kind = workerd.PythonModule }), text: "Python Workers are not supported…"},
		"python flag":  {w: with(ok, func(w *workerd.Worker) { w.CompatibilityFlags = []string{"python_workers"} }), text: "Python Workers are not supported…"},
		"main is text": {w: with(ok, func(w *workerd.Worker) { w.Modules[0].Kind = workerd.TextModule }), text: "The main module \"index.js\" must be an ES module."},
		"no modules":   {w: with(ok, func(w *workerd.Worker) { w.Modules = nil }), text: "The script has no modules."},
		"twice": {w: with(ok, func(w *workerd.Worker) {
			w.Modules = append(w.Modules, workerd.Module{Name: "./index.js", Kind: workerd.TextModule})
		}), text: "The module name \"./index.js\" is empty or used twice."},
		"control": {w: with(ok, func(w *workerd.Worker) { w.Modules[0].Name = "a\x00.js" }), text: "The name of a module has a control character: \"a\\x00.js\""},
		"invalid JSON": {w: with(ok, func(w *workerd.Worker) {
			w.Bindings = []workerd.Binding{{Name: "J", Kind: workerd.JSONBinding, Text: "{"}}
		}), text: "…"},
		"service throw": {w: with("\nthrow new Error('sw');", func(w *workerd.Worker) { w.ServiceWorker = true }), text: "Uncaught Error: sw\n  at …"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			_, err := (&workerd.Launcher{Binary: binary(t)}).Start(t.Context(), dir, tt.w, nil)
			var se *workerd.StartError
			if !errors.As(err, &se) {
				t.Fatalf("got %v, want a StartError", err)
			}
			if begin, open := strings.CutSuffix(tt.text, "…"); open && !strings.HasPrefix(se.Text, begin) || !open && se.Text != tt.text {
				t.Errorf("text %q, want %q", se.Text, tt.text)
			}
			if tt.message != "" && se.Message != tt.message {
				t.Errorf("message %q, want %q", se.Message, tt.message)
			}
			if tt.stack != "" && se.Stack != tt.stack {
				t.Errorf("stack %q, want %q", se.Stack, tt.stack)
			}
			if strings.Contains(err.Error(), "selvage-entry") {
				t.Errorf("our module shows: %q", err)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "*"))
			if len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestEndlessLoopAtStart(t *testing.T) {
	l := &workerd.Launcher{Binary: binary(t), StartTimeout: 500 * time.Millisecond}
	_, err := l.Start(t.Context(), shortDir(t), esm("while (true) {}"), nil)
	var se *workerd.StartError
	if !errors.As(err, &se) || se.Text != "Script startup exceeded CPU time limit." {
		t.Fatalf("got %v", err)
	}

	// The same, given up by the caller: nobody's fault.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = (&workerd.Launcher{Binary: binary(t)}).Start(ctx, shortDir(t), esm("while (true) {}"), nil)
	if errors.As(err, &se) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the caller's deadline", err)
	}
}

func TestPlatformErrors(t *testing.T) {
	notStartError := func(t *testing.T, err error) {
		t.Helper()
		var se *workerd.StartError
		if err == nil || errors.As(err, &se) {
			t.Fatalf("got %v, want an error of the platform", err)
		}
	}
	hello := esm(`export default {}`)
	t.Run("no binary", func(t *testing.T) {
		_, err := (&workerd.Launcher{Binary: "/nonexistent/workerd"}).Start(t.Context(), shortDir(t), hello, nil)
		notStartError(t, err)
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not workerd", func(t *testing.T) {
		_, err := (&workerd.Launcher{Binary: "/bin/false"}).Start(t.Context(), shortDir(t), hello, nil)
		notStartError(t, err)
	})
	t.Run("long path", func(t *testing.T) {
		dir := filepath.Join(shortDir(t), strings.Repeat("x", 100))
		_, err := (&workerd.Launcher{Binary: binary(t)}).Start(t.Context(), dir, hello, nil)
		notStartError(t, err)
		if !strings.Contains(err.Error(), "too long for a unix socket") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("out of memory", func(t *testing.T) {
		l := &workerd.Launcher{Binary: binary(t), V8Flags: []string{"--max-old-space-size=20"}}
		_, err := l.Start(t.Context(), shortDir(t), esm(`globalThis.a = []; for (let i = 0; ; i++) globalThis.a.push({ i, s: "x" + i });`), nil)
		notStartError(t, err)
		t.Log(err)
	})
}

func TestStaleSocketsAndFolder(t *testing.T) {
	dir := shortDir(t)
	for _, name := range []string{"http.sock", "ready.sock"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, esm(`export default { fetch() { return new Response("hello"); } };`), nil)
	expect(t, p, "/", "hello")
	for name, want := range map[string]os.FileMode{".": os.ModeDir | 0o700, "http.sock": os.ModeSocket | 0o600, "ready.sock": os.ModeSocket | 0o600} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder is still there: %v", err)
	}
}

func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("SELVAGE_SECRET", "leak")
	p := start(t, esm(`export default { fetch(req, env) { return new Response(JSON.stringify([Object.keys(env), Object.keys(process.env), Object.keys(globalThis).filter((k) => /selvage/i.test(k))])); } };`), nil)
	expect(t, p, "/", `[[],[],[]]`)
	environ, err := os.ReadFile("/proc/" + itoa(p.Pid()) + "/environ")
	if err != nil || strings.Trim(string(environ), "\x00") != "TZ=UTC" {
		t.Errorf("environment %q, %v", environ, err)
	}
}

func TestCrash(t *testing.T) {
	p := start(t, esm(`export default { fetch() { return new Response("hello"); } };`), nil)
	expect(t, p, "/", "hello")
	select {
	case <-p.Done():
		t.Fatal("done before the crash")
	default:
	}
	proc, err := os.FindProcess(p.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := proc.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Err() == nil {
		t.Error("no error after a crash")
	}
	if _, _, err := try(t.Context(), p, "/"); err == nil {
		t.Error("a dead process answered")
	}
	if _, _, err := p.Usage(); err == nil {
		t.Error("usage of a dead process")
	}
}

func TestStopDrains(t *testing.T) {
	dir := shortDir(t)
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, esm(`export default { async fetch(req, env, ctx) {
		const { readable, writable } = new TransformStream();
		const w = writable.getWriter();
		ctx.waitUntil((async () => {
			for (let i = 0; i < 4; i++) { await w.write(new TextEncoder().encode("x" + i)); await new Promise((r) => setTimeout(r, 100)); }
			await w.close();
		})());
		console.log("begun");
		return new Response(readable);
	} };`), nil)
	sink := make(chan string, 1)
	go func() {
		_, body, err := try(context.Background(), p, "/")
		if err != nil {
			body = err.Error()
		}
		sink <- body
	}()
	time.Sleep(150 * time.Millisecond) // the request is under way
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if got := <-sink; got != "x0x1x2x3" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := p.Err(); err != nil {
		t.Errorf("a drained process ended with %v", err)
	}
}

func TestStopKills(t *testing.T) {
	p := start(t, esm(`export default { fetch() { while (true) {} } };`), nil)
	done := make(chan struct{})
	go func() { defer close(done); _, _, _ = try(context.Background(), p, "/") }()
	time.Sleep(100 * time.Millisecond) // it is in its loop, which ignores SIGTERM
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	<-done
	if p.Err() == nil {
		t.Error("killed without an error")
	}
}

func TestMaxCompatibilityDate(t *testing.T) {
	l := &workerd.Launcher{Binary: binary(t)}
	got, err := l.MaxCompatibilityDate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.DateOnly, got); err != nil || got < "2026-11-17" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLargeWorker(t *testing.T) {
	w := esm(`import big from "./big.bin"; import wide from "./wide.txt"; export default { fetch() { return new Response([big.byteLength, wide.length].join()); } };`)
	w.Modules = append(w.Modules,
		workerd.Module{Name: "big.bin", Kind: workerd.DataModule, Body: make([]byte, 48<<20)},
		workerd.Module{Name: "wide.txt", Kind: workerd.TextModule, Body: []byte(strings.Repeat("x", 16<<20))})
	expect(t, start(t, w, nil), "/", "50331648,16777216")
}
