package d1_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// bad is a database with three rows on which something bad is tried.
type bad struct {
	*d1.Database

	s *d1.Service
}

func badDatabase(t *testing.T, o d1.Options) bad {
	t.Helper()
	s := service(t, t.TempDir(), o)
	db := database(t, s, "bad")
	t.Cleanup(db.Release)
	must(t, db, "CREATE TABLE t (a, b BLOB)", "INSERT INTO t VALUES (1, NULL), (2, NULL), (3, NULL)")
	return bad{db, s}
}

// unchanged holds that nothing of what failed stayed, and that reading and writing go on.
func (b bad) unchanged(t *testing.T) {
	t.Helper()
	if got := must(t, b.Database, "SELECT group_concat(a) FROM t")[0]; got != `[["1,2,3"]]` {
		t.Errorf("afterwards: %s", got)
	}
	for range 8 { // all connections
		must(t, b.Database, "SELECT 1")
	}
	must(t, b.Database, "INSERT INTO t VALUES (4, NULL)", "DELETE FROM t WHERE a = 4")
}

// refused holds that the statements fail with the text and the code of SQLite.
func (b bad) refused(t *testing.T, code int, text string, sql ...string) {
	t.Helper()
	_, err := do(t, b.Database, sql...)
	q, ok := errors.AsType[*d1.QueryError](err)
	if !ok || q.Broken() || !strings.Contains(err.Error(), text) {
		t.Errorf("%q: %v, want %q", sql, err, text)
		return
	}
	if e, ok := errors.AsType[*native.Error](err); !ok || e.Primary() != code {
		t.Errorf("%q: %v, want code %d", sql, err, code)
	}
}

func TestBadSQLEndsInsideString(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	b.refused(t, native.CodeError, `unrecognized token: "'abc" at offset 7: SQLITE_ERROR`, "SELECT 'abc")
	b.refused(t, native.CodeError, "SQLITE_ERROR", "INSERT INTO t VALUES (9, NULL); INSERT INTO t VALUES ('abc")
	b.unchanged(t)
}

func TestBad101Parameters(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	b.refused(t, native.CodeError, "too many SQL variables at offset 307: SQLITE_ERROR", "SELECT "+strings.Repeat("?, ", 100)+"?")
	b.refused(t, native.CodeError, "variable number must be between ?1 and ?100 at offset 7: SQLITE_ERROR", "SELECT ?101")
	b.unchanged(t)
}

func TestBadValueTooLarge(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	for _, n := range []int{2_000_001, 3_000_000} {
		q := d1.Query{SQL: "INSERT INTO t VALUES (9, ?)"}
		q.Args.Blob(make([]byte, n))
		err := b.Do(t.Context(), []d1.Query{q}, &text{})
		if err == nil || err.Error() != "string or blob too big: SQLITE_TOOBIG" {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	b.refused(t, native.CodeTooBig, "string or blob too big: SQLITE_TOOBIG", "INSERT INTO t VALUES (9, zeroblob(2000001))")
	b.refused(t, native.CodeTooBig, "string or blob too big: SQLITE_TOOBIG", "INSERT INTO t VALUES (zeroblob(1100000), zeroblob(1100000))") // a row
	b.unchanged(t)
}

func TestBadPragmaJournalMode(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	b.refused(t, native.CodeAuth, "not authorized: SQLITE_AUTH", "PRAGMA journal_mode")
	b.refused(t, native.CodeAuth, "not authorized: SQLITE_AUTH", "INSERT INTO t VALUES (9, NULL)", "PRAGMA journal_mode = DELETE")
	b.unchanged(t)
}

func TestBadAttach(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	b.refused(t, native.CodeAuth, "not authorized: SQLITE_AUTH", "ATTACH '/tmp/x' AS y")
	b.refused(t, native.CodeAuth, "not authorized: SQLITE_AUTH", "INSERT INTO t VALUES (9, NULL)", "ATTACH ':memory:' AS y")
	b.unchanged(t)
}

func TestBadEndlessQuery(t *testing.T) {
	b := badDatabase(t, d1.Options{Limits: native.Limits{Duration: 100 * time.Millisecond}})
	const want = "D1 DB storage operation exceeded timeout: the query ran longer than 100ms and was stopped.: SQLITE_INTERRUPT"
	b.refused(t, native.CodeInterrupt, want, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c) SELECT count(*) FROM c")
	b.refused(t, native.CodeInterrupt, want, "INSERT INTO t VALUES (9, NULL)", "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c) INSERT INTO t SELECT max(n), NULL FROM c")
	b.unchanged(t)
}

func digestOf(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestBadImportDigest(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	err := b.s.Upload(t.Context(), b.ID(), digestOf("another"), strings.NewReader("INSERT INTO t VALUES (9, NULL);"))
	if e, ok := errors.AsType[*d1.Error](err); !ok || e.Code != d1.CodeInvalid || !strings.Contains(e.Message, "has not the MD5 digest") {
		t.Errorf("%v", err)
	}
	if _, err := b.s.Ingest(t.Context(), b.ID(), digestOf("another")); err == nil {
		t.Error("what was refused is there")
	}
	b.unchanged(t)
}

func (b bad) importText(t *testing.T, text string) d1.ImportStatus {
	t.Helper()
	digest := digestOf(text)
	if err := b.s.Upload(t.Context(), b.ID(), digest, bytes.NewReader([]byte(text))); err != nil {
		t.Fatal(err)
	}
	status, err := b.s.Ingest(t.Context(), b.ID(), digest)
	for err == nil && status.State == d1.ImportActive {
		status, err = b.s.PollImport(t.Context(), b.ID())
	}
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func TestBadImportHalfWay(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	status := b.importText(t, strings.Repeat("INSERT INTO t VALUES (9, NULL);\n", 1000)+"INSERT INTO nowhere VALUES (1);\nINSERT INTO t VALUES (10, NULL);")
	if status.State != d1.ImportFailed || status.Err == nil || !strings.Contains(status.Err.Error(), "Statement 1001 failed: no such table: nowhere") {
		t.Errorf("%+v", status)
	}
	b.unchanged(t)
}

func TestImportCountsIndexEntries(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	must(t, b.Database, "CREATE INDEX t_a ON t (a)")
	status := b.importText(t, strings.Repeat("INSERT INTO t VALUES (9, NULL);\n", 1000)+"DELETE FROM t WHERE a = 9;")
	if m := status.Meta; status.State != d1.ImportComplete || m.Changes != 2000 || m.RowsWritten < 3000 || m.RowsWritten > 4000 {
		t.Errorf("%+v", status)
	}
	b.unchanged(t)
}

func TestBadBookmark(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	other := database(t, b.s, "other")
	defer other.Release()
	must(t, other, "CREATE TABLE x (a)")
	for _, bookmark := range []string{other.Bookmark(), "00000001-00000001-00000001-00000000000000000000000000000000", "nonsense", strings.Repeat("0", 10_000)} {
		err := b.CheckSession(bookmark)
		if e, ok := errors.AsType[*d1.Error](err); !ok || e.Code != d1.CodeInvalid {
			t.Errorf("%.80s: %v", bookmark, err)
		}
	}
	if err := b.CheckSession(b.Bookmark()); err != nil {
		t.Error(err)
	}
	b.unchanged(t)
}

func TestBadDatabaseTooLarge(t *testing.T) {
	b := badDatabase(t, d1.Options{MaxSize: 1 << 20})
	big := "INSERT INTO t VALUES (9, zeroblob(700000))"
	_, err := do(t, b.Database, big, big)
	if e, ok := errors.AsType[*d1.Error](err); !ok || e.Code != d1.CodeLimit || !strings.HasPrefix(e.Message, "Exceeded maximum DB size") || !strings.Contains(e.Message, "d1.max_size") {
		t.Errorf("%v", err)
	}
	b.unchanged(t)
	must(t, b.Database, big)
	if _, err := do(t, b.Database, big); err == nil {
		t.Error("the second")
	}
	must(t, b.Database, "DELETE FROM t WHERE a = 9", big, "DELETE FROM t WHERE a = 9") // space that was given back
	b.unchanged(t)
}

func TestLimitsOfStatements(t *testing.T) {
	b := badDatabase(t, d1.Options{})
	columns := strings.TrimSuffix(strings.Repeat("1,", 101), ",")
	for _, c := range []struct {
		sql, want string
		code      int
	}{
		{"SELECT '" + strings.Repeat("a", 100_000) + "'", "statement too long: SQLITE_TOOBIG", native.CodeTooBig},
		{"SELECT " + columns, "too many columns in result set: SQLITE_ERROR", native.CodeError},
		{"SELECT 'a' LIKE '" + strings.Repeat("a", 51) + "'", "LIKE or GLOB pattern too complex: SQLITE_ERROR", native.CodeError},
		{"SELECT max(" + strings.TrimSuffix(strings.Repeat("1,", 33), ",") + ")", "too many arguments on function max", native.CodeError},
	} {
		b.refused(t, c.code, c.want, c.sql)
	}
	up := badDatabase(t, d1.Options{Limits: native.Limits{SQLBytes: 200_000, Columns: 200, PatternBytes: 100, Params: 200, ValueBytes: 4_000_000}})
	must(t, up.Database, "SELECT '"+strings.Repeat("a", 150_000)+"'", "SELECT "+columns, "SELECT 'a' LIKE '"+strings.Repeat("a", 51)+"'", "INSERT INTO t VALUES (9, zeroblob(3000000))", "DELETE FROM t WHERE a = 9")
	up.unchanged(t)
}
