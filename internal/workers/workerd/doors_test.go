package workerd_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// door serves a socket in a worker's private folder.
func door(t *testing.T, dir, name string, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
}

// TestBindingCallsCarryTheRay runs the runtime's own D1 module against a backend
// here: each of many interleaved calls must name the request that made it.
func TestBindingCallsCarryTheRay(t *testing.T) {
	dir := shortDir(t)
	var mu sync.Mutex
	got := make(map[string]string) // ray by request
	door(t, dir, "d1.sock", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Params []string `json:"params"`
		}
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &q); err != nil || len(q.Params) != 1 {
			t.Errorf("body %q: %v", body, err)
			return
		}
		mu.Lock()
		got[q.Params[0]] = r.Header.Get(workerd.HeaderBindingRay)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true,"meta":{},"results":{"columns":["x"],"rows":[["`+q.Params[0]+`"]]}}`)
	})
	w := esm(`export default { async fetch(req, env) {
		const id = new URL(req.url).pathname.slice(1);
		await new Promise((r) => setTimeout(r, Math.random() * 30));
		const { results } = await env.DB.prepare("select ?").bind(id).all();
		return new Response(results[0].x);
	} };`)
	w.Bindings = []workerd.Binding{{Name: "DB", Kind: workerd.WrappedBinding, Wrapped: &workerd.Wrapped{
		Module: "cloudflare-internal:d1-api",
		Inner:  []workerd.Binding{{Name: "fetcher", Kind: workerd.FetcherBinding, Socket: "d1.sock", TagRay: true}},
	}}}
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, w, nil)
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
	// Without a ray there is no header.
	expect(t, p, "/none", "none")
	// The handlers have returned, but only the runtime in between says so.
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		if got[itoa(i)] != ray(i) {
			t.Errorf("call of request %d has ray %q", i, got[itoa(i)])
		}
	}
	if r, ok := got["none"]; !ok || r != "" {
		t.Errorf("call without a ray has %q", r)
	}
}

const fetcher = `export default { async fetch(req, env) {
	try {
		const r = await (env.ASSETS ?? globalThis).fetch(req.headers.get("x-url"), { cf: { a: 1 } });
		return new Response(await r.text());
	} catch (e) { return new Response("refused: " + e.message); }
} };`

func TestOutbound(t *testing.T) {
	dir := shortDir(t)
	echo := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Join([]string{name, r.Header.Get(workerd.HeaderProto), r.Host, r.URL.Path, r.Header.Get(workerd.HeaderCF)}, " "))
		}
	}
	door(t, dir, workerd.EgressSocket, echo("egress"))
	door(t, dir, workerd.AssetsSocket, echo("assets"))
	w := esm(fetcher)
	w.Egress = true
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, w, nil)
	expect(t, p, "/", `egress https api.example /a {"a":1}`, "x-url: https://api.example/a")
	expect(t, p, "/", `egress http 127.0.0.1:8787 / {"a":1}`, "x-url: http://127.0.0.1:8787/")

	dir2 := shortDir(t)
	door(t, dir2, workerd.AssetsSocket, echo("assets"))
	w = esm(fetcher)
	w.Assets = "ASSETS"
	p = startIn(t, &workerd.Launcher{Binary: binary(t)}, dir2, w, nil)
	expect(t, p, "/", `assets https x /logo.png {"a":1}`, "x-url: https://x/logo.png")
}

// TestNoOutbound holds that a worker without egress reaches nothing: no address
// of this machine, no socket in its folder.
func TestNoOutbound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reached := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(reached)
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	w := esm(`import { connect } from "cloudflare:sockets";
	export default { async fetch(req) {
		const out = [];
		try { await fetch("http://" + req.headers.get("x-addr")); out.push("fetched"); } catch { out.push("no"); }
		try { const s = connect(req.headers.get("x-addr")); await s.opened; out.push("connected"); } catch { out.push("no"); }
		return new Response(out.join());
	} };`)
	p := start(t, w, nil)
	expect(t, p, "/", "no,no", "x-addr: "+l.Addr().String())
	_ = l.Close()
	for range reached {
		t.Error("the worker reached a port of this machine")
	}
}
