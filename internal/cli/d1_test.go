package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestD1(t *testing.T) {
	p := start(t, t.TempDir())
	dir := t.TempDir()
	d1 := func(args ...string) result {
		t.Helper()
		return runWith(t, nil, "", append(append([]string{"d1"}, args...), "--data", p.data)...)
	}
	must := func(args ...string) string {
		t.Helper()
		r := d1(args...)
		if r.code != 0 {
			t.Fatalf("d1 %v: %d %s", args, r.code, r.stderr)
		}
		return r.stdout
	}
	if err := os.Mkdir(filepath.Join(dir, "m"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{
		"m/0001_a.sql": "CREATE TABLE t (a TEXT, n INTEGER); -- the first",
		"m/0002_b.sql": "INSERT INTO t VALUES ('x;y', 1), ('tab\there', NULL)",
		"bad.sql":      "INSERT INTO t VALUES ('z', 1);\nINSERT INTO nowhere VALUES (1);",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(sql), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id := strings.TrimSpace(must("create", "papers"))
	if !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(id) {
		t.Fatalf("create printed %q", id)
	}
	oneLine(t, d1("create", "papers"), 1, "already exists", "7502")
	if out := must("migrate", "papers", "--dir", filepath.Join(dir, "m"), "--dry-run"); out != "would apply 0001_a.sql\nwould apply 0002_b.sql\n" {
		t.Errorf("migrate --dry-run: %q", out)
	}
	if out := must("migrate", "papers", "--dir", filepath.Join(dir, "m")); out != "applied 0001_a.sql\napplied 0002_b.sql\n" {
		t.Errorf("migrate: %q", out)
	}
	if out := must("migrate", id, "--dir", filepath.Join(dir, "m")); out != "" {
		t.Errorf("migrate again: %q", out)
	}
	if out := must("execute", "papers", "SELECT n, a FROM t ORDER BY n DESC"); !strings.HasPrefix(out, "n     a\n1     x;y\nnull  ") {
		t.Errorf("execute: %q", out)
	}
	if out := must("execute", "papers", "SELECT count(*) AS c FROM t", "--json"); !strings.Contains(out, `"results":[{"c":2}]`) {
		t.Errorf("execute --json: %s", out)
	}
	oneLine(t, d1("execute", "papers", "SELECT * FROM nowhere"), 1, "no such table: nowhere", "7500")
	oneLine(t, d1("execute", "nobody", "SELECT 1"), 1, "could not be found", "7404")

	dump := filepath.Join(dir, "dump.sql")
	must("export", "papers", "--output", dump)
	must("create", "copy")
	if out := must("import", "copy", dump); !strings.HasPrefix(out, "imported ") {
		t.Errorf("import: %s", out)
	}
	if a, b := must("export", "papers"), must("export", "copy"); a != b || !strings.Contains(a, "'x;y'") {
		t.Errorf("the copy differs:\n%s\n%s", a, b)
	}
	oneLine(t, d1("import", "copy", filepath.Join(dir, "bad.sql")), 1, "Statement 2 failed: no such table: nowhere")
	oneLine(t, d1("import", "copy", filepath.Join(dir, "none.sql")), 1, "none.sql")
	oneLine(t, d1("export", "copy", "--table", "nowhere"), 1, `no table "nowhere"`)
	if out := must("insights", "papers", "--sort-by", "count", "--limit", "20"); !strings.Contains(out, "SELECT n, a FROM t ORDER BY n DESC") || !strings.Contains(out, `with CREATE INDEX "t_by_n" ON "t" ("n")`) || !strings.Contains(out, "SCAN t  <- all rows") {
		t.Errorf("insights: %s", out)
	}
	if out := must("insights", "papers", "--json"); !strings.Contains(out, `"full_scan":true`) {
		t.Errorf("insights --json: %s", out)
	}
	oneLine(t, d1("insights", "papers", "--time-period", "40d"), 1, "up to 31 days")
	oneLine(t, d1("insights", "papers", "--sort-by", "luck"), 1, "sort_by must be")
	if out := must("info", "papers"); !regexp.MustCompile(`write queries in 24 h +[1-9]`).MatchString(out) {
		t.Errorf("info: %s", out)
	}
	if out := must("info", "copy"); !strings.Contains(out, "tables") || !strings.Contains(out, "full") {
		t.Errorf("info: %s", out)
	}
	if out := must("list"); !strings.Contains(out, id) || !strings.Contains(out, "copy") {
		t.Errorf("list: %s", out)
	}
	if out := must("delete", "copy", "--dry-run"); !strings.Contains(out, "nothing was deleted") {
		t.Errorf("delete --dry-run: %s", out)
	}
	must("delete", "copy", "--yes")
	oneLine(t, d1("info", "copy"), 1, "could not be found")
}
