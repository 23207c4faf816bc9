package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestD1Backup copies a database into a folder and makes it again from there.
func TestD1Backup(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := t.TempDir()
	folder := filepath.Join(dir, "backup")
	ok := func(args ...string) string { t.Helper(); return p.ok(t, dir, "", args...) }
	fails := func(says string, args ...string) {
		t.Helper()
		_, stderr, code := p.ours(t, dir, "", args...)
		if code == 0 || !strings.Contains(stderr, says) {
			t.Errorf("%v: %d\n%s", args, code, stderr)
		}
	}
	count := func(db, want string) {
		t.Helper()
		if out := ok("d1", "execute", db, "SELECT count(*) AS n, sum(length(pad)) AS l FROM t", "--json"); !strings.Contains(strings.Join(strings.Fields(out), ""), want) {
			t.Errorf("%s: %s, want %s", db, out, want)
		}
	}
	ok("d1", "create", "papers")
	ok("d1", "execute", "papers", "CREATE TABLE t (id INTEGER PRIMARY KEY, pad TEXT); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 9000) INSERT INTO t (pad) SELECT hex(zeroblob(500)) FROM c")
	ok("d1", "backup", "papers", folder)
	ok("d1", "execute", "papers", "DELETE FROM t WHERE id > 10")
	again := ok("d1", "backup", "papers", folder)
	if !strings.Contains(again, "0.0 MB of them new") && !strings.Contains(again, "0.1 MB of them new") {
		t.Errorf("the second backup copied more than what was new: %s", again)
	}
	ok("d1", "restore", folder, "copy")
	count("copy", `"n":10,"l":10000`)
	ok("d1", "execute", "papers", "DROP TABLE t")
	if out := ok("d1", "restore", folder, "--dry-run"); !strings.Contains(out, "would replace the database papers") {
		t.Errorf("--dry-run: %s", out)
	}
	fails("no such table", "d1", "execute", "papers", "SELECT 1 FROM t")
	fails("nothing was changed", "d1", "restore", folder)
	undo := ok("d1", "restore", folder, "--yes")
	count("papers", `"n":10,"l":10000`)
	line := strings.Fields(undo[strings.Index(undo, "selvage d1 time-travel"):])
	ok(append(line[1:], "--yes")...)
	fails("no such table", "d1", "execute", "papers", "SELECT 1 FROM t")

	ok("d1", "create", "other")
	fails("has a backup of the database", "d1", "backup", "other", folder)
	fails("neither empty nor a backup", "d1", "backup", "other", dir)
	files, _ := filepath.Glob(filepath.Join(folder, "*.ltx"))
	if len(files) == 0 {
		t.Fatal("the backup has no files")
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	fails("missing or damaged", "d1", "restore", folder, "copy", "--yes")
	count("copy", `"n":10,"l":10000`)
	ok("d1", "backup", "papers", folder) // copies the damaged file anew
	ok("d1", "restore", folder, "--dry-run")
}
