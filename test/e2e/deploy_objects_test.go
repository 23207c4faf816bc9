package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOursObjectsAndMigrations(t *testing.T) {
	t.Parallel()
	p := start(t)
	config := func(migrations string) string {
		return `{ "name": "o", "main": "index.ts", "compatibility_date": "2026-11-01",
  "durable_objects": { "bindings": [{ "name": "COUNTER", "class_name": "Counter" }] }, "migrations": [` + migrations + `] }`
	}
	const first = `{ "tag": "v1", "new_sqlite_classes": ["Counter"] }`
	dir := project(t, map[string]string{
		"wrangler.jsonc": config(first),
		"index.ts": `import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject { async add() { const n = (await this.ctx.storage.get<number>("n") ?? 0) + 1; await this.ctx.storage.put("n", n); return n; } }
export default { async fetch(request: Request, env: any) { return new Response("v1 " + await env.COUNTER.getByName("a").add()); } };`,
	})
	p.sameBundle(t, dir)
	p.deployOurs(t, dir)
	if a := p.get(t, p.host("o"), "/"); a.Body != "v1 1" {
		t.Fatalf("GET / = %d %q", a.Status, a.Body)
	}
	source, err := os.ReadFile(filepath.Join(dir, "index.ts"))
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, "index.ts", strings.Replace(string(source), `"v1 "`, `"v2 "`, 1))
	p.deployOurs(t, dir) // with no migration that is new
	if a := p.get(t, p.host("o"), "/"); a.Body != "v2 2" {
		t.Errorf("after a deploy: %d %q", a.Status, a.Body)
	}
	rewrite(t, dir, "wrangler.jsonc", config(first+`, { "tag": "v2", "new_sqlite_classes": ["Other"] }`))
	rewrite(t, dir, "index.ts", string(source)+"\nexport class Other extends DurableObject {}\n")
	if _, stderr, code := p.ours(t, dir, "", "versions", "upload"); code != 1 || !strings.Contains(stderr, `"v2"`) {
		t.Errorf("versions upload with a migration to do: %d %s", code, stderr)
	}
	p.deployOurs(t, dir)
	if a := p.get(t, p.host("o"), "/"); a.Body != "v1 3" {
		t.Errorf("after a migration: %d %q", a.Status, a.Body)
	}
	rewrite(t, dir, "index.ts", "export default { fetch() { return new Response('x') } }")
	if _, stderr, code := p.ours(t, dir, "", "deploy"); code != 1 || !strings.Contains(stderr, "Counter") {
		t.Errorf("a class that is not exported: %d %s", code, stderr)
	}
}
