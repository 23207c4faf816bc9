package workerd_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// countedSource calls one thing again and again until it throws, and says how often
// it went well and what was thrown.
const countedSource = `import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Counter extends DurableObject {
  one() { return 1; }
  get deep() { return { two: () => 2 }; }
  fetch() { return new Response("f"); }
  async pass(stub) { return (await stub.one()) + stub.constructor.name; }
}
export class Other extends WorkerEntrypoint { one() { return 1; } }
const calls = (env) => {
  const object = env.COUNTER.getByName("kept");
  return {
    fetch: () => fetch("http://x/"),
    cache: () => caches.default.match("http://x/"),
    opened: async () => (await caches.open("o")).match("http://x/"),
    kv: () => env.KV.get("k"),
    list: () => env.KV.list(),
    d1: () => env.DB.prepare("select 1").all(),
    named: () => env.COUNTER.getByName("a").one(),
    object: () => object.one(),
    property: () => object.deep.two(),
    fetched: () => object.fetch("http://x/"),
    service: () => env.OTHER.one(),
  };
};
export default { async fetch(req, env) {
  const wanted = new URL(req.url).pathname.slice(1);
  if (wanted === "native") {
    const a = env.COUNTER.getByName("a"), b = env.COUNTER.get(env.COUNTER.idFromName("b"));
    return new Response([await a.pass(b), a.name, String(b.id).length, a.constructor.name, Object.getPrototypeOf(a) === Object.getPrototypeOf(b), a instanceof a.constructor, typeof a.one, typeof a.fetch, a.fetch.length, a.fetch.name, await a.nothing().catch((e) => e.message)].join("|"));
  }
  const all = calls(env), out = [];
  for (const name of wanted.split("+")) {
    let n = 0;
    try {
      for (; n < 10; n++) await all[name]();
    } catch (e) { out.push(name + " " + n + " " + e.message.slice(0, 51)); continue; }
    out.push(name + " " + n);
  }
  return new Response(out.join("\n"));
} };`

// TestSubrequestsCount holds that every way out of an invocation counts, by two
// counts, and that the stubs of objects are still the runtime's own.
func TestSubrequestsCount(t *testing.T) {
	dir := shortDir(t)
	door(t, dir, "kv.sock", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"keys":[],"list_complete":true}`)
	})
	door(t, dir, "d1.sock", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true,"meta":{},"results":{"columns":["x"],"rows":[]}}`)
	})
	missing := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGatewayTimeout) }
	door(t, dir, workerd.CacheSocket, missing)
	door(t, dir, workerd.EgressSocket, missing)
	const limit = 4
	w := esm(countedSource)
	w.Subrequests, w.Egress, w.Cache = limit, true, true
	w.Objects = []workerd.ObjectClass{{Class: "Counter", Key: strings.Repeat("a", 32), SQL: true}}
	w.Bindings = []workerd.Binding{
		{Name: "KV", Kind: workerd.KVBinding, Socket: "kv.sock"},
		{Name: "COUNTER", Kind: workerd.ObjectBinding, Class: "Counter"},
		{Name: "OTHER", Kind: workerd.SelfBinding, Entrypoint: "Other", Calls: true},
		{Name: "DB", Kind: workerd.WrappedBinding, Wrapped: &workerd.Wrapped{
			Module: "cloudflare-internal:d1-api",
			Inner:  []workerd.Binding{{Name: "fetcher", Kind: workerd.FetcherBinding, Socket: "d1.sock", TagRay: true}},
		}},
	}
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, w, nil)
	const outside, inside = " Too many subrequests by single Worker invocation. T", " Too many API requests by single Worker invocation. "
	requests := 0
	for path, want := range map[string]string{
		"fetch":         "fetch 4" + outside,
		"cache":         "cache 4" + outside,
		"opened":        "opened 4" + outside,
		"kv":            "kv 4" + inside,
		"list":          "list 4" + inside,
		"named":         "named 4" + inside,
		"object":        "object 4" + inside,
		"property":      "property 4" + inside,
		"fetched":       "fetched 4" + inside,
		"service":       "service 4" + inside,
		"fetch+kv+list": "fetch 4" + outside + "\nkv 4" + inside + "\nlist 0" + inside,
		"cache+fetch":   "cache 4" + outside + "\nfetch 0" + outside,
	} {
		for range 2 { // each request has counts of its own
			requests++
			if _, body := do(t, p, "/"+path, "cf-ray: "+ray(requests)); body != want {
				t.Errorf("%s:\n%s\nwant\n%s", path, body, want)
			}
		}
	}
	if _, body := do(t, p, "/d1", "cf-ray: "+ray(99)); !strings.HasPrefix(body, "d1 4 Too many API requests") {
		t.Errorf("d1: %s", body)
	}
	const stubs = `1Fetcher|a|64|DurableObject|true|true|function|function|0|fetch|The RPC receiver does not implement the method "nothing".`
	if _, body := do(t, p, "/native", "cf-ray: "+ray(100)); body != stubs {
		t.Errorf("stubs: %s\nwant   %s", body, stubs)
	}
}

// TestSubrequestsCountInServiceWorkerSyntax holds the same there.
func TestSubrequestsCountInServiceWorkerSyntax(t *testing.T) {
	dir := shortDir(t)
	door(t, dir, "kv.sock", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "v") })
	w := listening(`addEventListener("fetch", (e) => e.respondWith((async () => {
  let n = 0;
  try { for (; n < 10; n++) await KV.get("k") } catch (e) { return new Response(n + e.message) }
  return new Response("" + n);
})()))`)
	w.Subrequests = 4
	w.Bindings = []workerd.Binding{{Name: "KV", Kind: workerd.KVBinding, Socket: "kv.sock"}}
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, w, nil)
	if _, body := do(t, p, "/", "cf-ray: "+ray(1)); !strings.HasPrefix(body, "4Too many API requests by single Worker invocation. The limit is 4") {
		t.Errorf("answer %q", body)
	}
}
