package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
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

// TestKVBinding goes through what the binding offers in a real worker.
func TestKVBinding(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := kvProject(t, "store", "")
	p.must(t, dir, "deploy")
	long := strings.Repeat("k", 512)
	in := func(ttl int) map[string]any { return map[string]any{"expirationTtl": ttl} }
	hundred := make([]string, 101)
	for i := range hundred {
		hundred[i] = fmt.Sprint("k", i)
	}
	for _, c := range []struct {
		op   string
		args []any
		want string
	}{
		{"get", []any{"none"}, `{"value":null}`},
		{"get", []any{"none", "json"}, `{"value":null}`},
		{"get", []any{"none", "stream"}, `{"value":null}`},
		{"getWithMetadata", []any{"none"}, `{"value":null,"metadata":null,"cacheStatus":null}`},
		{"put", []any{"t", "text ü"}, `{}`},
		{"get", []any{"t"}, `{"value":"text ü"}`},
		{"get", []any{"t", map[string]string{"type": "text"}}, `{"value":"text ü"}`},
		{"get", []any{"t", "stream"}, `{"value":"text ü"}`},
		{"get", []any{"t", "arrayBuffer"}, `{"value":[116,101,120,116,32,195,188]}`},
		{"get", []any{"t", map[string]any{"type": "text", "cacheTtl": 60}}, `{"value":"text ü"}`},
		{"get", []any{"t", map[string]any{"cacheTtl": 10}}, `{"error":"KV GET failed: 400 Invalid cache_ttl of 10. Cache TTL must be at least 30."}`},
		{"put", []any{"j", `{"a":[1]}`}, `{}`},
		{"get", []any{"j", "json"}, `{"value":{"a":[1]}}`},
		{"putBytes", []any{"b", []int{0, 255, 10}, map[string]any{"metadata": map[string]any{"m": "ü"}}}, `{}`},
		{"get", []any{"b", "arrayBuffer"}, `{"value":[0,255,10]}`},
		{"getWithMetadata", []any{"b", "arrayBuffer"}, `{"value":[0,255,10],"metadata":{"m":"ü"},"cacheStatus":null}`},
		{"putStream", []any{"s", "streamed"}, `{}`},
		{"get", []any{"s"}, `{"value":"streamed"}`},
		{"put", []any{"t", "over"}, `{}`},
		{"get", []any{"t"}, `{"value":"over"}`},
		{"put", []any{"", "x"}, `{"error":"Key name cannot be empty."}`},
		{"put", []any{"a/b ?#%😀", "odd"}, `{}`},
		{"get", []any{"a/b ?#%😀"}, `{"value":"odd"}`},
		{"put", []any{long, "long"}, `{}`},
		{"get", []any{long}, `{"value":"long"}`},
		{"put", []any{long + "k", "x"}, `{"error":"KV PUT failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512."}`},
		{"get", []any{long + "k"}, `{"error":"KV GET failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512."}`},
		{"put", []any{"e", "x", in(59)}, `{"error":"KV PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60."}`},
		{"put", []any{"e", "x", in(0)}, `{"error":"KV PUT failed: 400 Invalid expiration_ttl of 0. Please specify integer greater than 0."}`},
		{"put", []any{"e", "x", map[string]any{"expiration": 1}}, `{"error":"KV PUT failed: 400 Invalid expiration of 1. Please specify integer greater than the current number of seconds since the UNIX epoch."}`},
		{"put", []any{"e", "x", map[string]any{"metadata": strings.Repeat("m", 1023)}}, `{"error":"KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024."}`},
		{"get", []any{"e"}, `{"value":null}`},
		{"bulk", []any{[]string{"t", "none", "s"}}, `{"t":"over","none":null,"s":"streamed"}`},
		{"bulk", []any{[]string{"j"}, "json"}, `{"j":{"a":[1]}}`},
		{"bulkWithMetadata", []any{[]string{"t", "none"}}, `{"t":{"value":"over","metadata":null},"none":null}`},
		{"bulk", []any{hundred}, `{"error":"KV GET_BULK failed: 400 You can request a maximum of 100 keys"}`},
		{"bulk", []any{[]string{"t"}, "json"}, `{"error":"KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json value"}`},
		{"delete", []any{"t"}, `{}`},
		{"delete", []any{"t"}, `{}`},
		{"get", []any{"t"}, `{"value":null}`},
		{"putBig", []any{"big", 25 << 20}, `{}`},
		{"size", []any{"big"}, `{"value":26214400}`},
		{"putBig", []any{"big", 25<<20 + 1}, `{"error":"KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400."}`},
		{"size", []any{"big"}, `{"value":26214400}`},
		{"putBig", []any{"big", 100 << 10}, `{}`},
		{"size", []any{"big"}, `{"value":102400}`},
	} {
		if got := p.kvCall(t, "store", c.op, c.args...); got != c.want {
			t.Errorf("%s %.100v:\n got %.400s\nwant %s", c.op, c.args, got, c.want)
		}
	}
}

func TestKVListInAWorker(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, kvProject(t, "store", ""), "deploy")
	for i := range 5 {
		p.kvCall(t, "store", "put", fmt.Sprint("a:", i), "v", map[string]any{"metadata": i, "expirationTtl": 1000})
		p.kvCall(t, "store", "put", fmt.Sprint("b:", i), "v")
	}
	type page struct {
		Keys []struct {
			Name       string `json:"name"`
			Expiration int64  `json:"expiration"`
			Metadata   any    `json:"metadata"`
		} `json:"keys"`
		ListComplete bool   `json:"list_complete"`
		Cursor       string `json:"cursor"`
		Error        string `json:"error"`
	}
	list := func(o map[string]any) (out page) {
		if err := json.Unmarshal([]byte(p.kvCall(t, "store", "list", o)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var names []string
	cursor := ""
	for range 4 {
		got := list(map[string]any{"prefix": "a:", "limit": 2, "cursor": cursor})
		for _, k := range got.Keys {
			names = append(names, k.Name)
			if k.Expiration == 0 || k.Metadata == nil {
				t.Errorf("%+v", k)
			}
		}
		if cursor = got.Cursor; got.ListComplete {
			break
		}
		if bad := list(map[string]any{"prefix": "b:", "cursor": cursor}); !strings.Contains(bad.Error, "KV GET failed: 400 Invalid cursor") {
			t.Errorf("a cursor of another prefix: %+v", bad)
		}
	}
	if strings.Join(names, " ") != "a:0 a:1 a:2 a:3 a:4" {
		t.Errorf("%q", names)
	}
	if got := list(map[string]any{}); len(got.Keys) != 10 || !got.ListComplete || got.Cursor != "" || got.Keys[9].Name != "b:4" || got.Keys[9].Metadata != nil {
		t.Errorf("%+v", got)
	}
	if got := list(map[string]any{"limit": 1001}); !strings.Contains(got.Error, "KV GET failed: 400 Invalid key_count_limit of 1001") {
		t.Errorf("%+v", got)
	}
}

// TestKVWrangler runs every kv command of wrangler.
func TestKVWrangler(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := t.TempDir()
	id := hex32.FindString(p.must(t, dir, "kv", "namespace", "create", "STORE"))
	if id == "" {
		t.Fatal("create prints no id")
	}
	if out, err := p.wrangler(t, dir, "kv", "namespace", "create", "STORE"); err == nil || !strings.Contains(out, "already exists") {
		t.Errorf("create again: %v\n%s", err, out)
	}
	if out := p.must(t, dir, "kv", "namespace", "list"); !strings.Contains(out, id) || !strings.Contains(out, `"title": "STORE"`) {
		t.Errorf("list:\n%s", out)
	}
	p.must(t, dir, "kv", "namespace", "rename", "STORE", "--new-name", "SHOP")
	if out := p.must(t, dir, "kv", "namespace", "list"); !strings.Contains(out, "SHOP") || strings.Contains(out, "STORE") {
		t.Errorf("after the rename:\n%s", out)
	}

	ns := []string{"--namespace-id", id, "--remote"}
	run := func(args ...string) string {
		t.Helper()
		return p.must(t, dir, append(append([]string{"kv"}, args...), ns...)...)
	}
	run("key", "put", "a/b", "one", "--ttl", "100", "--metadata", `{"m":1}`)
	run("key", "put", "plain", "two")
	if out := run("key", "get", "a/b", "--text"); !strings.Contains(out, "one") {
		t.Errorf("get:\n%s", out)
	}
	if out := run("key", "list"); !strings.Contains(out, `"name": "a/b"`) || !strings.Contains(out, `"expiration"`) || !strings.Contains(out, `"m": 1`) || !strings.Contains(out, "plain") {
		t.Errorf("list:\n%s", out)
	}
	if out := run("key", "list", "--prefix", "a"); strings.Contains(out, "plain") {
		t.Errorf("list by prefix:\n%s", out)
	}
	run("key", "delete", "a/b")
	if out, err := p.wrangler(t, dir, append([]string{"kv", "key", "get", "a/b"}, ns...)...); err == nil && !strings.Contains(out, "not found") {
		t.Errorf("get of a deleted key: %v\n%s", err, out)
	}

	var pairs []map[string]any
	for i := range 1500 { // more than one request
		pairs = append(pairs, map[string]any{"key": fmt.Sprintf("bulk%04d", i), "value": fmt.Sprint(i)})
	}
	pairs = append(pairs, map[string]any{"key": "bin", "value": "AP8=", "base64": true, "metadata": map[string]int{"a": 1}, "expiration_ttl": 1000})
	write(t, dir, "put.json", pairs)
	write(t, dir, "get.json", []string{"bulk0007", "none"})
	write(t, dir, "delete.json", []string{"bulk0000", "bulk0001"})
	run("bulk", "put", "put.json")
	if out := run("bulk", "get", "get.json"); !strings.Contains(out, `"bulk0007"`) || !strings.Contains(out, `"7"`) {
		t.Errorf("bulk get:\n%s", out)
	}
	run("bulk", "delete", "delete.json", "--force")
	if out := run("key", "list"); strings.Count(out, `"name": "bulk`) != 1498 {
		t.Errorf("after the bulk delete: %d keys", strings.Count(out, `"name": "bulk`))
	}
	p.must(t, dir, "kv", "namespace", "delete", "--namespace-id", id, "-y")
	if out := p.must(t, dir, "kv", "namespace", "list"); strings.Contains(out, id) {
		t.Errorf("after the delete:\n%s", out)
	}
}

// TestKVDeploys is how a namespace and the workers that bind it go together.
func TestKVDeploys(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := kvProject(t, "store", "")
	first := p.must(t, dir, "deploy")
	p.kvCall(t, "store", "put", "k", "kept")
	// Provisioned once: the next deploy inherits it.
	rewrite(t, dir, "index.js", kvWorker+"\n// changed\n")
	p.must(t, dir, "deploy")
	if got := p.kvCall(t, "store", "get", "k"); got != `{"value":"kept"}` {
		t.Errorf("after another deploy: %s", got)
	}
	list := p.must(t, dir, "kv", "namespace", "list")
	if !strings.Contains(list, `"title": "store-kv"`) || strings.Count(list, `"id"`) != 1 {
		t.Errorf("provisioned:\n%s\n%s", first, list)
	}
	id := hex32.FindString(list)
	if out := p.must(t, dir, "kv", "key", "get", "k", "--binding", "KV", "--remote", "--text"); !strings.Contains(out, "kept") {
		t.Errorf("get by binding:\n%s", out)
	}

	if out, err := p.wrangler(t, dir, "kv", "namespace", "delete", "--namespace-id", id, "-y"); err == nil || !strings.Contains(out, "store") || !strings.Contains(out, "10030") {
		t.Errorf("a namespace in use was deleted: %v\n%s", err, out)
	}
	if out, err := p.wrangler(t, kvProject(t, "bad", strings.Repeat("0", 32)), "deploy"); err == nil || !strings.Contains(out, "10041") || !strings.Contains(out, "KV namespace '"+strings.Repeat("0", 32)+"' not found") {
		t.Errorf("a namespace that is not there: %v\n%s", err, out)
	}
	if out, err := p.wrangler(t, kvProject(t, "bad", "my-namespace"), "deploy"); err == nil || !strings.Contains(out, "10042") {
		t.Errorf("what is no id: %v\n%s", err, out)
	}
	if err := p.client(t).DeleteKVNamespace(t.Context(), id, true); err != nil {
		t.Fatal(err)
	}
	// Not null: the key is not missing, its namespace is.
	if got := p.kvCall(t, "store", "get", "k"); got != `{"error":"KV GET failed: 400 The KV namespace of this binding was deleted"}` {
		t.Errorf("after the namespace was deleted: %s", got)
	}
	// The worker still starts, and a deploy says what is wrong.
	rewrite(t, dir, "index.js", kvWorker+"\n// changed again\n")
	if out, err := p.wrangler(t, dir, "deploy"); err == nil || !strings.Contains(out, "10041") {
		t.Errorf("a deploy that inherits a deleted namespace: %v\n%s", err, out)
	}
}

// TestKVServiceWorker: in the old syntax the binding is a global.
func TestKVServiceWorker(t *testing.T) {
	t.Parallel()
	p := start(t)
	n, err := p.client(t).CreateKVNamespace(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	dir := project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": "sw", "main": "index.js", "compatibility_date": "2026-09-01", "kv_namespaces": [{"binding": "A", "id": %q}, {"binding": "B", "id": %q}]}`, n.ID, n.ID),
		"index.js":       `addEventListener("fetch", e => e.respondWith(A.put("k", "v").then(() => B.get("k")).then(v => new Response(v))))`,
	})
	p.must(t, dir, "deploy")
	if a := p.get(t, p.host("sw"), "/"); a.Body != "v" {
		t.Errorf("%d %q", a.Status, a.Body)
	}
}

// TestKVSurvivesKill kills the platform while workers write: what a worker was
// told is stored is there after the restart.
func TestKVSurvivesKill(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, kvProject(t, "store", ""), "deploy")
	random := seeded(t)
	for round := range rounds(30) {
		var mu sync.Mutex
		acknowledged := map[string]string{}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for w := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					key, value := fmt.Sprintf("%d-%d-%d", round, w, i), fmt.Sprint(i)
					if p.kvTry(t, "put", key, value) != "{}" {
						return // the platform is gone
					}
					mu.Lock()
					acknowledged[key] = value
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(100+random.IntN(300)) * time.Millisecond)
		p.kill()
		close(stop)
		wg.Wait()
		p.up(t)
		if len(acknowledged) == 0 {
			t.Errorf("round %d: nothing was written", round)
		}
		for key, want := range acknowledged {
			if got := p.kvCall(t, "store", "get", key); got != fmt.Sprintf(`{"value":%q}`, want) {
				t.Errorf("round %d: %s is %s, acknowledged %s", round, key, got, want)
			}
		}
		t.Logf("round %d: %d writes", round, len(acknowledged))
	}
}

// kvTry is kvCall for a platform that may be gone: "" then.
func (p *platform) kvTry(t *testing.T, op string, args ...any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"op": op, "args": args})
	if err != nil {
		t.Error(err)
		return ""
	}
	res, err := http.DefaultClient.Do(p.request(t, "POST", p.host("store"), "/", strings.NewReader(string(body))))
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

var hex32 = regexp.MustCompile(`[0-9a-f]{32}`)

// write writes a value as JSON into a file.
func write(t *testing.T, dir, name string, v any) {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, name, string(body))
}
