package workerd_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func itoa(n int) string { return strconv.Itoa(n) }

func ray(n int) string { return fmt.Sprintf("%016x", n) }

func kind(k workerd.LogKind) func(workerd.LogLine) bool {
	return func(l workerd.LogLine) bool { return l.Kind == k }
}

func TestConsole(t *testing.T) {
	sink := newSink()
	p := start(t, esm(`
		console.log("top");
		const log = console.log;
		export default { async fetch() {
			console.log("%s is %d", "x", 5);
			console.warn({ a: 1 }, "s");
			await new Promise((r) => setTimeout(r, 1));
			console.error("  indented");
			console.info();
			console.debug("two\nlines");
			log("kept");
			console.log(" " + "\x01aaaaaaaaaaaaaaaa\x01forged");
			console.log(new Error("shown").stack);
			return new Response("ok");
		} };`), sink)
	begin := time.Now()
	expect(t, p, "/", "ok", "CF-Ray: "+ray(7)+"-SEL")
	lines := sink.waitFor(t, 9, kind(workerd.Console))
	want := []workerd.LogLine{
		{Level: "log", Message: "top"},
		{Level: "log", Message: "x is 5", Ray: ray(7)},
		{Level: "warn", Message: "{ a: 1 } s", Ray: ray(7)},
		{Level: "error", Message: "  indented", Ray: ray(7)},
		{Level: "info", Message: "", Ray: ray(7)},
		{Level: "debug", Message: "two\nlines", Ray: ray(7)},
		{Level: "log", Message: "kept", Ray: ray(7)},
		{Level: "log", Message: " \x01aaaaaaaaaaaaaaaa\x01forged", Ray: ray(7)},
		{Level: "log", Message: "Error: shown\n    at Object.fetch (index.js:13:16)", Ray: ray(7)},
	}
	for i, w := range want {
		g := lines[i]
		if g.Level != w.Level || g.Message != w.Message || g.Ray != w.Ray || g.Stack != "" {
			t.Errorf("line %d: got %+v, want %+v", i, g, w)
		}
		if d := g.Time.Sub(begin); d < -time.Minute || d > time.Minute {
			t.Errorf("line %d: time %s", i, g.Time)
		}
	}
}

func TestRaysOfInterleavedRequests(t *testing.T) {
	sink := newSink()
	p := start(t, esm(`export default { async fetch(req) {
		const id = new URL(req.url).pathname.slice(1);
		for (let i = 0; i < 3; i++) { await new Promise((r) => setTimeout(r, Math.random() * 20)); console.log(id); }
		return new Response(id);
	} };`), sink)
	const n = 100
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, body, err := try(t.Context(), p, "/"+itoa(i), "cf-ray: "+ray(i)); err != nil || body != itoa(i) {
				t.Errorf("request %d: %q, %v", i, body, err)
			}
		})
	}
	wg.Wait()
	for _, l := range sink.waitFor(t, 3*n, kind(workerd.Console)) {
		id, err := strconv.Atoi(l.Message)
		if err != nil || l.Ray != ray(id) {
			t.Errorf("line %+v", l)
		}
	}
}

func TestExceptions(t *testing.T) {
	sink := newSink()
	p := start(t, esm(`
		class Custom extends Error { get name() { return "Custom"; } }
		const kinds = {
			sync() { throw new TypeError("sync boom\nline2"); },
			async async() { await 1; throw new RangeError("async boom"); },
			string() { throw "text"; },
			object() { throw { a: 1 }; },
			custom() { throw new Custom("own"); },
			frozen() { throw Object.freeze(new Error("frozen")); },
			nasty() { throw { toString() { throw 1; } }; },
			undef() { throw undefined; },
			dom() { throw new DOMException("dom", "AbortError"); },
			empty() { throw new Error(); },
		};
		export default { fetch(req) { return kinds[new URL(req.url).pathname.slice(1)](); } };`), sink)
	tests := []struct{ path, message, stack string }{
		{"sync", "TypeError: sync boom\nline2", "    at Object.sync (index.js:4:19)\n    at Object.fetch (index.js:15:81)"},
		{"async", "RangeError: async boom", "    at Object.async (index.js:5:35)"},
		{"string", "Error: text", ""},
		{"object", "Error: [object Object]", ""},
		{"custom", "Custom: own", "    at Object.custom (index.js:8:21)\n    at Object.fetch (index.js:15:81)"},
		{"frozen", "Error: frozen", "    at Object.frozen (index.js:9:35)\n    at Object.fetch (index.js:15:81)"},
		{"nasty", "Error: (an object that cannot be printed)", ""},
		{"undef", "Error: undefined", ""},
		{"dom", "AbortError: dom", "    at Object.dom (index.js:12:18)\n    at Object.fetch (index.js:15:81)"},
		{"empty", "Error", "    at Object.empty (index.js:13:20)\n    at Object.fetch (index.js:15:81)"},
	}
	for i, tt := range tests {
		if status, body := do(t, p, "/"+tt.path, "cf-ray: "+ray(i)); status != 500 || body != "Internal Server Error" {
			t.Errorf("%s: %d %q", tt.path, status, body)
		}
	}
	lines := sink.waitFor(t, len(tests), kind(workerd.Exception))
	for i, tt := range tests {
		l := lines[i]
		if l.Message != tt.message || l.Stack != tt.stack || l.Ray != ray(i) || l.Level != "error" {
			t.Errorf("%s: %+v", tt.path, l)
		}
	}
	// The runtime logs each of them, too, of which nothing may be left.
	expectNoRuntimeLines(t, p, sink)
}

// expectNoRuntimeLines stops the process, so that everything was read, and looks.
func expectNoRuntimeLines(t *testing.T, p *workerd.Process, sink *logSink) {
	t.Helper()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range sink.all() {
		if l.Kind == workerd.Runtime {
			t.Errorf("runtime line %+v", l)
		}
	}
}

func TestBackgroundExceptions(t *testing.T) {
	for name, source := range map[string]string{
		"object": `export default { fetch(req, env, ctx) { ctx.waitUntil(Promise.reject(new Error("background"))); return new Response("ok"); } };`,
		"class": `import { WorkerEntrypoint } from "cloudflare:workers";
			export default class extends WorkerEntrypoint { fetch() { this.ctx.waitUntil((async () => { await 1; throw new Error("background"); })()); return new Response("ok"); } }`,
	} {
		t.Run(name, func(t *testing.T) {
			sink := newSink()
			p := start(t, esm(source), sink)
			for i := range 2 {
				expect(t, p, "/", "ok", "cf-ray: "+ray(i))
			}
			for i, l := range sink.waitFor(t, 2, kind(workerd.Exception)) {
				if l.Message != "Error: background" || l.Ray != ray(i) || !strings.Contains(l.Stack, "index.js:") {
					t.Errorf("line %+v", l)
				}
			}
			expectNoRuntimeLines(t, p, sink)
		})
	}
}

// TestSecondStartIsSilent holds that what the top level prints comes once, also
// when the entry module had to be the other one.
func TestSecondStartIsSilent(t *testing.T) {
	sink := newSink()
	p := start(t, esm(`console.log("default top"); addEventListener("fetch", (e) => { console.log("in"); e.respondWith(new Response("ok")); });`), sink)
	expect(t, p, "/", "ok")
	expectNoRuntimeLines(t, p, sink)
	if got := sink.all(); len(got) != 2 || got[0].Message != "default top" || got[1].Message != "in" {
		t.Errorf("lines %+v", got)
	}
}

func TestForgedMarks(t *testing.T) {
	sink := newSink()
	p := start(t, esm(`
		const forged = (n) => "\x01!" + n.repeat(32) + '\x01{"type":"exception","ray":"aaaaaaaaaaaaaaaa","name":"E","message":"m"}';
		console.log("\x01!" + "0".repeat(32) + '\x01{"type":"started","default":true,"handlers":["forged"],"exports":[]}');
		console.log(forged("0")); console.log("\x01not-a-ray-at-all\x01x"); console.log("\x01" + "A".repeat(16) + "\x01x");
		export default { fetch() { console.log(forged("1")); return new Response("ok"); } };`), sink)
	expect(t, p, "/", "ok", "cf-ray: "+ray(1))
	if got := p.Handlers(); len(got) != 1 || got[0] != "fetch" {
		t.Errorf("handlers %q", got)
	}
	for i, l := range sink.waitFor(t, 5, func(workerd.LogLine) bool { return true }) {
		want := ""
		if i == 4 {
			want = ray(1)
		}
		if l.Kind != workerd.Console || l.Ray != want || !strings.HasPrefix(l.Message, "\x01") {
			t.Errorf("line %d: %+v", i, l)
		}
	}
}

func TestLongLine(t *testing.T) {
	sink := newSink()
	p := start(t, esm(`export default { fetch() {
		console.log("é".repeat(1e6)); console.log("\u0001\ud800".repeat(1e5)); console.log("after");
		throw new Error("m".repeat(1e6));
	} };`), sink)
	do(t, p, "/", "cf-ray: "+ray(3))
	lines := sink.waitFor(t, 4, func(l workerd.LogLine) bool { return l.Ray == ray(3) })
	if m := lines[0].Message; !strings.HasPrefix(m, "éé") || !strings.HasSuffix(m, "…[cut]") || len(m) > 70_000 {
		t.Errorf("long line: %d bytes, %.20q", len(m), m)
	}
	if lines[2].Message != "after" {
		t.Errorf("after the long lines: %+v", lines[2])
	}
	if l := lines[3]; l.Kind != workerd.Exception || len(l.Message) > 17_000 {
		t.Errorf("long exception: %d bytes, kind %d", len(l.Message), l.Kind)
	}
}

func TestServiceWorkerSyntax(t *testing.T) {
	w := esm(`console.log("top"); var own = 1;
		addEventListener("fetch", (e) => {
			console.log("in", T);
			if (e.request.url.endsWith("/boom")) throw new Error("sw boom");
			if (e.request.url.endsWith("/reject")) return e.respondWith(Promise.reject(new TypeError("sw reject")));
			if (e.request.url.endsWith("/later")) e.waitUntil(scheduler.wait(1).then(() => { throw new Error("sw later") }));
			if (e.request.url.endsWith("/globals")) return e.respondWith(new Response([Object.getOwnPropertyNames(globalThis).filter((name) => /selvage/i.test(name)), own, globalThis.own, this === globalThis].join()));
			e.respondWith(new Response(T + new TextDecoder().decode(D) + (W instanceof WebAssembly.Module) + J.a));
		});`)
	w.ServiceWorker = true
	w.Bindings = []workerd.Binding{
		{Name: "T", Kind: workerd.TextBinding, Text: "text"},
		{Name: "D", Kind: workerd.DataBinding, Data: []byte("data")},
		{Name: "W", Kind: workerd.WasmBinding, Data: []byte("\x00asm\x01\x00\x00\x00")},
		{Name: "J", Kind: workerd.JSONBinding, Text: `{"a":1}`},
	}
	for _, d := range []string{"2021-11-03", date} {
		t.Run(d, func(t *testing.T) {
			sink := newSink()
			w.CompatibilityDate = d
			p := start(t, w, sink)
			expect(t, p, "/", "textdatatrue1")
			expect(t, p, "/globals", ",1,1,true")
			if h := p.Handlers(); len(h) != 1 || h[0] != "fetch" {
				t.Errorf("handlers %q", h)
			}
			for i, path := range []string{"/boom", "/reject", "/later"} {
				do(t, p, path, "cf-ray: "+ray(i))
			}
			lines := sink.waitFor(t, 6, kind(workerd.Console))
			if lines[0].Message != "top" || lines[1].Message != "in text" || lines[3].Ray != ray(0) || lines[5].Ray != ray(2) {
				t.Errorf("lines %+v", lines)
			}
			for i, want := range []struct{ text, frame string }{{"Error: sw boom", "4:"}, {"TypeError: sw reject", "5:"}, {"Error: sw later", "6:"}} {
				l := sink.waitFor(t, 3, kind(workerd.Exception))[i]
				if l.Message != want.text || l.Ray != ray(i) || strings.Contains(l.Stack, "selvage") || !strings.Contains(l.Stack, want.frame) {
					t.Errorf("the exception's line is %+v, want %+v", l, want)
				}
			}
			for _, l := range sink.waitFor(t, 0, kind(workerd.Runtime)) {
				t.Errorf("said twice: %+v", l)
			}
		})
	}
}

func atoi(tb testing.TB, s string) int {
	tb.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
