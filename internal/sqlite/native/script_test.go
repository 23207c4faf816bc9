package native_test

import (
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// TestScriptCountsAsQueriesDo holds that a text of statements has read and written what its
// statements have one by one.
func TestScriptCountsAsQueriesDo(t *testing.T) {
	for name, statements := range map[string][]string{
		"inserts": {
			"CREATE TABLE t (a INTEGER PRIMARY KEY, b, c)", "CREATE INDEX t_b ON t (b)", "CREATE INDEX t_c ON t (c)",
			"INSERT INTO t VALUES (1, 'x', 'values')", "INSERT INTO t VALUES (2, 'y', NULL), (3, 'z', 'on conflict')", "insert into t VALUES (4, 'CONFLICT', 1)",
			"INSERT INTO t VALUES (5, 1, 1)", "INSERT INTO t VALUES (6, 1, 1), (7, 2, 2)", "DROP INDEX t_c", "INSERT INTO t VALUES (8, 1, 1)", "INSERT INTO t VALUES (9, 1, 1)",
			"INSERT INTO t VALUES (10, 'it''s', 'on conflict'), (11, \"select\", 'a')", "INSERT INTO t VALUES (12, -- it's no string\n 1, 1) ON CONFLICT DO NOTHING",
			"INSERT INTO t VALUES (12, /* ' */ 1, 1) ON CONFLICT DO NOTHING", "INSERT INTO t VALUES (13, 'it''s', 1)",
		},
		"without rowid":   {"CREATE TABLE t (a PRIMARY KEY, b UNIQUE) WITHOUT ROWID", "INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (2, 3)", "INSERT INTO t VALUES (3, 4), (4, 5)"},
		"a partial index": {"CREATE TABLE t (a)", "CREATE INDEX i ON t (a) WHERE a > 5", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (9)", "INSERT INTO t VALUES (1), (9)"},
		"a trigger": {
			"CREATE TABLE t (a)", "CREATE TABLE log (a)", "INSERT INTO t VALUES (1)",
			"CREATE TRIGGER tr AFTER INSERT ON t WHEN new.a > 1 BEGIN INSERT INTO log VALUES (1); END", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)",
		},
		"conflicts": {
			"CREATE TABLE t (a UNIQUE, b)", "INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING",
			"INSERT INTO t VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = 3", "INSERT INTO t VALUES (2, 2)", "INSERT OR REPLACE INTO t VALUES (2, 3)",
		},
		"a table that replaces": {"CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"},
		"others": {
			"CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 2)", "INSERT INTO t SELECT 3, 4", "UPDATE t SET b = 5", "SELECT * FROM t",
			"DELETE FROM t WHERE a = 1", "DELETE FROM t", "CREATE VIRTUAL TABLE f USING fts5(x)", "INSERT INTO f VALUES ('a b')", "INSERT INTO f VALUES ('c')",
		},
	} {
		single, script := open(t, native.Options{}), open(t, native.Options{})
		var read, written int64
		for _, sql := range statements {
			_, r := run(t, single, sql)
			read, written = read+r.RowsRead, written+r.RowsWritten
		}
		got, err := script.Script([]byte(strings.Join(statements, ";\n")))
		if err != nil {
			t.Fatal(err)
		}
		if got.RowsRead != read || got.RowsWritten != written {
			t.Errorf("%s: %d read, %d written; one by one %d, %d", name, got.RowsRead, got.RowsWritten, read, written)
		}
	}
}

func BenchmarkScript(b *testing.B) {
	c := open(b, native.Options{})
	if err := c.Exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b, c); CREATE INDEX t_b ON t (b)"); err != nil {
		b.Fatal(err)
	}
	text := []byte(strings.Repeat("INSERT INTO t (b, c) VALUES ('some text that is stored', 12345);\n", 1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := c.Exec("BEGIN"); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Script(text); err != nil {
			b.Fatal(err)
		}
		if err := c.Exec("ROLLBACK"); err != nil {
			b.Fatal(err)
		}
	}
}
