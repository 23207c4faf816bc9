package native_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

func open(tb testing.TB, o native.Options) *native.Conn {
	tb.Helper()
	o.Create = true
	c, err := native.Open(filepath.Join(tb.TempDir(), "t.sqlite"), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

func run(tb testing.TB, c *native.Conn, sql string, args ...any) (string, native.Result) {
	tb.Helper()
	s, _, err := c.Prepare(sql)
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	r, err := c.Run(s, encode(args))
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return string(native.AppendArrays(nil, r.Rows, len(s.Columns))), r
}

func encode(args []any) *native.Args {
	a := &native.Args{}
	for _, v := range args {
		switch v := v.(type) {
		case nil:
			a.Null()
		case int:
			a.Int(int64(v))
		case float64:
			a.Float(v)
		case string:
			a.Text(v)
		case []byte:
			a.Blob(v)
		default:
			panic(fmt.Sprintf("a parameter of type %T", v))
		}
	}
	return a
}

func TestValues(t *testing.T) {
	c := open(t, native.Options{})
	for _, test := range []struct {
		sql, want string
		args      []any
	}{
		{sql: "SELECT 1, -9223372036854775808, 2.5, 1e300, NULL", want: `[[1,-9223372036854775808,2.5,1e+300,null]]`},
		{sql: "SELECT 9e999, -9e999", want: `[[null,null]]`},
		{sql: "SELECT ?, ?, ?, ?, ?", args: []any{nil, 7, 0.1, "a\"\\\n\x01é", []byte{0, 255}}, want: `[[null,7,0.1,"a\"\\\n\u0001é",[0,255]]]`},
		{sql: "SELECT ?, typeof(?1), ?", args: []any{"", []byte{}}, want: `[["","text",[]]]`},
		{sql: "SELECT CAST(x'41ff42' AS TEXT)", want: "[[\"A\uFFFDB\"]]"},
		{sql: "SELECT 1 WHERE 0", want: `[]`},
		{sql: "SELECT sqrt(4), json('{\"a\":1}')", want: `[[2,"{\"a\":1}"]]`},
	} {
		got, _ := run(t, c, test.sql, test.args...)
		if got != test.want || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s, want %s", test.sql, got, test.want)
		}
	}
}

func TestCounts(t *testing.T) {
	c := open(t, native.Options{})
	run(t, c, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT)")
	run(t, c, "CREATE TABLE log (n INTEGER)")
	for _, step := range []struct {
		sql           string
		read, written int64
		changes       int64
	}{
		{sql: "INSERT INTO t (a, b) VALUES (1, 'x')", written: 1, changes: 1},
		{sql: "CREATE INDEX t_a ON t (a)", written: -1},
		{sql: "INSERT INTO t (a, b) VALUES (2, 'y'), (3, 'z')", written: 4, changes: 2}, // two rows, two index entries
		{sql: "SELECT * FROM t", read: 3},
		{sql: "SELECT * FROM t WHERE id = 2", read: 1},
		{sql: "SELECT * FROM t WHERE b = 'z'", read: 3},
		{sql: "SELECT b FROM t WHERE a > 1 ORDER BY b DESC", read: -1},
		{sql: "UPDATE t SET b = 'w' WHERE id = 1", read: 1, written: 1, changes: 1},
		{sql: "UPDATE t SET a = 9 WHERE id = 1", read: 1, written: 2, changes: 1},
		{sql: "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); END", written: -1},
		{sql: "INSERT INTO t (a) VALUES (4)", written: 3, changes: 1}, // the row, its index entry, the trigger's row
		{sql: "DELETE FROM t WHERE id = 1", read: 1, written: 1, changes: 1},
		{sql: "DELETE FROM log", written: 1, changes: 1},
	} {
		for range 2 { // the second run of a statement must not count the first one's rows
			_, r := run(t, c, step.sql)
			if (step.read >= 0 && r.RowsRead != step.read) || (step.written >= 0 && r.RowsWritten != step.written) {
				t.Errorf("%s: %d read, %d written; want %d, %d", step.sql, r.RowsRead, r.RowsWritten, step.read, step.written)
			}
			if step.changes > 0 && r.Changes != step.changes {
				t.Errorf("%s: %d changes, want %d", step.sql, r.Changes, step.changes)
			}
			if !strings.HasPrefix(step.sql, "SELECT") {
				break
			}
		}
	}
}

// TestSchemaChanges runs a kept statement after the table it reads has changed.
func TestSchemaChanges(t *testing.T) {
	c := open(t, native.Options{})
	run(t, c, "CREATE TABLE t (a, b)")
	run(t, c, "INSERT INTO t VALUES (1, 2)")
	for _, step := range []struct{ change, columns, rows string }{
		{"SELECT 1", "a b", "[[1,2]]"},
		{"ALTER TABLE t ADD COLUMN c DEFAULT 3", "a b c", "[[1,2,3]]"},
		{"ALTER TABLE t DROP COLUMN a", "b c", "[[2,3]]"},
		{"DELETE FROM t", "b c", "[]"},
		{"ALTER TABLE t DROP COLUMN b", "c", "[]"},
	} {
		run(t, c, step.change)
		s, _, err := c.Prepare("SELECT * FROM t")
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Run(s, &native.Args{})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(native.AppendArrays(nil, r.Rows, len(s.Columns))); got != step.rows || strings.Join(s.Columns, " ") != step.columns {
			t.Errorf("after %s: %s %s", step.change, s.Columns, got)
		}
	}
}

func TestRefused(t *testing.T) {
	c := open(t, native.Options{})
	other := filepath.Join(t.TempDir(), "other.sqlite")
	for _, sql := range []string{
		"ATTACH '" + other + "' AS o", "VACUUM INTO '" + other + "'", "VACUUM", "DETACH main",
		"PRAGMA journal_mode", "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = 1", "PRAGMA temp_store_directory = '/'",
		"PRAGMA page_size = 512", "PRAGMA synchronous = 0", "PRAGMA mmap_size = 1", "PRAGMA wal_checkpoint", "PRAGMA query_only = 1",
		"SELECT load_extension('x')", "CREATE TEMP TABLE x (a)", "CREATE TEMP VIEW v AS SELECT 1",
		"CREATE VIRTUAL TABLE v USING dbstat", "SELECT fts3_tokenizer('simple')",
	} {
		_, _, err := c.Prepare(sql)
		if e, ok := errors.AsType[*native.Error](err); !ok || e.Primary() != native.CodeAuth && !strings.Contains(e.Message, "no such function") && !strings.Contains(e.Message, "not authorized") {
			// VACUUM INTO attaches when it runs.
			s, _, err := c.Prepare(sql)
			if err == nil {
				_, err = c.Run(s, &native.Args{})
			}
			if err == nil {
				t.Errorf("%s: allowed", sql)
			}
		}
	}
	for _, sql := range []string{"BEGIN", "COMMIT", "SAVEPOINT a", "ROLLBACK"} {
		if _, _, err := c.Prepare(sql); !errors.As(err, new(*native.TransactionError)) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := filepath.Glob(other); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"PRAGMA table_list", "PRAGMA foreign_keys", "PRAGMA defer_foreign_keys = on", "CREATE VIRTUAL TABLE f USING fts5(a)", "PRAGMA optimize"} {
		run(t, c, sql)
	}
}

func TestLimits(t *testing.T) {
	c := open(t, native.Options{Limits: native.Limits{ResultBytes: 1 << 20, Duration: 50 * time.Millisecond}})
	for _, test := range []struct {
		sql  string
		args []any
		want string
	}{
		{sql: "SELECT 'unterminated", want: "unrecognized token: \"'unterminated\": SQLITE_ERROR"},
		{sql: "SELECT ?101", want: "variable number must be between ?1 and ?100: SQLITE_ERROR"},
		{sql: "SELECT zeroblob(2000001)", want: "string or blob too big: SQLITE_TOOBIG"},
		{sql: "SELECT 'a' LIKE '" + strings.Repeat("a", 51) + "'", want: "LIKE or GLOB pattern too complex: SQLITE_ERROR"},
		{sql: "SELECT '" + strings.Repeat("a", 100_001) + "'", want: "statement too long: SQLITE_TOOBIG"},
		{sql: "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i FROM c) SELECT count(*) FROM c", want: "D1 DB storage operation exceeded timeout: the query ran longer than 50ms and was stopped.: SQLITE_INTERRUPT"},
		{sql: "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c LIMIT 100) SELECT hex(zeroblob(50000)) FROM c", want: "The result has more than 1048576 bytes. Ask for fewer rows.: SQLITE_TOOBIG"},
		{sql: "SELECT * FROM nowhere", want: "no such table: nowhere: SQLITE_ERROR"},
		{sql: "SELECT ?", want: "Wrong number of parameter bindings for SQL query: it has 1, 0 were bound: SQLITE_RANGE"},
	} {
		s, _, err := c.Prepare(test.sql)
		if err == nil {
			_, err = c.Run(s, encode(test.args))
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("%.60s: %v, want %s", test.sql, err, test.want)
		}
	}
	if got, _ := run(t, c, "SELECT 1"); got != "[[1]]" {
		t.Errorf("after the errors: %s", got)
	}
}

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		sql  string
		want []string
	}{
		{"", nil},
		{" ;; ", []string{" ;", ";"}},
		{"SELECT ';' ; SELECT 2 -- ;\n;", []string{"SELECT ';' ;", " SELECT 2 -- ;\n;"}},
		{`SELECT "a;""b", [c;d], ` + "`e;`" + `; /* ; */ SELECT 3`, []string{`SELECT "a;""b", [c;d], ` + "`e;`;", " /* ; */ SELECT 3"}},
		{
			"CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END; SELECT 4",
			[]string{"CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT CASE WHEN 1 THEN 2 END; END;", " SELECT 4"},
		},
		{"create temp trigger t begin x; end; y", []string{"create temp trigger t begin x; end;", " y"}},
		{"CREATE TABLE trigger_log (a); SELECT 1", []string{"CREATE TABLE trigger_log (a);", " SELECT 1"}},
	} {
		if got := native.Split(test.sql); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.sql, got, test.want)
		}
	}
}

// FuzzSplit holds that splitting loses nothing and never depends on what follows.
func FuzzSplit(f *testing.F) {
	f.Add("SELECT ';'; CREATE TRIGGER t BEGIN SELECT 1; END; -- x")
	f.Fuzz(func(t *testing.T, sql string) {
		parts := native.Split(sql)
		if strings.TrimSpace(strings.Join(parts, "")) != strings.TrimSpace(sql) && utf8.ValidString(sql) {
			t.Errorf("%q became %q", sql, parts)
		}
	})
}

// FuzzJSON holds that whatever SQLite returns is valid JSON.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("a\xff\"\x00"), 1e-7, int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, x float64, n int64) {
		var a native.Args
		a.Text(string(b))
		a.Blob(b)
		a.Float(x)
		a.Int(n)
		c := open(t, native.Options{})
		s, _, err := c.Prepare("SELECT ?, ?, ?, ?")
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Run(s, &a)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range [][]byte{native.AppendArrays(nil, r.Rows, 4), native.AppendObjects(nil, r.Rows, s.Columns)} {
			if !json.Valid(out) {
				t.Errorf("%q is not JSON", out)
			}
		}
	})
}

func TestScript(t *testing.T) {
	c := open(t, native.Options{})
	r, err := c.Script([]byte("CREATE TABLE t (a); -- one; two\nINSERT INTO t VALUES (1), (2);\nSELECT * FROM t"))
	if err != nil || r.Statements != 3 || r.RowsRead != 3 || r.RowsWritten != 4 { // what CREATE TABLE does to the schema included
		t.Fatalf("%+v %v", r, err)
	}
	for _, test := range []struct {
		text      string
		statement int64
		want      string
	}{
		{"INSERT INTO t VALUES (3);\nINSERT INTO nowhere VALUES (4);", 2, "no such table: nowhere: SQLITE_ERROR"},
		{"BEGIN; SELECT 1;", 1, "not authorized: SQLITE_AUTH"},
		{"SELECT 'open", 1, "unrecognized token: \"'open\": SQLITE_ERROR"},
		{"SELECT '" + strings.Repeat("a", 100_000) + "'; SELECT 1", 1, "string or blob too big: SQLITE_TOOBIG"},
	} {
		_, err := c.Script([]byte(test.text))
		e, ok := errors.AsType[*native.ScriptError](err)
		if !ok || e.Statement != test.statement || err.Error() != test.want {
			t.Errorf("%.60s: %v", test.text, err)
		}
	}
}

func TestEach(t *testing.T) {
	c := open(t, native.Options{Limits: native.Limits{ResultBytes: 10_000}})
	s, _, err := c.Prepare("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c LIMIT ?) SELECT i, hex(i) FROM c")
	if err != nil {
		t.Fatal(err)
	}
	parts, sum := 0, int64(0)
	err = c.Each(s, encode([]any{50_000}), 4096, func(rows []byte) error {
		parts++
		for len(rows) > 0 {
			var v native.Value
			v, rows = native.Next(rows)
			sum += v.Int
			_, rows = native.Next(rows)
		}
		return nil
	})
	if err != nil || sum != 50_000*50_001/2 || parts < 100 {
		t.Errorf("%d parts, sum %d, %v", parts, sum, err)
	}
	stop := errors.New("enough")
	if err := c.Each(s, encode([]any{10}), 1, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if got, _ := run(t, c, "SELECT 1"); got != "[[1]]" {
		t.Errorf("afterwards: %s", got)
	}
}

func TestLastStatementEnd(t *testing.T) {
	for text, want := range map[string]int{
		"":                                    0,
		"SELECT 1":                            0,
		"SELECT 1; SELECT":                    9,
		"SELECT 'a;b":                         0,
		"SELECT 1; SELECT 'a;b":               9,
		"CREATE TRIGGER t BEGIN SELECT 1; ":   0,
		"a; CREATE TRIGGER t BEGIN x; END; y": 33,
	} {
		if got := native.LastStatementEnd(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestExplainFollowsSchema holds that a plan is that of the schema as it is now, also when
// another connection has changed it.
func TestExplainFollowsSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	var conns []*native.Conn
	for range 2 {
		c, err := native.Open(path, native.Options{Create: true, Setup: "PRAGMA journal_mode=WAL"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		conns = append(conns, c)
	}
	run(t, conns[0], "CREATE TABLE t (a)")
	const explain = "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1"
	for range 2 {
		if got, _ := run(t, conns[1], explain); !strings.Contains(got, "SCAN t") {
			t.Error(got)
		}
	}
	run(t, conns[0], "CREATE INDEX i ON t (a)")
	if got, _ := run(t, conns[1], explain); !strings.Contains(got, "INDEX i") {
		t.Errorf("after the index was made: %s", got)
	}
}

// TestPrepareFollowsSchema holds that what another connection has dropped can be made
// again.
func TestPrepareFollowsSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	var conns []*native.Conn
	for range 2 {
		c, err := native.Open(path, native.Options{Create: true, Setup: "PRAGMA journal_mode=WAL"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
		conns = append(conns, c)
	}
	run(t, conns[0], "CREATE TABLE t (a)")
	run(t, conns[1], "SELECT * FROM t")
	run(t, conns[0], "DROP TABLE t")
	if _, _, err := conns[1].Prepare("CREATE TABLE t (a)"); err != nil {
		t.Error(err)
	}
}
