package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// calleeSource is a Worker with entrypoints; its text answers say which version it is.
func calleeSource(version string) string {
	return strings.ReplaceAll(`
import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
const wait = (ms) => new Promise((r) => setTimeout(r, ms));
class Counter extends RpcTarget {
  #n; constructor(n) { super(); this.#n = n; }
  add(k) { return this.#n += k; }
}
class Oops extends TypeError { constructor(m) { super(m); this.name = "Oops"; } }
export class Api extends WorkerEntrypoint {
  version() { return "@"; }
  add(a, b) { return a + b; }
  props() { return this.ctx.props; }
  counter(n) { return new Counter(n); }
  callback(f) { return f("from callee").then((x) => x + "!"); }
  boom() { throw new RangeError("kaboom"); }
  stream(n) { return new ReadableStream({ type: "bytes", pull(c) { if (n-- > 0) c.enqueue(new Uint8Array(10000)); else c.close(); } }); }
  async slow(ms) { await wait(ms); return "@"; }
  async fetch(r) {
    if (r.headers.get("Upgrade") === "websocket") {
      const [a, b] = Object.values(new WebSocketPair());
      b.accept(); b.addEventListener("message", (e) => b.send("echo " + e.data));
      return new Response(null, { status: 101, webSocket: a });
    }
    return new Response("Api " + r.method + " " + new URL(r.url).href + " " + r.headers.get("x-mine") + " " + await r.text(), { status: 201 });
  }
}
export function notCallable() { return 7; }
export default { async fetch(r) { return new Response("default @ " + new URL(r.url).pathname); } };
`, "@", version)
}

const callerSource = `
import { WorkerEntrypoint } from "cloudflare:workers";
export class Local extends WorkerEntrypoint { who() { return "local " + JSON.stringify(this.ctx.props); } }
const read = async (r) => r.status + " " + await r.text();
const run = {
  version: (e) => e.API.version(),
  add: (e) => e.API.add(2, 3),
  props: async (e) => JSON.stringify([await e.API.props(), await e.OTHER.props()]),
  counter: async (e) => { using c = await e.API.counter(5); return [await c.add(1), await c.add(2)].join(); },
  pipelined: async (e) => await e.API.counter(5).add(3),
  callback: (e) => e.API.callback((x) => "got " + x),
  boom: (e) => e.API.boom(),
  nomethod: (e) => e.API.nosuch(),
  stream: async (e) => (await new Response(await e.API.stream(50)).arrayBuffer()).byteLength,
  slow: (e) => e.API.slow(700),
  fetch: async (e) => read(await e.API.fetch("https://callee.example/p?q=1", { method: "POST", body: "hello", headers: { "x-mine": "yes" } })),
  fetchDefault: async (e) => read(await e.DEFAULT.fetch("http://x/path")),
  ws: async (e) => {
    const r = await e.API.fetch("http://x/", { headers: { Upgrade: "websocket" } });
    const ws = r.webSocket; ws.accept();
    const got = new Promise((done) => ws.addEventListener("message", (m) => done(m.data)));
    ws.send("hi"); const text = await got; ws.close(); return text;
  },
  self: async (e) => await e.SELF.who() + " " + await read(await e.ME.fetch("http://x/plain")),
  exports: async (e, ctx) => await ctx.exports.Local.who() + " " + await ctx.exports.Local({ props: { p: 1 } }).who() + " " + await read(await ctx.exports.default.fetch("http://x/plain")),
  missing: (e) => e.MISSING.version(),
};
export default { async fetch(request, env, ctx) {
  const name = new URL(request.url).pathname.slice(1);
  if (name === "plain") return new Response("plain");
  if (name === "through") return env.API.fetch(request);
  try { return new Response(String(await run[name](env, ctx))); }
  catch (e) { return new Response(e.constructor.name + ": " + e.message, { status: 500 }); }
} };`

func servicesProject(t *testing.T, name, source, services string) string {
	t.Helper()
	return project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01", "compatibility_flags": ["enable_ctx_exports"], "services": [%s]}`, name, services),
		"index.js":       source,
	})
}

const callerServices = `
	{"binding": "API", "service": "callee", "entrypoint": "Api", "props": {"role": "reader", "n": 1}},
	{"binding": "OTHER", "service": "callee", "entrypoint": "Api"},
	{"binding": "DEFAULT", "service": "callee"},
	{"binding": "SELF", "service": "caller", "entrypoint": "Local"},
	{"binding": "ME", "service": "caller"}`

func TestServiceBindings(t *testing.T) {
	t.Parallel()
	p := start(t)
	caller := servicesProject(t, "caller", callerSource, callerServices)
	out, err := p.wrangler(t, caller, "deploy")
	if err == nil || !strings.Contains(out, "Could not resolve service binding 'API'. Target script 'callee' not found.") || !strings.Contains(out, "10143") {
		t.Fatalf("a binding to a Worker that is not there: %v\n%s", err, out)
	}
	callee := servicesProject(t, "callee", calleeSource("one"), "")
	p.must(t, callee, "deploy")
	p.must(t, caller, "deploy")
	for name, want := range map[string]string{
		"version": "one", "add": "5", "props": `[{"n":1,"role":"reader"},{}]`, "counter": "6,8", "pipelined": "8",
		"callback": "got from callee!", "boom": "RangeError: kaboom", "stream": "500000",
		"nomethod":     `TypeError: The RPC receiver does not implement the method "nosuch".`,
		"fetch":        "201 Api POST https://callee.example/p?q=1 yes hello",
		"fetchDefault": "200 default one /path", "ws": "echo hi",
		"self":    "local {} 200 plain",
		"exports": `local {} local {"p":1} 200 plain`,
	} {
		if a := p.get(t, p.host("caller"), "/"+name); a.Body != want {
			t.Errorf("%s = %d %q, want %q", name, a.Status, a.Body, want)
		}
	}
	if a := p.get(t, p.host("caller"), "/through"); a.Status != 201 || !strings.HasPrefix(a.Body, "Api GET http://"+p.host("caller")) {
		t.Errorf("a request passed on = %d %q", a.Status, a.Body)
	}

	// A new version of the callee is called at once; what runs finishes on the old one.
	slow := make(chan string, 1)
	go func() { slow <- p.get(t, p.host("caller"), "/slow").Body }()
	time.Sleep(200 * time.Millisecond)
	rewrite(t, callee, "index.js", calleeSource("two"))
	done := make(chan struct{})
	go func() { defer close(done); p.must(t, callee, "deploy") }()
	if got := <-slow; got != "one" {
		t.Errorf("a call that was under way = %q", got)
	}
	<-done
	if a := p.get(t, p.host("caller"), "/version"); a.Body != "two" {
		t.Errorf("after a deploy of the callee: %q", a.Body)
	}
	if a := p.get(t, p.host("caller"), "/fetchDefault"); a.Body != "200 default two /path" {
		t.Errorf("after a deploy of the callee: %q", a.Body)
	}

	p.testMissingEntrypoint(t)

	// wrangler says who is broken by a delete. (Without a terminal it goes on.)
	if out := p.must(t, callee, "delete"); !strings.Contains(out, "caller") {
		t.Errorf("delete of a Worker that is called does not name its callers:\n%s", out)
	}
	if a := p.get(t, p.host("caller"), "/version"); a.Status != 500 || !strings.Contains(a.Body, `The Worker "callee", to which this binding leads, has no deployment.`) {
		t.Errorf("a call of a deleted Worker = %d %q", a.Status, a.Body)
	}
	if a := p.get(t, p.host("caller"), "/fetchDefault"); !strings.HasPrefix(a.Body, "503 The Worker \"callee\"") {
		t.Errorf("a fetch of a deleted Worker = %d %q", a.Status, a.Body)
	}
}

func (p *platform) testMissingEntrypoint(t *testing.T) {
	t.Helper()
	for _, name := range []string{"Nope", "notCallable"} {
		dir := servicesProject(t, "wants", callerSource, `{"binding": "MISSING", "service": "callee", "entrypoint": "`+name+`"}`)
		if out, err := p.wrangler(t, dir, "deploy"); err == nil || !strings.Contains(out, "has no entrypoint '"+name+"'") {
			t.Errorf("a binding to the entrypoint %s: %v\n%s", name, err, out)
		}
	}
}

// loopSource calls the next Worker, by a method or by a new request, for ever.
const loopSource = `
import { WorkerEntrypoint } from "cloudflare:workers";
export class Loop extends WorkerEntrypoint { go(n) { return this.env.NEXT.go(n + 1); } }
export default { async fetch(r, env) {
  const path = new URL(r.url).pathname;
  try {
    if (path === "/rpc") return new Response(await env.NEXT.go(1));
    if (path === "/passed") return await env.NEXT_DEFAULT.fetch(r);
    return await env.NEXT_DEFAULT.fetch("http://x/new");
  } catch (e) { return new Response(e.message, { status: 500 }); }
} };`

// TestServiceLoop holds that two Workers that call each other for ever end soon,
// and that the platform serves afterwards.
func TestServiceLoop(t *testing.T) {
	t.Parallel()
	p := start(t)
	services := func(next string) string {
		return `{"binding": "NEXT", "service": "` + next + `", "entrypoint": "Loop"}, {"binding": "NEXT_DEFAULT", "service": "` + next + `"}`
	}
	a := servicesProject(t, "loop-a", loopSource, "")
	p.must(t, a, "deploy")
	p.must(t, servicesProject(t, "loop-b", loopSource, services("loop-a")), "deploy")
	p.must(t, servicesProject(t, "loop-a", loopSource, services("loop-b")), "deploy")
	for _, path := range []string{"/rpc", "/passed", "/new"} {
		begun := time.Now()
		got := p.get(t, p.host("loop-a"), path)
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s took %v", path, took)
		} else {
			t.Logf("%s = %d %.80q after %v", path, got.Status, got.Body, took)
		}
		if !strings.Contains(got.Body, "Subrequest depth limit exceeded") {
			t.Errorf("%s = %d %q", path, got.Status, got.Body)
		}
	}
	p.must(t, worker(t, "after", hello("after")), "deploy")
	if got := p.get(t, p.host("after"), "/"); got.Body != "after" {
		t.Errorf("after the loops: %d %q", got.Status, got.Body)
	}
}

// TestDeployCalleeUnderLoad holds that no call fails while the callee is
// deployed again and again, and that each deploy is seen by the next call.
func TestDeployCalleeUnderLoad(t *testing.T) {
	t.Parallel()
	p := start(t)
	n := rounds(100)
	p.must(t, servicesProject(t, "callee", calleeSource("0"), ""), "deploy")
	p.must(t, servicesProject(t, "caller", callerSource, callerServices), "deploy")
	var stop atomic.Bool
	var calls, failures atomic.Int64
	var wg sync.WaitGroup
	for name, want := range map[string]string{
		"add": "5", "counter": "6,8", "pipelined": "8", "callback": "got from callee!", "stream": "500000",
		"fetch": "201 Api POST https://callee.example/p?q=1 yes hello", "ws": "echo hi", "props": `[{"n":1,"role":"reader"},{}]`,
	} {
		wg.Go(func() {
			for !stop.Load() {
				a := p.get(t, p.host("caller"), "/"+name)
				if a.Body != want {
					failures.Add(1)
					t.Errorf("%s = %d %q", name, a.Status, a.Body)
				}
				calls.Add(1)
			}
		})
	}
	for i := range n {
		version := fmt.Sprint(i + 1)
		p.putScript(t, "callee", calleeSource(version))
		if a := p.get(t, p.host("caller"), "/version"); a.Body != version {
			t.Errorf("after deploy %s: %d %q", version, a.Status, a.Body)
		}
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d deploys, %d calls, %d failures", n, calls.Load(), failures.Load())
	if calls.Load() < int64(2*n) {
		t.Error("there was hardly any load")
	}
}

// putScript deploys a module by the API, as wrangler does, without the time that
// takes to start.
func (p *platform) putScript(t *testing.T, name, source string) {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{"main_module": "index.js", "compatibility_date": "2026-09-01"})
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	const boundary = "x-x-boundary-x-x"
	fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n%s\r\n", boundary, metadata)
	fmt.Fprintf(&body, "--%s\r\nContent-Disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\nContent-Type: application/javascript+module\r\n\r\n%s\r\n--%s--\r\n", boundary, source, boundary)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.APIURL+"/client/v4/accounts/"+p.AccountID+"/workers/scripts/"+name, &body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	req.Header.Set("Authorization", "Bearer "+p.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("deploy of %s: %d %s (%v)", name, res.StatusCode, text, err)
	}
}
