package e2e

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// smallWasm exports add(i32, i32).
const smallWasm = "AGFzbQEAAAABBwFgAn9/AX8DAgEABwcBA2FkZAAACgkBBwAgACABags="

// advancedSite is a _worker.js folder with modules of several kinds, which falls back to files where it throws.
func advancedSite() map[string]string {
	return map[string]string{
		"out/index.html": "home", "out/pass.html": "passed", "out/static/a.txt": "a",
		"out/_worker.js/index.js": `import { WorkerEntrypoint } from "cloudflare:workers"; import { name } from "./parts/name.js"; import add from "./add.wasm"; import words from "./words.txt";
			export default class extends WorkerEntrypoint {
				async fetch(request) {
					const { env, ctx } = this; const u = new URL(request.url);
					switch (u.pathname) {
					case "/name": return new Response(name);
					case "/lazy": return new Response((await import("./parts/" + (u.searchParams.get("m") ?? "lazy") + ".mjs")).default);
					case "/wasm": return new Response(String((await WebAssembly.instantiate(add)).exports.add(40, 2)));
					case "/words": return new Response(words);
					case "/pass": ctx.passThroughOnException(); if (request.method === "POST") await request.text(); throw new Error("deliberate");
					case "/unread": ctx.passThroughOnException(); throw new Error("deliberate");
					case "/echo": return new Response(request.body, { headers: { "x-length": request.headers.get("content-length") } });
					case "/version": return Response.json([typeof env.META?.id, env.META?.id?.length, env.ENV]);
					case "/stream": { const { readable, writable } = new TransformStream(); const w = writable.getWriter(); ctx.waitUntil((async () => { for (const c of "abc") await w.write(new TextEncoder().encode(c)); await w.close() })()); return new Response(readable) }
					case "/socket": { const [client, server] = Object.values(new WebSocketPair()); server.accept(); server.addEventListener("message", (e) => server.send("back " + e.data)); return new Response(null, { status: 101, webSocket: client }) }
					}
					return env.ASSETS.fetch(request);
				} }`,
		"out/_worker.js/parts/name.js":  `export const name = "a part"`,
		"out/_worker.js/parts/lazy.mjs": `export default "imported late"`,
		"out/_worker.js/words.txt":      "some words",
	}
}

// TestPagesAdvancedFolder deploys a _worker.js folder by wrangler and by selvage; both do the same.
func TestPagesAdvancedFolder(t *testing.T) {
	t.Parallel()
	p := start(t)
	wasm, err := base64.StdEncoding.DecodeString(smallWasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"theirs", "ours"} {
		files := advancedSite()
		files["wrangler.json"] = `{"name":"` + name + `","pages_build_output_dir":"out","compatibility_date":"2026-01-01","version_metadata":{"binding":"META"},"vars":{"ENV":"prod"},"env":{"preview":{"vars":{"ENV":"pre"}}}}`
		dir := project(t, files)
		if err := os.WriteFile(filepath.Join(dir, "out/_worker.js/add.wasm"), wasm, 0o600); err != nil {
			t.Fatal(err)
		}
		deploy := func(branch string) {
			t.Helper()
			if name == "ours" {
				if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", "--create", "--branch", branch); code != 0 {
					t.Fatal(stderr)
				}
				return
			}
			p.must(t, dir, "pages", "deploy", "--branch", branch)
		}
		if name == "theirs" {
			p.must(t, dir, "pages", "project", "create", "theirs", "--production-branch", "main")
		}
		deploy("main")
		host := p.pagesHost("", name)
		for path, want := range map[string]string{
			"/": "home", "/name": "a part", "/lazy": "imported late", "/wasm": "42", "/words": "some words", "/pass": "passed", "/stream": "abc",
			"/version": `["string",36,"prod"]`, "/static/a.txt": "a", "/_worker.js/words.txt": "home",
		} {
			if a := p.get(t, host, path); a.Status != 200 || a.Body != want {
				t.Errorf("%s: GET %s = %d %q, want %q", name, path, a.Status, a.Body, want)
			}
		}
		large := strings.Repeat("0123456789", 200_000)
		if a := do(t, p.request(t, http.MethodPost, host, "/echo", strings.NewReader(large))); a.Body != large {
			t.Errorf("%s: %d bytes of %d came back: %d", name, len(a.Body), len(large), a.Status)
		}
		for _, path := range []string{"/pass", "/unread"} { // no file takes a POST
			if a := do(t, p.request(t, http.MethodPost, host, path, strings.NewReader("body"))); a.Status != 405 {
				t.Errorf("%s: POST %s = %d %q", name, path, a.Status, a.Body)
			}
		}
		if a := p.get(t, host, "/unread"); a.Status != 200 || a.Body != "home" {
			t.Errorf("%s: GET /unread = %d %q", name, a.Status, a.Body)
		}
		p.siteSocket(t, host)
		// Secrets of the two environments are two.
		for env, secret := range map[string]string{"production": "of production", "preview": "of the preview"} {
			if out, err := p.wranglerIn(t, dir, secret, "pages", "secret", "put", "ENV2", "--env", env); err != nil {
				t.Fatalf("secret put: %v\n%s", err, out)
			}
		}
		rewrite(t, dir, "out/_worker.js/parts/name.js", `import { env } from "cloudflare:workers"; export const name = env.ENV2`)
		deploy("main")
		deploy("side")
		for label, want := range map[string]string{"": "of production", "side": "of the preview"} {
			if a := p.get(t, p.pagesHost(label, name), "/name"); a.Body != want {
				t.Errorf("%s: the secret at %q is %q, want %q", name, label, a.Body, want)
			}
		}
		if a := p.get(t, p.pagesHost("side", name), "/version"); !strings.Contains(a.Body, `"pre"`) {
			t.Errorf("%s: the preview's variable: %q", name, a.Body)
		}
	}
}

// siteSocket says something over a WebSocket that a site's code answers.
func (p *platform) siteSocket(t *testing.T, host string) {
	t.Helper()
	s, err := p.connect(t, host, "/socket")
	if err != nil {
		t.Errorf("%s: %v", host, err)
		return
	}
	defer s.conn.Close()
	if err := s.send(1, "hello"); err != nil {
		t.Error(err)
	}
	if _, text, err := s.read(); err != nil || text != "back hello" {
		t.Errorf("%s: %q %v", host, text, err)
	}
}
