package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var databaseUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// TestPagesBindings deploys a site whose wrangler file names a resource of each kind, uses them from its Functions,
// tries to delete them under it, and reads the settings back.
func TestPagesBindings(t *testing.T) {
	t.Parallel()
	p := start(t)
	workers := project(t, map[string]string{
		"objects.jsonc": `{"name":"objects","main":"objects.js","compatibility_date":"2026-01-01","durable_objects":{"bindings":[{"name":"OWN","class_name":"Counter"}]},"migrations":[{"tag":"v1","new_sqlite_classes":["Counter"]}]}`,
		"objects.js": `import { DurableObject } from "cloudflare:workers"; export class Counter extends DurableObject {
			async add() { const n = 1 + ((await this.ctx.storage.get("n")) ?? 0); await this.ctx.storage.put("n", n); return n } }
			export default { fetch: () => new Response("objects") }`,
		"calc.jsonc": `{"name":"calc","main":"calc.js","compatibility_date":"2026-01-01"}`,
		"calc.js":    `import { WorkerEntrypoint } from "cloudflare:workers"; export default class extends WorkerEntrypoint { fetch(r) { return new Response("calc " + new URL(r.url).pathname) } double(n) { return 2 * n } }`,
	})
	p.must(t, workers, "deploy", "-c", "objects.jsonc")
	p.must(t, workers, "deploy", "-c", "calc.jsonc")
	kv := p.kvNamespace(t, workers, "site-kv")
	db := databaseUUID.FindString(p.must(t, workers, "d1", "create", "site-db"))
	p.must(t, workers, "vectorize", "create", "site-vectors", "--dimensions", "3", "--metric", "cosine")

	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name":"bound","pages_build_output_dir":"./dist","compatibility_date":"2026-01-01","compatibility_flags":["nodejs_compat"],
			"vars":{"GREETING":"hi","LIST":[1,2]},
			"kv_namespaces":[{"binding":"KV","id":"` + kv + `"}],
			"d1_databases":[{"binding":"DB","database_name":"site-db","database_id":"` + db + `"}],
			"vectorize":[{"binding":"VEC","index_name":"site-vectors"}],
			"ai":{"binding":"AI"},
			"durable_objects":{"bindings":[{"name":"COUNTER","class_name":"Counter","script_name":"objects"}]},
			"services":[{"binding":"CALC","service":"calc"}],
			"env":{"preview":{"vars":{"GREETING":"preview"}}}}`,
		"dist/index.html": "home",
		"functions/all.js": `import { Buffer } from "node:buffer"; export const onRequest = async ({ env, request }) => {
			await env.KV.put("k", "v");
			await env.DB.exec("CREATE TABLE IF NOT EXISTS t (n INTEGER)");
			await env.DB.batch([env.DB.prepare("INSERT INTO t VALUES (?)").bind(7)]);
			const row = await env.DB.prepare("SELECT count(*) AS n, max(n) AS m FROM t").first();
			const vec = await env.VEC.insert([{ id: "a" + row.n, values: [1, 0, 0] }]);
			const object = env.COUNTER.get(env.COUNTER.idFromName("one"));
			return Response.json({ greeting: env.GREETING, list: env.LIST, kv: await env.KV.get("k"), rows: row.n, max: row.m, vector: typeof vec.mutationId,
				object: await object.add(), call: await (await env.CALC.fetch("http://calc/path")).text(), rpc: await env.CALC.double(21), models: (await env.AI.models({ search: "bge-small" })).map((m) => m.name), node: Buffer.from("x").toString("hex"), token: env.TOKEN ?? null })
		}`,
		"functions/greet.js": `export const onRequest = ({ env }) => Response.json({ greeting: env.GREETING, kv: env.KV ?? null })`,
	})
	p.must(t, dir, "pages", "project", "create", "bound", "--production-branch", "main")
	p.must(t, dir, "pages", "deploy", "--branch", "main")
	host := p.pagesHost("", "bound")
	want := `{"greeting":"hi","list":[1,2],"kv":"v","rows":1,"max":7,"vector":"string","object":1,"call":"calc /path","rpc":42,"models":["@cf/baai/bge-small-en-v1.5"],"node":"78","token":null}`
	if a := p.get(t, host, "/all"); a.Body != want {
		t.Errorf("GET /all = %d %s, want %s", a.Status, a.Body, want)
	}
	// Secrets, with the name of the project from the file, count from the next deployment on.
	if out, err := p.wranglerIn(t, dir, "s3cret", "pages", "secret", "put", "TOKEN"); err != nil {
		t.Fatalf("secret put: %v\n%s", err, out)
	}
	p.must(t, dir, "pages", "deploy", "--branch", "main")
	if a := p.get(t, host, "/all"); !strings.Contains(a.Body, `"token":"s3cret"`) || !strings.Contains(a.Body, `"object":2`) {
		t.Errorf("with a secret: GET /all = %d %s", a.Status, a.Body)
	}
	p.must(t, dir, "pages", "deploy", "--branch", "side")
	if a := p.get(t, p.pagesHost("side", "bound"), "/greet"); a.Body != `{"greeting":"preview","kv":null}` {
		t.Errorf("the preview: %d %s", a.Status, a.Body)
	}
	p.boundResources(t, kv)
	p.downloadedConfig(t, dir)
	p.objectsByID(t, dir)
}

// boundResources tries to delete what the site uses, and deletes it after the site.
func (p *platform) boundResources(t *testing.T, kv string) {
	t.Helper()
	if a := p.api(t, http.MethodDelete, "/storage/kv/namespaces/"+kv, nil); a.Status != 409 || !strings.Contains(a.Body, "the Functions of bound") {
		t.Errorf("deletion of the namespace: %d %s", a.Status, a.Body)
	}
	for _, name := range []string{"calc", "objects"} {
		if a := p.api(t, http.MethodDelete, "/workers/scripts/"+name, nil); a.Status != 409 || !strings.Contains(a.Body, "Functions of Pages projects refer to the Worker "+name+": bound") {
			t.Errorf("deletion of the worker %s: %d %s", name, a.Status, a.Body)
		}
		if a := p.api(t, http.MethodGet, "/workers/scripts/"+name+"/references", nil); !strings.Contains(a.Body, `"pages_function":true`) {
			t.Errorf("references of %s: %d %s", name, a.Status, a.Body)
		}
	}
}

// downloadedConfig reads the settings back as a wrangler file and deploys with that.
func (p *platform) downloadedConfig(t *testing.T, dir string) {
	t.Helper()
	again := project(t, map[string]string{"dist/index.html": "again"})
	p.must(t, again, "pages", "download", "config", "bound")
	config, err := os.ReadFile(filepath.Join(again, "wrangler.toml"))
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, string(config), `name = "bound"`, `pages_build_output_dir = "dist"`, `GREETING = "hi"`, `GREETING = "preview"`, `binding = "KV"`, `script_name = "objects"`, `class_name = "Counter"`, `service = "calc"`, "nodejs_compat")
	if strings.Contains(string(config), "s3cret") {
		t.Errorf("the configuration has a secret:\n%s", config)
	}
	if err := os.CopyFS(filepath.Join(again, "functions"), os.DirFS(filepath.Join(dir, "functions"))); err != nil {
		t.Fatal(err)
	}
	// What the command leaves out is not there: indexes, and values that are no texts.
	rewrite(t, again, "functions/all.js", `export const onRequest = async ({ env }) => Response.json([env.GREETING, await env.KV.get("k"), await env.CALC.double(4), await env.COUNTER.get(env.COUNTER.idFromName("one")).add(), env.TOKEN])`)
	p.must(t, again, "pages", "deploy", "--branch", "main")
	if a := p.get(t, p.pagesHost("", "bound"), "/all"); a.Body != `["hi","v",8,3,"s3cret"]` {
		t.Errorf("deployed with the downloaded file: %d %s", a.Status, a.Body)
	}
}

// objectsByID binds Durable Objects by the id of their namespace, as the API of projects has it.
func (p *platform) objectsByID(t *testing.T, dir string) {
	t.Helper()
	var list struct {
		Result []struct {
			ID string `json:"id"`
		} `json:"result"`
	}
	a := p.api(t, http.MethodGet, "/workers/durable_objects/namespaces", nil)
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil || len(list.Result) != 1 {
		t.Fatalf("namespaces: %d %s", a.Status, a.Body)
	}
	p.must(t, dir, "pages", "project", "create", "byid", "--production-branch", "main", "--compatibility-date", "2026-01-01")
	p.patchProject(t, "byid", `{"deployment_configs":{"production":{"durable_object_namespaces":{"COUNTER":{"namespace_id":"`+list.Result[0].ID+`"}}}}}`)
	other := project(t, map[string]string{"d/index.html": "x", "functions/n.js": `export const onRequest = async ({ env }) => new Response(String(await env.COUNTER.get(env.COUNTER.idFromName("one")).add()))`})
	p.must(t, other, "pages", "deploy", "d", "--project-name", "byid", "--branch", "main")
	if a := p.get(t, p.pagesHost("", "byid"), "/n"); a.Body != "4" {
		t.Errorf("by the namespace's id: %d %s", a.Status, a.Body)
	}
	p.must(t, other, "pages", "download", "config", "byid")
	config, err := os.ReadFile(filepath.Join(other, "wrangler.toml"))
	if err != nil || !strings.Contains(string(config), `script_name = "objects"`) {
		t.Errorf("downloaded: %v\n%s", err, config)
	}
	p.patchProject(t, "byid", `{"deployment_configs":{"production":{"durable_object_namespaces":{"COUNTER":{"namespace_id":"00000000000000000000000000000000"}}}}}`)
	if err := os.Remove(filepath.Join(other, "wrangler.toml")); err != nil { // whose settings would count
		t.Fatal(err)
	}
	if out, err := p.wrangler(t, other, "pages", "deploy", "d", "--project-name", "byid", "--branch", "main"); err == nil || !strings.Contains(out, "no Durable Object namespace 0000") {
		t.Errorf("a namespace that there is not: %v\n%s", err, out)
	}
}
