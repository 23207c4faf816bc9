package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// kvWorker runs the JavaScript of a request's body as a function of env.KV and
// answers with its result, or with what it threw.
const kvWorker = `const F = Object.getPrototypeOf(async function () {}).constructor;
export default { async fetch(r, env) {
	const { op, args } = await r.json();
	const read = async (v, type) => v === null ? null
		: type === "arrayBuffer" ? [...new Uint8Array(v)] : type === "stream" ? await new Response(v).text() : v;
	try {
		switch (op) {
		case "get": return Response.json({ value: await read(await env.KV.get(...args), args[1]?.type ?? args[1]) });
		case "getWithMetadata": { const v = await env.KV.getWithMetadata(...args); return Response.json({ ...v, value: await read(v.value, args[1]?.type ?? args[1]) }); }
		case "bulk": { const v = await env.KV.get(...args); return Response.json(Object.fromEntries(v)); }
		case "bulkWithMetadata": { const v = await env.KV.getWithMetadata(...args); return Response.json(Object.fromEntries(v)); }
		case "put": await env.KV.put(...args); return Response.json({});
		case "putBytes": await env.KV.put(args[0], new Uint8Array(args[1]), args[2]); return Response.json({});
		case "putBig": await env.KV.put(args[0], new Uint8Array(args[1]).fill(120)); return Response.json({});
		case "putStream": await env.KV.put(args[0], new Response(args[1]).body); return Response.json({});
		case "size": { const v = await env.KV.get(args[0], "arrayBuffer"); return Response.json({ value: v && v.byteLength }); }
		case "delete": await env.KV.delete(...args); return Response.json({});
		case "list": return Response.json(await env.KV.list(...args));
		}
	} catch (e) { return Response.json({ error: e.message }); }
} }`

// kvProject is kvWorker with the binding KV to a namespace ("": provisioned).
func kvProject(t *testing.T, name, namespace string) string {
	t.Helper()
	id := ""
	if namespace != "" {
		id = fmt.Sprintf(`, "id": %q`, namespace)
	}
	return project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01", "kv_namespaces": [{"binding": "KV"%s}]}`, name, id),
		"index.js":       kvWorker,
	})
}

// kvCall has the worker run an operation and returns what it answered, as JSON.
func (p *platform) kvCall(t *testing.T, worker, op string, args ...any) string {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	body, err := json.Marshal(map[string]any{"op": op, "args": args})
	if err != nil {
		t.Fatal(err)
	}
	a := do(t, p.request(t, "POST", p.host(worker), "/", strings.NewReader(string(body))))
	if a.Status != 200 {
		t.Fatalf("%s %v: %d %s", op, args, a.Status, a.Body)
	}
	return a.Body
}

func TestKVProvisioned(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := kvProject(t, "store", "")
	p.must(t, dir, "deploy")
	for _, c := range []struct {
		op   string
		args []any
		want string
	}{
		{"get", []any{"a"}, `{"value":null}`},
		{"put", []any{"a", "one"}, `{}`},
		{"get", []any{"a"}, `{"value":"one"}`},
		{"delete", []any{"a"}, `{}`},
		{"get", []any{"a"}, `{"value":null}`},
	} {
		if got := p.kvCall(t, "store", c.op, c.args...); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.op, c.args, got, c.want)
		}
	}
}
