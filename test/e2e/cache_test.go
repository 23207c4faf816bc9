package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// cacheWorker does with the Cache API what its path says and reports as JSON.
const cacheWorker = `
const show = async (r) => r === undefined ? "undefined" : { status: r.status, headers: Object.fromEntries(r.headers), cookies: r.headers.getSetCookie(), body: await r.text() };
export default { async fetch(req) {
  const url = new URL(req.url);
  const { op, key, name, body, status, headers, match, cf } = await req.json();
  const cache = name === undefined ? caches.default : await caches.open(name);
  let out;
  try {
    const request = new Request(key, { headers: match?.headers, method: match?.method ?? "GET", cf });
    if (op === "put") out = await cache.put(request, new Response(body, { status, headers }));
    if (op === "stream") {
      const { readable, writable } = new TransformStream();
      const put = cache.put(request, new Response(readable, { headers }));
      const w = writable.getWriter();
      for (let i = 0; i < body; i++) await w.write(new TextEncoder().encode("x".repeat(1000)));
      await (status === "abort" ? w.abort(new Error("enough")) : w.close());
      out = await put;
    }
    if (op === "match") out = await show(await cache.match(request, { ignoreMethod: match?.ignoreMethod }));
    if (op === "delete") out = await cache.delete(request, { ignoreMethod: match?.ignoreMethod });
  } catch (e) { out = e.name + ": " + e.message; }
  return Response.json(out ?? null);
} };`

// op is one call of cacheWorker, want the JSON it reports; "…" in it stands for
// anything.
func cacheOp(t *testing.T, p *platform, worker, op, want string) {
	t.Helper()
	a := do(t, p.request(t, http.MethodPost, p.host(worker), "/", strings.NewReader(op)))
	if a.Status != 200 || !like(a.Body, want) {
		t.Errorf("%s\n got %d %s\nwant %s", op, a.Status, a.Body, want)
	}
}

// like compares with a text in which "…" stands for anything.
func like(got, want string) bool {
	parts := strings.Split(want, "…")
	if len(parts) == 1 {
		return got == want
	}
	if !strings.HasPrefix(got, parts[0]) {
		return false
	}
	for _, part := range parts {
		i := strings.Index(got, part)
		if i < 0 {
			return false
		}
		got = got[i+len(part):]
	}
	return got == "" || parts[len(parts)-1] == ""
}

func TestCacheAPI(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, worker(t, "c", cacheWorker), "deploy")
	p.must(t, worker(t, "other", cacheWorker), "deploy")
	const miss = `"undefined"`
	run := func(op, want string) { t.Helper(); cacheOp(t, p, "c", op, want) }

	run(`{"op":"match","key":"https://x.test/a"}`, miss)
	run(`{"op":"put","key":"https://x.test/a?b=1","body":"hello","headers":{"cache-control":"max-age=60","etag":"\"v1\"","x-a":"1"}}`, `null`)
	run(`{"op":"match","key":"https://x.test/a?b=1"}`, `{"status":200,"headers":{"age":"0","cache-control":"max-age=60","cf-cache-status":"HIT","content-length":"5",…"etag":"\"v1\"",…"x-a":"1"},"cookies":[],"body":"hello"}`)
	run(`{"op":"match","key":"https://x.test/a"}`, miss)
	run(`{"op":"match","key":"http://x.test/a?b=1"}`, miss)

	// Conditions and ranges.
	run(`{"op":"match","key":"https://x.test/a?b=1","match":{"headers":{"if-none-match":"\"v1\""}}}`, `{"status":304,…"body":""}`)
	run(`{"op":"match","key":"https://x.test/a?b=1","match":{"headers":{"range":"bytes=1-3"}}}`, `{"status":206,…"content-range":"bytes 1-3/5",…"body":"ell"}`)
	run(`{"op":"match","key":"https://x.test/a?b=1","match":{"headers":{"range":"bytes=9-"}}}`, `{"status":416,…"content-range":"bytes */5",…"body":""}`)

	// Methods.
	run(`{"op":"match","key":"https://x.test/a?b=1","match":{"method":"POST"}}`, miss)
	run(`{"op":"match","key":"https://x.test/a?b=1","match":{"method":"POST","ignoreMethod":true}}`, `{"status":200,…"body":"hello"}`)
	run(`{"op":"put","key":"https://x.test/m","body":"x","match":{"method":"PUT"}}`, `"TypeError: Cannot cache response to non-GET request."`)

	// What must not be stored is not, and what may be in part is in part.
	for name, c := range map[string][2]string{
		"no-store":         {`{"cache-control":"no-store"}`, miss},
		"private":          {`{"cache-control":"private, max-age=60"}`, miss},
		"expired":          {`{"expires":"Thu, 01 Jan 1970 00:00:00 GMT"}`, miss},
		"cookie":           {`{"set-cookie":"a=b","cache-control":"max-age=60"}`, miss},
		"private=cookie":   {`{"set-cookie":"a=b","cache-control":"private=Set-Cookie, max-age=60"}`, `{"status":200,…"cookies":[],"body":"x"}`},
		"nothing said":     {`{}`, `{"status":200,…"body":"x"}`},
		"platform's field": {`{"cf-cache-status":"fake","age":"3"}`, `{"status":200,"headers":{"age":"3","cf-cache-status":"HIT",…`},
	} {
		key := `"https://x.test/` + strings.ReplaceAll(name, " ", "-") + `"`
		run(`{"op":"put","key":`+key+`,"body":"x","headers":`+c[0]+`}`, `null`)
		run(`{"op":"match","key":`+key+`}`, c[1])
	}
	run(`{"op":"put","key":"https://x.test/206","body":"x","status":206}`, `"TypeError: Cannot cache response to a range request (206 Partial Content)."`)
	run(`{"op":"put","key":"https://x.test/vary","body":"x","headers":{"vary":"*"}}`, `"TypeError: Cannot cache response with 'Vary: *' header."`)
	run(`{"op":"put","key":"https://x.test/404","body":"gone","status":404}`, `null`)
	run(`{"op":"match","key":"https://x.test/404"}`, `{"status":404,…"body":"gone"}`)

	// Expiry.
	run(`{"op":"put","key":"https://x.test/soon","body":"x","headers":{"cache-control":"max-age=1"}}`, `null`)
	run(`{"op":"match","key":"https://x.test/soon"}`, `{"status":200,…`)
	time.Sleep(1100 * time.Millisecond)
	run(`{"op":"match","key":"https://x.test/soon"}`, miss)

	// Named caches and other workers are apart.
	run(`{"op":"put","key":"https://x.test/n","name":"a/ü b","body":"named"}`, `null`)
	run(`{"op":"match","key":"https://x.test/n"}`, miss)
	run(`{"op":"match","key":"https://x.test/n","name":"a"}`, miss)
	run(`{"op":"match","key":"https://x.test/n","name":"a/ü b"}`, `{"status":200,…"body":"named"}`)
	cacheOp(t, p, "other", `{"op":"match","key":"https://x.test/a?b=1"}`, miss)
	cacheOp(t, p, "other", `{"op":"delete","key":"https://x.test/a?b=1"}`, `false`)

	// A key of one's own instead of the URL.
	run(`{"op":"put","key":"https://x.test/k1","body":"by key","cf":{"cacheKey":"mine"}}`, `null`)
	run(`{"op":"match","key":"https://x.test/k2","cf":{"cacheKey":"mine"}}`, `{"status":200,…"body":"by key"}`)
	run(`{"op":"match","key":"https://x.test/k1"}`, miss)

	// Streams: whole ones are stored, one that breaks off is not.
	run(`{"op":"stream","key":"https://x.test/s","body":3000}`, `null`)
	run(`{"op":"match","key":"https://x.test/s","match":{"headers":{"range":"bytes=-3"}}}`, `{"status":206,…"content-range":"bytes 2999997-2999999/3000000"},…"body":"xxx"}`)
	run(`{"op":"stream","key":"https://x.test/broken","body":30,"status":"abort"}`, `"Error: enough"`)
	run(`{"op":"match","key":"https://x.test/broken"}`, miss)

	// Deletion, and a new deploy of the same worker finds what was stored.
	run(`{"op":"delete","key":"https://x.test/a?b=1","match":{"method":"POST"}}`, `false`)
	run(`{"op":"delete","key":"https://x.test/a?b=1"}`, `true`)
	run(`{"op":"delete","key":"https://x.test/a?b=1"}`, `false`)
	run(`{"op":"match","key":"https://x.test/a?b=1"}`, miss)
	p.must(t, worker(t, "c", cacheWorker+"//2"), "deploy")
	run(`{"op":"match","key":"https://x.test/404"}`, `{"status":404,…"body":"gone"}`)
}

// TestCacheAfterKill: what a killed platform had cached, or was caching, is gone.
func TestCacheAfterKill(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, worker(t, "c", cacheWorker), "deploy")
	cacheOp(t, p, "c", `{"op":"put","key":"https://x.test/a","body":"hello"}`, `null`)
	cacheOp(t, p, "c", `{"op":"match","key":"https://x.test/a"}`, `{"status":200,…`)
	go func() { // a body that is on its way while the platform dies
		req, err := http.NewRequest(http.MethodPost, "http://"+strings.TrimPrefix(p.EdgeURL, "http://")+"/", strings.NewReader(`{"op":"stream","key":"https://x.test/half","body":1000000}`))
		if err != nil {
			return
		}
		req.Host = p.host("c")
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	time.Sleep(50 * time.Millisecond)
	p.kill()
	p.up(t)
	for _, key := range []string{"a", "half"} {
		cacheOp(t, p, "c", `{"op":"match","key":"https://x.test/`+key+`"}`, `"undefined"`)
	}
	cacheOp(t, p, "c", `{"op":"put","key":"https://x.test/a","body":"again"}`, `null`)
	cacheOp(t, p, "c", `{"op":"match","key":"https://x.test/a"}`, `{"status":200,…"body":"again"}`)
}

// TestCacheGoesWithItsWorker holds that a Worker finds nothing of an earlier one of
// the same name.
func TestCacheGoesWithItsWorker(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.client(t)
	for range 2 {
		if err := create(t.Context(), c, "c", cacheWorker); err != nil {
			t.Fatal(err)
		}
		cacheOp(t, p, "c", `{"op":"match","key":"https://x.test/a"}`, `"undefined"`)
		cacheOp(t, p, "c", `{"op":"put","key":"https://x.test/a","body":"hello"}`, `null`)
		cacheOp(t, p, "c", `{"op":"match","key":"https://x.test/a"}`, `{"status":200,…`)
		if err := c.DeleteScript(t.Context(), "c", false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFetchCache: the cache options of fetch, seen by how often the origin is asked.
func TestFetchCache(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		for name, values := range r.URL.Query() {
			if name != "status" {
				w.Header()[http.CanonicalHeaderKey(name)] = values
			}
		}
		if s := r.URL.Query().Get("status"); s != "" {
			var status int
			fmt.Sscan(s, &status)
			w.WriteHeader(status)
		}
		fmt.Fprintf(w, "%d %s %s", n, r.Header.Get("Accept-Language"), r.Header.Get("Authorization"))
	}))
	defer origin.Close()
	port := netip.MustParseAddrPort(origin.Listener.Addr().String()).Port()
	p := start(t, "--egress-allow", fmt.Sprintf("127.0.0.1/32:%d", port))
	p.must(t, worker(t, "f", `export default { async fetch(req) {
		const { url, init, purge } = await req.json();
		if (purge) return Response.json(await caches.default.delete(url));
		const r = await fetch(url, init);
		return Response.json([r.status, r.headers.get("cf-cache-status"), await r.text()]);
	} };`), "deploy")
	call := func(path, init string) string {
		t.Helper()
		a := do(t, p.request(t, http.MethodPost, p.host("f"), "/", strings.NewReader(fmt.Sprintf(`{"url":"%s%s","init":%s}`, origin.URL, path, init))))
		if a.Status != 200 {
			t.Fatalf("%s %s: %d %s", path, init, a.Status, a.Body)
		}
		return a.Body
	}
	for _, c := range []struct {
		name, path, init string
		status           string // of the second call
		again            bool   // the origin is asked a second time
	}{
		{"no options", "/plain", `{}`, `null`, true},
		{"no options, cacheable", "/fresh?cache-control=max-age=60", `{}`, `null`, true},
		{"cacheTtl", "/ttl?cache-control=no-store", `{"cf":{"cacheTtl":60}}`, `"HIT"`, false},
		{"cacheTtl 0", "/ttl0?cache-control=max-age=60", `{"cf":{"cacheTtl":0}}`, `null`, true},
		{"cacheEverything", "/every?cache-control=max-age=60", `{"cf":{"cacheEverything":true}}`, `"HIT"`, false},
		{"cacheEverything, no-store", "/no?cache-control=no-store", `{"cf":{"cacheEverything":true}}`, `"BYPASS"`, true},
		{"cacheEverything, cookie", "/cookie?set-cookie=a", `{"cf":{"cacheEverything":true,"cacheTtl":60}}`, `"BYPASS"`, true},
		{"by status", "/404?status=404", `{"cf":{"cacheTtlByStatus":{"200-299":60,"404":60,"400-499":0}}}`, `"HIT"`, false},
		{"by status, not", "/500?status=500&cache-control=max-age=60", `{"cf":{"cacheTtlByStatus":{"200-299":60,"500-599":-1}}}`, `"BYPASS"`, true},
		{"POST", "/post", `{"method":"POST","body":"x","cf":{"cacheTtl":60}}`, `null`, true},
		{"no-store of fetch", "/ttl?cache-control=no-store", `{"cache":"no-store"}`, `null`, true},
		{"revalidate", "/ttl?cache-control=no-store", `{"cache":"no-cache","cf":{"cacheEverything":true}}`, `"BYPASS"`, true},
	} {
		first, before := call(c.path, c.init), asked.Load()
		second := call(c.path, c.init)
		if again := asked.Load() > before; again != c.again || !strings.Contains(second, ","+c.status+",") {
			t.Errorf("%s: first %s, second %s, the origin asked again: %v", c.name, first, second, again)
		}
	}

	// One key for two URLs; the default cache of the Cache API is the same one.
	call("/u1", `{"cf":{"cacheTtl":60,"cacheKey":"k"}}`)
	if got := call("/u2", `{"cf":{"cacheTtl":60,"cacheKey":"k"}}`); !strings.Contains(got, `"HIT"`) {
		t.Errorf("two URLs with one cacheKey: %s", got)
	}
	call("/purged", `{"cf":{"cacheTtl":60}}`)
	purge := do(t, p.request(t, http.MethodPost, p.host("f"), "/", strings.NewReader(fmt.Sprintf(`{"url":"%s/purged","purge":true}`, origin.URL))))
	if got := call("/purged", `{"cf":{"cacheTtl":60}}`); purge.Body != "true" || !strings.Contains(got, `"MISS"`) {
		t.Errorf("after caches.default.delete (%s): %s", purge.Body, got)
	}

	// What selected the answer keeps it apart.
	for _, field := range []string{"accept-language", "authorization"} {
		init := func(v string) string {
			return fmt.Sprintf(`{"cf":{"cacheTtl":60},"headers":{%q:%q}}`, field, v)
		}
		path := "/vary-" + field + "?vary=Accept-Language"
		call(path, init("one"))
		if got := call(path, init("two")); !strings.Contains(got, "two") {
			t.Errorf("%s: the answer for another value: %s", field, got)
		}
		if got := call(path, init("two")); !strings.Contains(got, `"HIT"`) || !strings.Contains(got, "two") {
			t.Errorf("%s: the answer for the same value: %s", field, got)
		}
	}
	if got := call("/vary-range", `{"cf":{"cacheTtl":60},"headers":{"range":"bytes=0-1"}}`); strings.Contains(got, "HIT") {
		t.Errorf("a range of what is not cached: %s", got)
	}
	if got := call("/vary-range", `{"cf":{"cacheTtl":60}}`); !strings.Contains(got, `"MISS"`) {
		t.Errorf("the whole after a range: %s", got)
	}
	if got := call("/vary-range", `{"cf":{"cacheTtl":60},"headers":{"range":"bytes=0-1"}}`); !strings.HasPrefix(got, `[206,"HIT"`) {
		t.Errorf("a range of what is cached: %s", got)
	}
}

// countingWorker says how often it has run, with the fields its query names.
const countingWorker = `let runs = 0;
export default { async fetch(req) {
	const url = new URL(req.url);
	const headers = new Headers(url.searchParams);
	headers.delete("status");
	headers.delete("slow");
	const n = ++runs;
	if (url.searchParams.has("slow")) {
		const { readable, writable } = new TransformStream();
		const w = writable.getWriter();
		w.write(new TextEncoder().encode("begun "));
		if (url.searchParams.get("slow") === "abort") setTimeout(() => w.abort(new Error("broken")), 50);
		else setTimeout(() => { w.write(new TextEncoder().encode("run " + n)); w.close(); }, 50);
		return new Response(readable, { headers });
	}
	return new Response("run " + n + " " + req.method, { headers, status: Number(url.searchParams.get("status") ?? 200) });
} };`

func cachingWorker(t *testing.T, name, cache string) string {
	t.Helper()
	return project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01", "cache": %s}`, name, cache),
		"index.js":       countingWorker,
	})
}

// TestCacheInFront: a Worker with "cache": {"enabled": true} is asked once.
func TestCacheInFront(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, cachingWorker(t, "f", `{"enabled": true}`), "deploy")
	p.must(t, cachingWorker(t, "off", `{"enabled": false}`), "deploy")
	p.must(t, cachingWorker(t, "x", `{"enabled": true, "cross_version_cache": true}`), "deploy")
	fresh := "cache-control=public,max-age%3D60"
	for _, c := range []struct {
		name, host, path   string
		first, second      string // fields of the two requests
		status, again      string // of the first and the second answer
		runs               int    // of the worker for the two
		method2, wantField string
	}{
		{name: "max-age", path: "/a?" + fresh, status: "MISS", again: "HIT", runs: 1, wantField: "Age"},
		{name: "a HEAD", path: "/head?" + fresh, status: "MISS", again: "HIT", runs: 1, method2: "HEAD"},
		{name: "nothing said", path: "/b", status: "BYPASS", again: "BYPASS", runs: 2},
		{name: "no-store", path: "/c?cache-control=no-store", status: "BYPASS", again: "BYPASS", runs: 2},
		{name: "private", path: "/d?cache-control=private,max-age%3D60", status: "BYPASS", again: "BYPASS", runs: 2},
		{name: "cookie", path: "/e?set-cookie=a&" + fresh, status: "BYPASS", again: "BYPASS", runs: 2},
		{name: "404", path: "/g?status=404&" + fresh, status: "MISS", again: "HIT", runs: 1},
		{name: "the CDN's own field", path: "/h?cache-control=no-store&cdn-cache-control=max-age%3D60", status: "MISS", again: "HIT", runs: 1},
		{name: "a POST", path: "/i?" + fresh, status: "MISS", again: "DYNAMIC", runs: 2, method2: "POST"},
		{name: "authorization", path: "/j?" + fresh, second: "Authorization: x", status: "MISS", again: "BYPASS", runs: 2},
		{name: "vary, same", path: "/k?vary=accept&" + fresh, first: "Accept: a", second: "Accept: a", status: "MISS", again: "HIT", runs: 1},
		{name: "vary, other", path: "/l?vary=accept&" + fresh, first: "Accept: a", second: "Accept: b", status: "MISS", again: "MISS", runs: 2},
		{name: "poisoned", path: "/m?" + fresh, second: "X-Forwarded-Host: evil.test", status: "MISS", again: "MISS", runs: 2},
		{name: "encoded", path: "/n?content-encoding=gzip&" + fresh, first: "Accept-Encoding: gzip", second: "Accept-Encoding: br", status: "MISS", again: "MISS", runs: 2},
		{name: "a stream", path: "/o?slow=1&" + fresh, status: "MISS", again: "HIT", runs: 1},
		{name: "forged status", path: "/p?cf-cache-status=HIT", status: "BYPASS", again: "BYPASS", runs: 2},
		{name: "switched off", host: "off", path: "/q?" + fresh, runs: 2},
	} {
		host := p.host("f")
		if c.host != "" {
			host = p.host(c.host)
		}
		ask := func(method, field string) answer {
			if method == "" {
				method = http.MethodGet
			}
			req := p.request(t, method, host, c.path, nil)
			if name, value, ok := strings.Cut(field, ": "); ok {
				req.Header.Set(name, value)
			}
			return do(t, req)
		}
		one, two := ask("", c.first), ask(c.method2, c.second)
		same := one.Body == two.Body || c.method2 == "HEAD" && two.Header.Get("Content-Length") == fmt.Sprint(len(one.Body)) && two.Body == ""
		if got := one.Header.Get("CF-Cache-Status"); got != c.status {
			t.Errorf("%s: the first answer is %q, want %q", c.name, got, c.status)
		}
		if got := two.Header.Get("CF-Cache-Status"); got != c.again || same != (c.runs == 1) {
			t.Errorf("%s: the second answer is %q, want %q; bodies %q and %q", c.name, got, c.again, one.Body, two.Body)
		}
		if c.wantField != "" && two.Header.Get(c.wantField) == "" {
			t.Errorf("%s: no %s in %v", c.name, c.wantField, two.Header)
		}
		if c.runs == 1 && (one.Status != two.Status || two.Header.Get("CF-Ray") == one.Header.Get("CF-Ray")) {
			t.Errorf("%s: status %d and %d, rays %q and %q", c.name, one.Status, two.Status, one.Header.Get("CF-Ray"), two.Header.Get("CF-Ray"))
		}
	}

	// A body that breaks off is not kept.
	for range 2 {
		c := http.Client{Timeout: 10 * time.Second}
		if res, err := c.Do(p.request(t, http.MethodGet, p.host("f"), "/broken?slow=abort&"+fresh, nil)); err == nil {
			if res.Header.Get("CF-Cache-Status") == "HIT" {
				t.Error("a body that broke off is served from the cache")
			}
			res.Body.Close()
		}
	}

	// Conditions and ranges of what is kept.
	p.get(t, p.host("f"), "/r?etag=%22v%22&"+fresh)
	for field, want := range map[string]int{"If-None-Match: \"v\"": 304, "Range: bytes=0-2": 206, "Range: bytes=900-": 416} {
		req := p.request(t, http.MethodGet, p.host("f"), "/r?etag=%22v%22&"+fresh, nil)
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
		if a := do(t, req); a.Status != want || want == 206 && a.Body != "run" {
			t.Errorf("%s: %d %q, want %d", field, a.Status, a.Body, want)
		}
	}

	// A new version begins anew, unless versions share.
	for name, want := range map[string]string{"f": "MISS", "x": "HIT"} {
		path := "/version?" + fresh
		p.get(t, p.host(name), path)
		dir := cachingWorker(t, name, map[string]string{"f": `{"enabled": true}`, "x": `{"enabled": true, "cross_version_cache": true}`}[name])
		rewrite(t, dir, "index.js", countingWorker+"// again")
		p.must(t, dir, "deploy")
		if a := p.get(t, p.host(name), path); a.Header.Get("CF-Cache-Status") != want {
			t.Errorf("%s after a deploy: %q, want %q", name, a.Header.Get("CF-Cache-Status"), want)
		}
	}
}
