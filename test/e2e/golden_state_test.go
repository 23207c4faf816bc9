package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

const (
	goldenStateFile   = "testdata/golden-v2/data.tar.gz"
	goldenStateConfig = `{"name": "state", "main": "index.js", "compatibility_date": "2026-09-01",
		"kv_namespaces": [{"binding": "KV"}], "d1_databases": [{"binding": "DB", "database_name": "state-db"}],
		"durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
		"migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
		"workers_dev": true, "triggers": {"crons": ["0 0 29 2 *"]}, "routes": [{"pattern": "golden.test/api/*", "zone_name": "golden.test"}]}`
	// In 2099: no test waits for it.
	goldenStateWorker = `import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
	async fetch(req) {
		const s = this.ctx.storage;
		if (req.method === "POST") {
			await s.put("n", (await s.get("n") ?? 0) + 1);
			await s.setAlarm(new Date("2099-01-01T00:00:00Z"));
		}
		return Response.json([await s.get("n") ?? 0, await s.getAlarm()]);
	}
	async alarm() {}
}
export default {
	async fetch(req, env) {
		if (req.method === "PUT") {
			await env.KV.put("small", "a value", { metadata: { made: "by the first" } });
			await env.KV.put("large", "x".repeat(300_000));
			await env.DB.batch([
				env.DB.prepare("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)"),
				...["one", "two", "three"].map((v) => env.DB.prepare("INSERT INTO t (text) VALUES (?)").bind(v)),
			]);
			for (let i = 0; i < 2; i++) await env.COUNTER.getByName("a").fetch("https://o/", { method: "POST" });
		}
		if (req.method === "POST") {
			await env.DB.prepare("INSERT INTO t (text) VALUES (?)").bind("later").run();
			await env.COUNTER.getByName("a").fetch("https://o/", { method: "POST" });
			await env.KV.delete("small");
		}
		return Response.json({
			small: await env.KV.getWithMetadata("small"), large: (await env.KV.get("large")).length,
			rows: (await env.DB.prepare("SELECT text FROM t ORDER BY id").raw()).flat(),
			counter: await (await env.COUNTER.getByName("a").fetch("https://o/")).json(),
		});
	},
	async scheduled() {},
};`
)

// TestGoldenState opens a data directory with applications' data in it that an
// earlier release made, and goes on with it.
func TestGoldenState(t *testing.T) {
	t.Parallel()
	if *update {
		makeGoldenState(t)
	}
	p := &platform{data: filepath.Join(t.TempDir(), "data")}
	unpack(t, goldenStateFile, p.data)
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	const alarm = "4070908800000"
	if a := p.get(t, "golden.test", "/api/state"); a.Body != `{"small":{"value":"a value","metadata":{"made":"by the first"},"cacheStatus":null},"large":300000,"rows":["one","two","three"],"counter":[2,`+alarm+`]}` {
		t.Errorf("as it was left: %d %s", a.Status, a.Body)
	}
	if a := do(t, p.request(t, http.MethodPost, p.host("state"), "/", nil)); !strings.HasSuffix(a.Body, `"large":300000,"rows":["one","two","three","later"],"counter":[3,`+alarm+`]}`) {
		t.Errorf("after more of it: %d %s", a.Status, a.Body)
	}
	p.stop(t)
	p.up(t)
	if a := p.get(t, p.host("state"), "/"); !strings.Contains(a.Body, `"later"],"counter":[3,`) || strings.Contains(a.Body, "a value") {
		t.Errorf("after a restart: %d %s", a.Status, a.Body)
	}
	if stdout, stderr, code := p.cli(t, "trigger", "cron", "state"); code != 0 {
		t.Errorf("its cron: %d %s%s", code, stdout, stderr)
	}
}

// makeGoldenState makes the data directory that TestGoldenState opens.
func makeGoldenState(t *testing.T) {
	t.Helper()
	p := start(t)
	if _, stderr, code := p.cli(t, "zone", "add", "golden.test"); code != 0 {
		t.Fatal(stderr)
	}
	p.must(t, project(t, map[string]string{"wrangler.jsonc": goldenStateConfig, "index.js": goldenStateWorker}), "deploy")
	if a := do(t, p.request(t, http.MethodPut, p.host("state"), "/", nil)); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	p.stop(t)
	pack(t, p.data, goldenStateFile)
}
