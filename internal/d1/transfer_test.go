package d1_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/d1"
)

func digest(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// importText goes all the way of an import.
func importText(t *testing.T, s *d1.Service, id, text string) d1.ImportStatus {
	t.Helper()
	status, err := s.BeginImport(t.Context(), id, digest(text))
	if err == nil && status.State == d1.ImportWaiting {
		if err := s.Upload(t.Context(), id, digest(text), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		status, err = s.Ingest(t.Context(), id, digest(text))
	}
	for err == nil && status.State == d1.ImportActive {
		status, err = s.PollImport(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func export(t *testing.T, db *d1.Database, o d1.ExportOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := db.Export(t.Context(), &out, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestExportImport(t *testing.T) {
	s := service(t, t.TempDir(), d1.Options{})
	from := database(t, s, "from")
	defer from.Release()
	must(t, from, `CREATE TABLE "od""d" (id INTEGER PRIMARY KEY AUTOINCREMENT, "a b" TEXT, r REAL, b BLOB, g AS (id * 2))`)
	must(t, from, `CREATE TABLE child (p INTEGER REFERENCES later (id))`, `CREATE TABLE later (id INTEGER PRIMARY KEY)`)
	must(t, from, `INSERT INTO later VALUES (1)`, `INSERT INTO child VALUES (1)`)
	must(t, from, `INSERT INTO "od""d" ("a b", r, b) VALUES ('it''s; -- "q"', 1.0, x'00ff'), (NULL, 9e999, NULL), (CAST(x'610062' AS TEXT), 0.1, x'')`)
	must(t, from, `DELETE FROM "od""d" WHERE id = 2`)
	must(t, from, `CREATE INDEX i ON "od""d" (r)`, `CREATE VIEW v AS SELECT r FROM "od""d"`,
		`CREATE TRIGGER tr AFTER INSERT ON later BEGIN INSERT INTO child VALUES (new.id); SELECT 1; END`)
	must(t, from, `CREATE VIRTUAL TABLE docs USING fts5(title, body)`, `INSERT INTO docs VALUES ('a', 'quick fox'), ('b', 'lazy dog')`)
	must(t, from, `CREATE TABLE many (n INTEGER, pad TEXT)`,
		`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c LIMIT 30000) INSERT INTO many SELECT i, hex(i) FROM c`)
	dump := export(t, from, d1.ExportOptions{})

	to := database(t, s, "to")
	defer to.Release()
	status := importText(t, s, to.ID(), dump)
	if status.State != d1.ImportComplete || status.Statements < 30_000 || status.Bookmark == "" {
		t.Fatalf("%+v", status)
	}
	if again := export(t, to, d1.ExportOptions{}); again != dump {
		t.Errorf("the export of the copy differs:\n%.3000s\n---\n%.3000s", dump, again)
	}
	for _, q := range []string{
		`SELECT rowid FROM docs WHERE docs MATCH 'fox'`, `SELECT count(*), sum(n) FROM many`, `PRAGMA integrity_check`,
		`SELECT id, "a b", typeof("a b"), r, typeof(r), b, g FROM "od""d"`, `SELECT seq FROM sqlite_sequence`, `SELECT count(*) FROM child`,
	} {
		if a, b := must(t, from, q), must(t, to, q); a[0] != b[0] {
			t.Errorf("%s: %s, in the copy %s", q, a, b)
		}
	}
	if part := export(t, from, d1.ExportOptions{NoData: true, Tables: []string{"later"}}); strings.Contains(part, "INSERT INTO \"later\"") || !strings.Contains(part, "CREATE TRIGGER") || strings.Contains(part, "many") {
		t.Errorf("the schema of one table:\n%s", part)
	}
	if data := export(t, from, d1.ExportOptions{NoSchema: true}); strings.Contains(data, "CREATE") || !strings.Contains(data, `INSERT INTO "later"`) {
		t.Errorf("data without the schema: %.300s", data)
	}
	if err := from.Export(t.Context(), &bytes.Buffer{}, d1.ExportOptions{Tables: []string{"nowhere"}}); code(err) != d1.CodeInvalid {
		t.Errorf("a table that is not there: %v", err)
	}
}

func TestImportFails(t *testing.T) {
	s := service(t, t.TempDir(), d1.Options{})
	db := database(t, s, "a")
	defer db.Release()
	must(t, db, "CREATE TABLE t (a)")
	for name, c := range map[string]struct{ text, want string }{
		"half way":     {"INSERT INTO t VALUES (1);\n" + strings.Repeat("INSERT INTO t VALUES (2);\n", 60_000) + "INSERT INTO nowhere VALUES (3);", "Statement 60002 failed: no such table: nowhere"},
		"transaction":  {"INSERT INTO t VALUES (1); BEGIN TRANSACTION; INSERT INTO t VALUES (2); COMMIT;", "Statement 2 begins or ends a transaction"},
		"open string":  {"INSERT INTO t VALUES (1); INSERT INTO t VALUES ('abc", "unrecognized token"},
		"attach":       {"ATTACH 'x' AS y;", "not authorized"},
		"binary":       {"SQLite format 3\x00", "zero byte"},
		"too long":     {"INSERT INTO t VALUES ('" + strings.Repeat("x", 3<<20) + "')", "too"},
		"foreign keys": {"CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p); PRAGMA defer_foreign_keys=TRUE; INSERT INTO c VALUES (9);", "FOREIGN KEY constraint failed"},
	} {
		t.Run(name, func(t *testing.T) {
			status := importText(t, s, db.ID(), c.text)
			if status.State != d1.ImportFailed || !strings.Contains(status.Err.Error(), c.want) {
				t.Errorf("%s %v, want %s", status.State, status.Err, c.want)
			}
			if got := must(t, db, "SELECT count(*) FROM t"); got[0] != "[[0]]" {
				t.Errorf("something was applied: %s", got)
			}
		})
	}
	if err := s.Upload(t.Context(), db.ID(), digest("a"), strings.NewReader("b")); code(err) != d1.CodeInvalid {
		t.Errorf("an upload with another digest: %v", err)
	}
	if _, err := s.Ingest(t.Context(), db.ID(), digest("never")); code(err) != d1.CodeInvalid {
		t.Errorf("a file that was not uploaded: %v", err)
	}
	if _, err := s.BeginImport(t.Context(), db.ID(), "../../x"); code(err) != d1.CodeInvalid {
		t.Errorf("a digest that is none: %v", err)
	}
	// A file that failed stays, so that fixing the database and trying again needs no upload.
	text := "INSERT INTO late VALUES (1);"
	if status := importText(t, s, db.ID(), text); status.State != d1.ImportFailed {
		t.Fatalf("%+v", status)
	}
	must(t, db, "CREATE TABLE late (a)")
	if status, err := s.BeginImport(t.Context(), db.ID(), digest(text)); err != nil || status.State != d1.ImportComplete {
		t.Errorf("%+v %v", status, err)
	}
}

// TestShellReadsFile opens the file with the sqlite3 shell while it is in use.
func TestShellReadsFile(t *testing.T) {
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("no sqlite3 shell on this machine")
	}
	dir := t.TempDir()
	db := database(t, service(t, dir, d1.Options{}), "a")
	defer db.Release()
	must(t, db, "CREATE TABLE t (a)", "INSERT INTO t VALUES ('seen')")
	path := filepath.Join(dir, "d1", db.ID(), "db.sqlite")
	out, err := exec.CommandContext(t.Context(), shell, "-readonly", path, "SELECT a FROM t").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "seen" {
		t.Errorf("%v %s", err, out)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
}

// FuzzExport holds that whatever a text column has comes back the same.
func FuzzExport(f *testing.F) {
	f.Add("it's", []byte{0, 1}, 1e300)
	f.Fuzz(func(t *testing.T, text string, blob []byte, x float64) {
		s := service(t, t.TempDir(), d1.Options{})
		from, to := database(t, s, "from"), database(t, s, "to")
		defer from.Release()
		defer to.Release()
		q := d1.Query{SQL: "INSERT INTO t VALUES (?, ?, ?)"}
		q.Args.Text(text)
		q.Args.Blob(blob)
		q.Args.Float(x)
		if err := from.Do(t.Context(), []d1.Query{{SQL: "CREATE TABLE t (a, b, c)"}, q}, &text0{}); err != nil {
			if errors.As(err, new(*d1.QueryError)) {
				t.Skip("SQLite does not take it")
			}
			t.Fatal(err)
		}
		if status := importText(t, s, to.ID(), export(t, from, d1.ExportOptions{})); status.State != d1.ImportComplete {
			t.Fatalf("%+v", status)
		}
		const all = "SELECT hex(a), typeof(a), hex(b), c, typeof(c) FROM t"
		if a, b := must(t, from, all), must(t, to, all); a[0] != b[0] {
			t.Errorf("%s became %s", a, b)
		}
	})
}

// text0 drops results.
type text0 struct{}

func (*text0) Reset()                 {}
func (*text0) Result(int, *d1.Result) {}
