package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// d1Worker runs the JavaScript of a request's body with env.DB and answers with
// its value, or with what it threw.
const d1Worker = `import { run } from "./cases.js";
export default { async fetch(r, env) {
	try { return Response.json(await run[new URL(r.url).pathname.slice(1)](env.DB)) } catch (e) { return Response.json({ error: e.message }) }
} }`

const d1Cases = `const strip = (r) => { const { changes, last_row_id, changed_db, rows_read, rows_written } = r.meta; return { ok: r.success, results: r.results, changes, last_row_id, changed_db, rows_read, rows_written } };
export const run = {
	schema: async (db) => (await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB)\nCREATE INDEX t_data ON t (data)")).count,
	insert: async (db) => strip(await db.prepare("INSERT INTO t (name, data) VALUES (?, ?)").bind("one", new Uint8Array([1, 2])).run()),
	all: async (db) => strip(await db.prepare("SELECT * FROM t WHERE id > ?").bind(0).all()),
	first: (db) => db.prepare("SELECT * FROM t").first(),
	firstColumn: (db) => db.prepare("SELECT * FROM t").first("name"),
	raw: (db) => db.prepare("SELECT id, name, id AS name FROM t").raw({ columnNames: true }),
	batch: async (db) => (await db.batch([db.prepare("INSERT INTO t (name) VALUES ('two')"), db.prepare("SELECT count(*) AS n FROM t")])).map((r) => r.results),
	batchFails: (db) => db.batch([db.prepare("INSERT INTO t (name) VALUES ('three')"), db.prepare("INSERT INTO t (name) VALUES ('one')")]),
	count: (db) => db.prepare("SELECT count(*) AS n FROM t").first("n"),
	types: (db) => db.prepare("SELECT typeof(?1) a, typeof(?2) b, typeof(?3) c, typeof(?4) d, ?1 e").bind(1, true, null, new Uint8Array([7]).buffer).first(),
	syntax: (db) => db.prepare("SELEC 1").all(),
	undefinedValue: (db) => db.prepare("SELECT ?").bind(undefined).all(),
	tooMany: (db) => db.prepare("SELECT ?101").bind(...Array(101).fill(1)).all(),
	pragma: (db) => db.prepare("PRAGMA journal_mode").all(),
	open: (db) => db.prepare("SELECT 'abc").all(),
	session: async (db) => { const s = db.withSession("first-primary"); await s.prepare("INSERT INTO t (name) VALUES ('s')").run(); const a = s.getBookmark(); await s.prepare("DELETE FROM t WHERE name = 's'").run(); const b = s.getBookmark(); const again = db.withSession(b); await again.prepare("SELECT 1").run(); return [a < b, again.getBookmark() >= b] },
	badSession: (db) => db.withSession("00000001-00000001-00000001-00000000000000000000000000000000").prepare("SELECT 1").run(),
	fts: async (db) => { await db.batch([db.prepare("CREATE VIRTUAL TABLE docs USING fts5(body)"), db.prepare("INSERT INTO docs VALUES ('the quick brown fox'), ('lazy dog')")]); return db.prepare("SELECT rowid, bm25(docs) < 0 AS ranked FROM docs WHERE docs MATCH ?").bind("fox").first() },
	deleted: (db) => db.prepare("SELECT 1").all(),
};`

func TestD1(t *testing.T) {
	t.Parallel()
	p := start(t)
	home := t.TempDir()
	out := p.must(t, home, "d1", "create", "papers")
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(out)
	if id == "" {
		t.Fatalf("d1 create:\n%s", out)
	}
	dir := project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": "db", "main": "index.js", "compatibility_date": "2026-09-01",
			"d1_databases": [{"binding": "DB", "database_name": "papers", "database_id": %q}]}`, id),
		"index.js": d1Worker, "cases.js": d1Cases,
	})
	p.must(t, dir, "deploy")
	for _, c := range []struct{ name, want string }{
		{"schema", `2`},
		{"insert", `{"ok":true,"results":[],"changes":1,"last_row_id":1,"changed_db":true,"rows_read":0,"rows_written":3}`},
		{"all", `{"ok":true,"results":[{"id":1,"name":"one","data":[1,2]}],"changes":0,"last_row_id":0,"changed_db":false,"rows_read":1,"rows_written":0}`},
		{"first", `{"id":1,"name":"one","data":[1,2]}`},
		{"firstColumn", `"one"`},
		{"raw", `[["id","name","name"],[1,"one",1]]`},
		{"batch", `[[],[{"n":2}]]`},
		{"batchFails", `{"error":"D1_ERROR: UNIQUE constraint failed: t.name: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)"}`},
		{"count", `2`},
		{"types", `{"a":"real","b":"real","c":"null","d":"blob","e":1}`},
		{"syntax", `{"error":"D1_ERROR: near \"SELEC\": syntax error at offset 0: SQLITE_ERROR"}`},
		{"undefinedValue", `{"error":"D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'"}`},
		{"tooMany", `{"error":"D1_ERROR: variable number must be between ?1 and ?100 at offset 7: SQLITE_ERROR"}`},
		{"pragma", `{"error":"D1_ERROR: not authorized: SQLITE_AUTH"}`},
		{"open", `{"error":"D1_ERROR: unrecognized token: \"'abc\" at offset 7: SQLITE_ERROR"}`},
		{"session", `[true,true]`},
		{"fts", `{"rowid":1,"ranked":1}`},
	} {
		if a := p.get(t, p.host("db"), "/"+c.name); a.Body != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
	if a := p.get(t, p.host("db"), "/badSession"); !strings.Contains(a.Body, "is of another database") {
		t.Errorf("a session with the bookmark of another database: %s", a.Body)
	}
	if rows := p.must(t, dir, "d1", "execute", "papers", "--remote", "--json", "--command", "SELECT name FROM t ORDER BY id; SELECT 2 AS b"); !strings.Contains(rows, `"one"`) || !strings.Contains(rows, `"b": 2`) {
		t.Errorf("d1 execute:\n%s", rows)
	}

	dump := filepath.Join(dir, "dump.sql")
	p.must(t, dir, "d1", "execute", "papers", "--remote", "--command", "DROP TABLE docs")
	p.must(t, dir, "d1", "export", "papers", "--remote", "--output", dump)
	p.must(t, dir, "d1", "create", "copy")
	if out := p.must(t, dir, "d1", "execute", "copy", "--remote", "-y", "--file", dump); !strings.Contains(out, "Executed") {
		t.Errorf("d1 execute --file:\n%s", out)
	}
	if rows := p.must(t, dir, "d1", "execute", "copy", "--remote", "--json", "--command", "SELECT name, data FROM t ORDER BY id"); !strings.Contains(rows, `"one"`) || !strings.Contains(rows, `"two"`) {
		t.Errorf("the imported copy:\n%s", rows)
	}
	p.kill()
	p.up(t)
	if a := p.get(t, p.host("db"), "/count"); a.Body != "2" {
		t.Errorf("after kill -9: %s", a.Body)
	}
	p.must(t, dir, "d1", "delete", "papers", "-y")
	if a := p.get(t, p.host("db"), "/deleted"); !strings.Contains(a.Body, "was deleted") {
		t.Errorf("a database that is gone: %s", a.Body)
	}
	if out, err := p.wrangler(t, dir, "deploy"); err == nil || !strings.Contains(out, "D1 database '"+id+"' not found") {
		t.Errorf("a deploy with a database that is gone: %v\n%s", err, out)
	}
}

func TestD1Migrations(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "m", "main": "index.js", "compatibility_date": "2026-09-01", "d1_databases": [{"binding": "DB", "database_name": "m"}]}`,
		"index.js":       `export default { async fetch(r, env) { return Response.json((await env.DB.prepare("SELECT a FROM t").all()).results) } }`,
	})
	p.must(t, dir, "deploy") // makes the database
	var list []struct {
		UUID string `json:"uuid"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal([]byte(p.must(t, dir, "d1", "list", "--json")), &list); err != nil || len(list) != 1 {
		t.Fatalf("d1 list: %v %v", list, err)
	}
	rewrite(t, dir, "wrangler.jsonc", fmt.Sprintf(`{"name": "m", "main": "index.js", "compatibility_date": "2026-09-01",
		"d1_databases": [{"binding": "DB", "database_name": %q, "database_id": %q}]}`, list[0].Name, list[0].UUID))
	for name, sql := range map[string]string{
		"0001_one.sql": "CREATE TABLE t (a);\n-- a comment; with a semicolon\nCREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;",
		"0002_two.sql": "INSERT INTO t VALUES ('x;y');",
		"0003_bad.sql": "INSERT INTO t VALUES ('z'); INSERT INTO nowhere VALUES (1);",
	} {
		if err := os.MkdirAll(filepath.Join(dir, "migrations"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "migrations", name), []byte(sql), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := p.wrangler(t, dir, "d1", "migrations", "apply", list[0].Name, "--remote")
	if err == nil || !strings.Contains(out, "no such table: nowhere") {
		t.Errorf("a migration that fails: %v\n%s", err, out)
	}
	if a := p.get(t, p.host("m"), "/"); a.Body != `[{"a":"x;y"}]` {
		t.Errorf("after the migrations: %s", a.Body)
	}
	if out := p.must(t, dir, "d1", "migrations", "list", list[0].Name, "--remote"); !strings.Contains(out, "0003_bad.sql") || strings.Contains(out, "0002_two.sql") {
		t.Errorf("migrations list:\n%s", out)
	}
}
