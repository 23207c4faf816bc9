package workerd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// TestDefaultExports holds that our entry module changes nothing about what the
// worker's own main module does.
func TestDefaultExports(t *testing.T) {
	tests := map[string]struct {
		source   string
		want     string
		handlers []string
		exports  []string
	}{
		"this is the worker's object": {
			source:   `const app = { n: 1, fetch() { console.log("x"); return new Response(String(this === app && this.n)); } }; export default app;`,
			want:     "1",
			handlers: []string{"fetch"},
		},
		"frozen object": {
			source:   `export default Object.freeze({ fetch() { return new Response("frozen"); } });`,
			want:     "frozen",
			handlers: []string{"fetch"},
		},
		"instance with private fields": {
			source:   `class App { #n = 7; fetch() { return new Response("n" + this.#n); } scheduled() {} } export default new App();`,
			want:     "n7",
			handlers: []string{"fetch", "scheduled"},
		},
		"arrow on an object": {
			source:   `export default { fetch: (req, env, ctx) => new Response(typeof ctx.waitUntil), queue() {}, email() {} };`,
			want:     "function",
			handlers: []string{"fetch", "queue", "email"},
		},
		"entrypoint class": {
			source: `import { WorkerEntrypoint } from "cloudflare:workers";
				export default class Api extends WorkerEntrypoint {
					static s = "s";
					#p = "p";
					fetch(req) { return new Response([this.constructor.name, this.constructor.s, this.#p, typeof this.env, typeof this.ctx.waitUntil, this.helper()].join()); }
					helper() { return "helped"; }
				}`,
			want:     "Api,s,p,object,function,helped",
			handlers: []string{"fetch"},
		},
		"rpc to itself": {
			source: `import { WorkerEntrypoint } from "cloudflare:workers";
				export class Other extends WorkerEntrypoint { add(a, b) { return a + b; } }
				export default class extends WorkerEntrypoint {
					#k = 10;
					mul(a) { return a * this.#k; }
					async fetch() { return new Response([await this.ctx.exports.Other.add(1, 2), await this.ctx.exports.default.mul(4)].join()); }
				}`,
			want:     "3,40",
			handlers: []string{"fetch"},
			exports:  []string{"Other"},
		},
		"async start": {
			source:   `const v = await Promise.resolve("tla"); export default { fetch() { return new Response(v); } };`,
			want:     "tla",
			handlers: []string{"fetch"},
		},
		"no default, listener": {
			source: `addEventListener("fetch", (e) => e.respondWith(new Response("listener")));`,
			want:   "listener",
		},
		"no default, listener, the word": {
			source: `/* default */ addEventListener("fetch", (e) => e.respondWith(new Response("listener")));`,
			want:   "listener",
		},
		"names of ours": {
			source: `export function handle() {} export class user {} export const wrapped = {}, method = {}, started = {};
				export default { fetch() { return new Response("ok"); } };`,
			want:     "ok",
			handlers: []string{"fetch"},
			exports:  []string{"handle", "method", "started", "user", "wrapped"},
		},
		"env import": {
			source:   `import { env } from "cloudflare:workers"; const top = env.T; export default { fetch(r, e) { return new Response(top + env.T + e.T); } };`,
			want:     "ttt",
			handlers: []string{"fetch"},
		},
		"node": {
			source: `import { AsyncLocalStorage } from "node:async_hooks"; import { Buffer } from "node:buffer";
				const als = new AsyncLocalStorage();
				export default { async fetch() { return als.run("mine", async () => { await 1; return new Response(Buffer.from(als.getStore()).toString("hex")); }); } };`,
			want:     "6d696e65",
			handlers: []string{"fetch"},
		},
		"stream": {
			source:   `export default { fetch() { return new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("st")); c.enqueue(new TextEncoder().encode("ream")); c.close(); } })); } };`,
			want:     "stream",
			handlers: []string{"fetch"},
		},
		"cf and url": {
			source:   `export default { fetch(r) { return new Response([r.url, JSON.stringify(r.cf), r.headers.get("cf-ray"), [...r.headers.keys()].filter((k) => k.startsWith("selvage")).length].join(" ")); } };`,
			want:     `https://example.com/ {"colo":"X"} 0123456789abcdef 0`,
			handlers: []string{"fetch"},
		},
		"passed through": {
			source:   `export default { async fetch(r, e, ctx) { ctx.waitUntil(Promise.resolve()); return new Promise((ok) => setTimeout(() => ok(new Response("later")), 1)); } };`,
			want:     "later",
			handlers: []string{"fetch"},
		},
		"thenable": {
			source:   `export default { fetch() { return { then(ok) { ok(new Response("then")); } }; } };`,
			want:     "then",
			handlers: []string{"fetch"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := esm(tt.source)
			w.Bindings = []workerd.Binding{{Name: "T", Kind: workerd.TextBinding, Text: "t"}}
			p := start(t, w, nil)
			expect(t, p, "/", tt.want, "cf-ray: 0123456789abcdef", `selvage-cf: {"colo":"X"}`, "selvage-proto: https")
			if !slices.Equal(p.Handlers(), tt.handlers) {
				t.Errorf("handlers %q, want %q", p.Handlers(), tt.handlers)
			}
			if !slices.Equal(p.Exports(), tt.exports) {
				t.Errorf("exports %q, want %q", p.Exports(), tt.exports)
			}
		})
	}
}

// TestModuleNames holds that the entry module finds the main module whatever its
// name, and has a name of its own.
func TestModuleNames(t *testing.T) {
	const source = `import x from "./selvage-entry.js"; export default { fetch() { return new Response(x); } };`
	for _, name := range []string{
		"index.js", "./index.js", "worker.mjs", "selvage-entry-1.js", `we"ird'.js`, "a b.js", "ü€😀.js", "@@MAIN@@", "no-extension", "${x}.js", "a\\b.js",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := esm(source)
			w.Modules[0].Name = name
			w.Modules = append(w.Modules, workerd.Module{Name: "selvage-entry.js", Kind: workerd.ESModule, Body: []byte(`export default "theirs";`)})
			expect(t, start(t, w, nil), "/", "theirs")
		})
	}
	t.Run("in a folder", func(t *testing.T) {
		w := esm(strings.ReplaceAll(source, "./", "../"))
		w.Modules[0].Name = "src/index.js"
		w.Modules = append(w.Modules, workerd.Module{Name: "selvage-entry.js", Kind: workerd.ESModule, Body: []byte(`export default "theirs";`)})
		expect(t, start(t, w, nil), "/", "theirs")
	})
}
