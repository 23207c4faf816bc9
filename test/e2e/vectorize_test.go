package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vectorWorker runs a case with env.V and answers with its value, or with what it threw.
const vectorWorker = `import { run } from "./cases.js";
export default { async fetch(r, env) {
	try { return Response.json(await run[new URL(r.url).pathname.slice(1)](env.V, env)) } catch (e) { return Response.json({ error: e.message }) }
} }`

const vectorCases = `const brief = (r) => r.matches.map((m) => [m.id, Math.round(m.score * 1e4) / 1e4]);
const done = (m) => typeof m.mutationId === "string" && m.mutationId.length === 36;
export const run = {
	describeEmpty: (v) => v.describe(),
	insert: async (v) => done(await v.insert([{ id: "a", values: [1, 0, 0], metadata: { kind: "x", n: 1 } }, { id: "b", values: new Float32Array([0, 1, 0]), namespace: "n", metadata: { kind: "y", deep: { k: true } } }])),
	insertAgain: async (v) => { await v.insert([{ id: "a", values: [0, 0, 1] }]); return (await v.getByIds(["a"]))[0].values },
	upsert: async (v) => { await v.upsert([{ id: "c", values: [0, 0, 2] }]); return v.getByIds(["c", "nobody"]) },
	query: async (v) => brief(await v.query([1, 0.5, 0], { topK: 2 })),
	all: (v) => v.query([0, 1, 0], { topK: 1, returnValues: true, returnMetadata: "all" }),
	indexed: async (v) => (await v.query([1, 0, 0], { topK: 1, returnMetadata: "indexed" })).matches[0].metadata,
	byId: async (v) => brief(await v.queryById("a", { topK: 1 })),
	namespace: async (v) => brief(await v.query([1, 0, 0], { namespace: "n" })),
	option: async (v) => { await v.upsert([{ id: "d", values: [1, 1, 1] }, { id: "e", values: [1, 1, 0], namespace: "own" }], { namespace: "ns" }); return (await v.getByIds(["d", "e"])).map((x) => x.namespace) },
	filterOld: async (v) => brief(await v.query([1, 0, 0], { filter: { kind: "x" } })),
	filterNew: async (v) => { await v.upsert([{ id: "f", values: [1, 0, 0], metadata: { kind: "x", deep: { k: true } } }, { id: "g", values: [0, 1, 0], metadata: { kind: "z" } }]); return brief(await v.query([1, 0, 0], { filter: { kind: { $in: ["x", "z"] }, "deep.k": { $ne: true } } })) },
	noIndex: (v) => v.query([1, 0, 0], { filter: { nothing: 1 } }),
	operator: (v) => v.query([1, 0, 0], { filter: { kind: { $regex: "x" } } }),
	dimension: (v) => v.query([1, 0]),
	badInsert: (v) => v.insert([{ id: "z1", values: [1, 2, 3] }, { id: "z2", values: [1, 2] }]),
	longId: (v) => v.upsert([{ id: "x".repeat(65), values: [1, 2, 3] }]),
	nan: (v) => v.upsert([{ id: "z", values: [1, NaN, 3] }]),
	zero: (v) => v.upsert([{ id: "z", values: [0, 0, 0] }]),
	topK: (v) => v.query([1, 0, 0], { topK: 51, returnValues: true }),
	topK101: (v) => v.query([1, 0, 0], { topK: 101 }),
	tooMany: (v) => v.upsert(Array.from({ length: 1001 }, (_, i) => ({ id: "m" + i, values: [1, 2, 3] }))),
	nothingByHalves: async (v) => (await v.getByIds(["z1", "z2", "z", "m0"])).length,
	remove: async (v) => { const m = await v.deleteByIds(["c", "nobody"]); const d = await v.describe(); return [done(m), d.processedUpToMutation === m.mutationId, d.vectorCount] },
	first: async (v, env) => { const i = await env.OLD.insert([{ id: "1", values: [3, 4] }]); const q = await env.OLD.query([0, 0], { topK: 1, returnMetadata: true }); return [i, brief(q), (await env.OLD.describe()).config, await env.OLD.deleteByIds(["1"])] },
	gone: (v) => v.describe(),
};`

func TestVectorizeBinding(t *testing.T) {
	t.Parallel()
	p := start(t)
	home := t.TempDir()
	p.must(t, home, "vectorize", "create", "docs", "--dimensions", "3", "--metric", "cosine")
	p.must(t, home, "vectorize", "create", "old", "--dimensions", "2", "--metric", "euclidean", "--deprecated-v1")
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "vec", "main": "index.js", "compatibility_date": "2026-09-01",
			"vectorize": [{"binding": "V", "index_name": "docs"}, {"binding": "OLD", "index_name": "old"}]}`,
		"index.js": vectorWorker, "cases.js": vectorCases,
	})
	p.must(t, dir, "deploy")
	for _, c := range []struct{ name, want string }{
		{"describeEmpty", `{"dimensions":3,"vectorCount":0,"processedUpToDatetime":null,"processedUpToMutation":null}`},
		{"insert", `true`},
		{"insertAgain", `[1,0,0]`},
		{"upsert", `[{"id":"c","values":[0,0,2]}]`},
		{"query", `[["a",0.8944],["b",0.4472]]`},
		{"all", `{"count":1,"matches":[{"id":"b","namespace":"n","values":[0,1,0],"metadata":{"kind":"y","deep":{"k":true}},"score":1}]}`},
		{"byId", `[["a",1]]`},
		{"namespace", `[["b",0]]`},
		{"option", `["ns","own"]`},
	} {
		if a := p.get(t, p.host("vec"), "/"+c.name); a.Body != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
	p.deployOurs(t, dir) // without Node.js
	if a := p.get(t, p.host("vec"), "/byId"); a.Body != `[["a",1]]` {
		t.Errorf("deployed by selvage: %s", a.Body)
	}
	p.must(t, home, "vectorize", "create-metadata-index", "docs", "--property-name", "kind", "--type", "string")
	p.must(t, home, "vectorize", "create-metadata-index", "docs", "--property-name", "deep.k", "--type", "boolean")
	const parse = `failed to parse upsert vectors request in json format: `
	for _, c := range []struct{ name, want string }{
		{"filterOld", `[]`}, // it was there before the metadata index
		{"filterNew", `[["g",0]]`},
		{"indexed", ``},
		{"noIndex", `{"error":"VECTOR_QUERY_ERROR (code = 40016): invalid filter: there is no metadata index on \"nothing\"; create one with \"vectorize create-metadata-index\""}`},
		{"operator", `{"error":"VECTOR_QUERY_ERROR (code = 40015): invalid filter: \"kind\" has the unknown operator \"$regex\"; there are $eq, $ne, $in, $nin, $lt, $lte, $gt and $gte"}`},
		{"dimension", `{"error":"VECTOR_QUERY_ERROR (code = 40006): invalid query vector, expected 3 dimensions, and got 2 dimensions"}`},
		{"badInsert", `{"error":"VECTOR_INSERT_ERROR (code = 40012): invalid vector for id=\"z2\", expected 3 dimensions, and got 2 dimensions (line 2)"}`},
		{"longId", `{"error":"VECTOR_UPSERT_ERROR (code = 40008): id too long; max is 64 bytes, got 65 bytes"}`},
		{"nan", `{"error":"VECTOR_UPSERT_ERROR (code = 40023): ` + parse + `line 1: \"values\": value 1 is not a number"}`},
		{"zero", `{"error":"VECTOR_UPSERT_ERROR (code = 40012): invalid vector for id=\"z\", it has length zero, so it has no direction to compare"}`},
		{"topK", `{"error":"VECTOR_QUERY_ERROR (code = 40025): with returnValues=true or returnMetadata=all, max top K is 50, but got 51; for a top K up to 100, retry with returnValues=false and returnMetadata=indexed"}`},
		{"topK101", `{"error":"VECTOR_QUERY_ERROR (code = 40025): max top K is 100, but got 101"}`},
		{"tooMany", `{"error":"VECTOR_UPSERT_ERROR (code = 40007): too many vectors in payload; max is 1000"}`},
		{"nothingByHalves", `0`},
		{"remove", `[true,true,6]`},
		{"first", `[{"count":1,"ids":["1"]},[["1",5]],{"dimensions":2,"metric":"euclidean"},{"count":1,"ids":["1"]}]`},
	} {
		if a := p.get(t, p.host("vec"), "/"+c.name); a.Body != c.want && (c.want != "" || a.Status != 200) {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
	p.must(t, home, "vectorize", "delete", "docs", "-y")
	want := `{"error":"INDEX_GET_ERROR (code = 3005): vectorize.index.deleted - Index name \"docs\" was deleted"}`
	if a := p.get(t, p.host("vec"), "/gone"); a.Body != want {
		t.Errorf("after the index was deleted: %s\nwant %s", a.Body, want)
	}
}

// TestVectorizeCommands runs every command of wrangler.
func TestVectorizeCommands(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := t.TempDir()
	run := func(args ...string) string { return p.must(t, dir, append([]string{"vectorize"}, args...)...) }
	run("create", "idx", "--dimensions", "3", "--metric", "dot-product", "--description", "of tests")
	run("create", "preset", "--preset", "@cf/baai/bge-base-en-v1.5")
	if out, err := p.wranglerIn(t, dir, "", "vectorize", "create", "idx", "--dimensions", "3", "--metric", "cosine"); err == nil || !strings.Contains(out, "vectorize.index.duplicate_name") {
		t.Errorf("a second index of the name: %v\n%s", err, out)
	}
	var list []struct {
		Name   string
		Config struct{ Dimensions int }
	}
	decodeTail(t, run("list", "--json"), &list)
	if len(list) != 2 || list[0].Name != "idx" || list[1].Config.Dimensions != 768 {
		t.Errorf("list: %+v", list)
	}
	if out := run("get", "idx"); !strings.Contains(out, "dot-product") || !strings.Contains(out, "of tests") {
		t.Errorf("get:\n%s", out)
	}
	run("create-metadata-index", "idx", "--property-name", "k", "--type", "string")
	if out := run("list-metadata-index", "idx"); !strings.Contains(out, "k") || !strings.Contains(out, "string") {
		t.Errorf("list-metadata-index:\n%s", out)
	}
	file := filepath.Join(dir, "v.ndjson")
	lines := `{"id":"1","values":[1,2,3],"metadata":{"k":"v"}}` + "\n" + `{"id":"2","values":[3,2,1],"namespace":"n","metadata":{"k":"v"}}` + "\n"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	run("insert", "idx", "--file", file)
	run("upsert", "idx", "--file", file)
	if out := run("info", "idx"); !strings.Contains(out, "2") {
		t.Errorf("info:\n%s", out)
	}
	var found struct {
		Count   int
		Matches []struct {
			ID    string
			Score float64
		}
	}
	decodeTail(t, run("query", "idx", "--vector", "1", "2", "3", "--top-k", "2", "--return-values", "--return-metadata", "all"), &found)
	if found.Count != 2 || found.Matches[0].ID != "1" || found.Matches[0].Score != -14 {
		t.Errorf("query: %+v", found)
	}
	decodeTail(t, run("query", "idx", "--vector-id", "1", "--namespace", "n", "--filter", `{"k":"v"}`), &found)
	if found.Count != 1 || found.Matches[0].ID != "2" {
		t.Errorf("query by id in a namespace: %+v", found)
	}
	if out := run("get-vectors", "idx", "--ids", "1", "2"); !strings.Contains(out, `"namespace": "n"`) {
		t.Errorf("get-vectors:\n%s", out)
	}
	var page struct {
		NextCursor string
		Vectors    []struct{ ID string }
	}
	decodeTail(t, run("list-vectors", "idx", "--count", "1", "--json"), &page)
	decodeTail(t, run("list-vectors", "idx", "--count", "1", "--cursor", page.NextCursor, "--json"), &page)
	if len(page.Vectors) != 1 || page.Vectors[0].ID != "2" {
		t.Errorf("the second page: %+v", page)
	}
	run("delete-vectors", "idx", "--ids", "1")
	run("delete-metadata-index", "idx", "--property-name", "k")
	run("delete", "idx", "-y")
	if out, err := p.wranglerIn(t, dir, "", "vectorize", "query", "idx", "--vector", "1", "2", "3"); err == nil || !strings.Contains(out, "vectorize.index.deleted") || !strings.Contains(out, "3005") {
		t.Errorf("query of a deleted index: %v\n%s", err, out)
	}
	if out, err := p.wranglerIn(t, dir, "", "vectorize", "get", "nothing"); err == nil || !strings.Contains(out, `vectorize.index.not_found - Index name "nothing"`) {
		t.Errorf("get of no index: %v\n%s", err, out)
	}
	// The first API, which wrangler calls deprecated.
	run("create", "v1", "--dimensions", "3", "--metric", "cosine", "--deprecated-v1")
	run("insert", "v1", "--file", file, "--deprecated-v1")
	run("get", "v1", "--deprecated-v1")
	run("list", "--deprecated-v1")
	run("delete", "v1", "-y", "--deprecated-v1")
}

// decodeTail reads the JSON value that out ends with.
func decodeTail(t *testing.T, out string, v any) {
	t.Helper()
	for i := range out {
		if out[i] != '{' && out[i] != '[' {
			continue
		}
		if json.Unmarshal([]byte(strings.TrimSpace(out[i:])), v) == nil {
			return
		}
	}
	t.Fatalf("no JSON at the end of:\n%s", fmt.Sprint(out))
}
