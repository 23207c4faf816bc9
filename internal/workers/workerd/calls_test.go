package workerd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// callsSource asks the same of a binding of the runtime's own and of ours.
const callsSource = `
import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
class Counter extends RpcTarget {
  #n; constructor(n) { super(); this.#n = n; }
  add(k) { return this.#n += k; }
  get value() { return this.#n; }
}
class Oops extends TypeError { constructor(m) { super(m); this.name = "Oops"; } }
export class Api extends WorkerEntrypoint {
  own = 1; ownFn = () => 1;
  #private = "p";
  add(a, b) { return a + b; }
  nothing() {}
  secret() { return this.#private; }
  get prop() { return { deep: { n: 7, fn: (x) => x + 1 } }; }
  get counter5() { return new Counter(5); }
  counter(n) { return new Counter(n); }
  props() { return this.ctx.props; }
  callback(f) { return f("x").then((v) => v + "!"); }
  boom() { throw new RangeError("kaboom"); }
  async later() { await 1; throw new Oops("later"); }
  literal() { throw "text"; }
  stream() { return new Response("streamed").body; }
  fn() { return (x) => x * 2; }
  count() { return arguments.length; }
  async fetch(r) {
    const p = new URL(r.url).pathname;
    if (p === "/boom") throw new RangeError("fetched");
    if (p === "/oops") { await 1; throw new Oops("oops"); }
    if (p === "/text") throw "text";
    if (r.headers.get("Upgrade") === "websocket") {
      const [a, b] = Object.values(new WebSocketPair());
      b.accept(); b.addEventListener("message", (e) => b.send("echo " + e.data));
      return new Response(null, { status: 101, webSocket: a });
    }
    return new Response([r.method, r.url, JSON.stringify(r.cf ?? null), r.headers.get("x-a"), await r.text()].join(" "), { status: 201 });
  }
}
export const plain = {
  one(a, env, ctx) { return [a, typeof env, typeof ctx.waitUntil].join(); },
  four(a, b, env, ctx) { return 1; },
  notFn: { x: 1 },
};
const run = {
  add: (s) => s.add(1, 2), nothing: (s) => s.nothing(), secret: (s) => s.secret(),
  own: (s) => s.own, ownFn: (s) => s.ownFn(), missing: (s) => s.nope(), missingProp: (s) => s.nope, toString: (s) => typeof s.toString,
  inherited: (s) => s.hasOwnProperty("x"), reserved: (s) => s.alarm(), dup: (s) => s.webSocketClose(1),
  prop: async (s) => JSON.stringify((await s.prop.deep).n), deepFn: (s) => s.prop.deep.fn(4), deepMissing: (s) => s.prop.nope.x(),
  notFunction: (s) => s.prop(), counterProp: (s) => s.counter5.add(3), getter: (s) => s.counter(4).value, pipelined: (s) => s.counter(4).add(1),
  counter: async (s) => { using c = await s.counter(5); return [await c.add(1), await c.add(2)].join(); },
  props: async (s) => JSON.stringify(await s.props()), callback: (s) => s.callback((x) => "got " + x),
  boom: (s) => s.boom(), later: (s) => s.later(), literal: (s) => s.literal(), caught: (s) => s.boom().catch((e) => "caught " + e.message),
  stream: async (s) => new Response(await s.stream()).text(), fn: async (s) => { using f = await s.fn(); return await f(21); }, count: (s) => s.count(1, undefined, 3),
  fetch: async (s) => { const r = await s.fetch("https://h.example/p?q#f", { method: "POST", body: "B", headers: { "x-a": "1" }, cf: { k: 1 } }); return r.status + " " + await r.text(); },
  fetchRequest: async (s) => { const r = await s.fetch(new Request("http://x/y", { method: "PUT", body: "C" })); return r.status + " " + await r.text(); },
  fetchBoom: (s) => s.fetch("http://x/boom"), fetchOops: (s) => s.fetch("http://x/oops"), fetchText: (s) => s.fetch("http://x/text"), badURL: (s) => s.fetch("nope"),
  ws: async (s) => {
    const { webSocket: ws } = await s.fetch("http://x/", { headers: { Upgrade: "websocket" } });
    ws.accept();
    const got = new Promise((done) => ws.addEventListener("message", (m) => done(m.data)));
    ws.send("hi"); const text = await got; ws.close(); return text;
  },
  type: (s) => [typeof s, typeof s.add, typeof s.fetch, Object.prototype.toString.call(s), s.constructor.name].join(),
  awaited: async (s) => typeof (await s).add, uncloneable: (s) => s.add(new Proxy({}, {}), Symbol()),
  plainOne: (s, p) => p.one(5), plainMany: (s, p) => p.one(5, 6), plainNone: (s, p) => p.one(), plainFour: (s, p) => p.four(1), plainMissing: (s, p) => p.toString2(), plainNotFn: (s, p) => p.notFn(1),
  plainProp: async (s, p) => JSON.stringify(await p.notFn),
};
export default { async fetch(r, env) {
  const url = new URL(r.url);
  if (url.pathname === "/") return Response.json(Object.keys(run));
  const [s, p] = url.search === "?raw" ? [env.RAW, env.RAWPLAIN] : [env.OURS, env.PLAIN];
  try { return new Response(String(await run[url.pathname.slice(1)](s, p))); }
  catch (e) { return new Response([e?.constructor?.name, e?.name, e?.message ?? e].join("|")); }
} };`

const loopsSource = `
import { WorkerEntrypoint } from "cloudflare:workers";
export class Api extends WorkerEntrypoint {
  async down(n) { try { return await this.env.SELF.down(n + 1); } catch (e) { return n + " " + e.message.slice(0, 33); } }
  async loop(n) { try { return await this.ctx.exports.Api({ props: { n } }).loop(n + 1); } catch (e) { return n + " " + e.message.slice(0, 33); } }
  forever() { return this.env.SELF.forever(); }
}
export class Any extends WorkerEntrypoint {
  constructor(ctx, env) { super(ctx, env); return new Proxy(this, { get: (t, name) => name in t ? Reflect.get(t, name) : (...args) => name + args }); }
  here() { return "here"; }
}
export default { async fetch(r, env, ctx) {
  const { pathname } = new URL(r.url);
  try {
    switch (pathname) {
      case "/down": return new Response(await env.SELF.down(1));
      case "/loop": return new Response(await ctx.exports.Api.loop(1));
      case "/forever": return new Response(await env.SELF.forever());
      case "/fetch": return await env.ME.fetch(r);
      case "/new": return await env.ME.fetch("http://x/new");
      case "/wide": return new Response(String((await Promise.all(Array.from({ length: 500 }, () => env.ANY.here()))).length));
      case "/any": return new Response([await env.ANY.here(), await env.ANY.magic(1, 2), await ctx.exports.Any.magic(3)].join());
    }
  } catch (e) { return new Response(e.message); }
} };`

// TestSelfLoop holds that calls of a worker to itself end after as many steps as on
// the original platform, however they are made.
func TestSelfLoop(t *testing.T) {
	w := esm(loopsSource)
	w.CompatibilityFlags = []string{"enable_ctx_exports"}
	for name, entrypoint := range map[string]string{"SELF": "Api", "ME": "", "ANY": "Any"} {
		w.Bindings = append(w.Bindings, workerd.Binding{Name: name, Kind: workerd.SelfBinding, Entrypoint: entrypoint, Calls: true})
	}
	p := start(t, w, nil)
	const tooDeep = "Subrequest depth limit exceeded. "
	for path, want := range map[string]string{
		"/down": "32 " + tooDeep, "/loop": "32 " + tooDeep, "/forever": tooDeep, "/fetch": tooDeep, "/new": tooDeep,
		"/any": "here,magic1,2,magic3", "/wide": "500",
	} {
		if _, got := do(t, p, path, "cf-ray: 0123456789abcdef"); !strings.HasPrefix(got, want) {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if _, got := do(t, p, "/down"); got != "32 "+tooDeep { // a call without a ray begins at none
		t.Errorf("without a ray: %q", got)
	}
}

// TestCallsAreAsTheRuntimes holds that a binding whose calls are invocations of their
// own answers as the runtime's own binding does, whatever it is asked.
func TestCallsAreAsTheRuntimes(t *testing.T) {
	w := esm(callsSource)
	self := func(name, entrypoint string, calls bool) workerd.Binding {
		return workerd.Binding{Name: name, Kind: workerd.SelfBinding, Entrypoint: entrypoint, Props: `{"a":1}`, Calls: calls}
	}
	w.Bindings = []workerd.Binding{self("RAW", "Api", false), self("OURS", "Api", true), self("RAWPLAIN", "plain", false), self("PLAIN", "plain", true)}
	p := start(t, w, nil)
	_, list := do(t, p, "/")
	names := strings.Split(strings.Trim(list, `[]"`), `","`)
	if len(names) < 40 || !slices.Contains(names, "plainProp") {
		t.Fatalf("questions %q", names)
	}
	for _, name := range names {
		_, raw := do(t, p, "/"+name+"?raw", "cf-ray: 0123456789abcdef")
		_, ours := do(t, p, "/"+name, "cf-ray: 0123456789abcdef")
		if raw != ours {
			t.Errorf("%s: the runtime says %q, we say %q", name, raw, ours)
		}
	}
}
