package workerd_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// TestConfined holds that a confined runtime works as another does: no words at
// start about what it misses, the stack's end found without /proc, clean ends.
func TestConfined(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are confined on Linux only")
	}
	l := &workerd.Launcher{Binary: binary(t), Isolation: confined(t)}
	sink := newSink()
	p, err := l.Start(t.Context(), shortDir(t), esm(`
		function deep(n) { return deep(n + 1) + 1; }
		export default {
			async fetch(request) {
				const url = new URL(request.url);
				if (url.pathname === "/deep") try { deep(0); } catch (e) { return new Response(e.name); }
				if (url.pathname === "/random") return new Response(crypto.getRandomValues(new Uint8Array(4)).length + new Date(0).toLocaleString("de-DE", { timeZone: "Europe/Berlin" }));
				return new Response("hello");
			}
		};`), sink.add)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "hello", "/deep": "RangeError", "/random": "41.1.1970, 01:00:00"} {
		if status, body := do(t, p, path); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
	for _, line := range sink.all() {
		t.Errorf("the log says %q", line.Message)
	}
	if err := p.Stop(t.Context()); err != nil || p.Err() != nil {
		t.Errorf("stop: %v, %v", err, p.Err())
	}
}

// TestConfinedFailsLoudly holds that a layer that cannot be had is an error, not
// a process without it.
func TestConfinedFailsLoudly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are confined on Linux only")
	}
	l := &workerd.Launcher{Binary: binary(t), Isolation: confined(t)}
	w := esm(hello)
	w.Storage = "/nonexistent/folder"
	_, err := l.Start(t.Context(), shortDir(t), w, nil)
	if err == nil || !strings.Contains(err.Error(), "selvage-sandbox: make a root of its own: open /nonexistent/folder") {
		t.Errorf("got %v", err)
	}
}
