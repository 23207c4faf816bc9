package d1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
	"github.com/selvage-dev/selvage/internal/store"
)

const account = "00000000000000000000000000000001"

func TestMain(m *testing.M) {
	if dir := os.Getenv("D1_TEST_CRASH"); dir != "" {
		crashChild(dir)
	}
	if file := os.Getenv("D1_TEST_OUTSIDE"); file != "" {
		outsideChild(file, os.Getenv("D1_TEST_STATEMENTS"))
	}
	goleak.VerifyTestMain(m)
}

// text collects results as JSON arrays.
type text struct {
	out  []string
	meta []d1.Meta
}

func (s *text) Reset() { s.out, s.meta = nil, nil }

func (s *text) Result(_ int, r *d1.Result) {
	s.out = append(s.out, string(native.AppendArrays(nil, r.Rows, len(r.Columns))))
	s.meta = append(s.meta, r.Meta)
}

func service(tb testing.TB, dir string, o d1.Options) *d1.Service {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	o.Store, o.Log = st, slog.New(slog.NewTextHandler(tb.Output(), nil))
	s, err := d1.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func database(tb testing.TB, s *d1.Service, name string) *d1.Database {
	tb.Helper()
	info, err := s.Create(tb.Context(), account, d1.CreateOptions{Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	db, err := s.Open(tb.Context(), info.ID)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func do(tb testing.TB, db *d1.Database, sql ...string) ([]string, error) {
	tb.Helper()
	var queries []d1.Query
	for _, q := range sql {
		queries = append(queries, d1.Query{SQL: q})
	}
	var sink text
	err := db.Do(tb.Context(), queries, &sink)
	return sink.out, err
}

func must(tb testing.TB, db *d1.Database, sql ...string) []string {
	tb.Helper()
	out, err := do(tb, db, sql...)
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return out
}

func TestBatchIsOneTransaction(t *testing.T) {
	db := database(t, service(t, t.TempDir(), d1.Options{}), "a")
	defer db.Release()
	must(t, db, "CREATE TABLE t (n INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
	_, err := do(t, db, "INSERT INTO t VALUES (3)", "INSERT INTO t VALUES (1)")
	q, ok := errors.AsType[*d1.QueryError](err)
	if !ok || q.Index != 1 || err.Error() != "UNIQUE constraint failed: t.n: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)" {
		t.Errorf("%v", err)
	}
	if got := must(t, db, "SELECT count(*) FROM t"); got[0] != "[[2]]" {
		t.Errorf("after the failed batch: %s", got)
	}
	if got := must(t, db, "INSERT INTO t VALUES (7) RETURNING n", "SELECT last_insert_rowid()", "SELECT changes()"); strings.Join(got, "") != "[[7]][[7]][[1]]" {
		t.Errorf("%s", got)
	}
}

// TestGroups writes from many goroutines, some of which fail or lose the shared
// transaction for all: none may take another's part with it.
func TestGroups(t *testing.T) {
	db := database(t, service(t, t.TempDir(), d1.Options{}), "a")
	defer db.Release()
	must(t, db, "CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE t (n INTEGER PRIMARY KEY, p INTEGER REFERENCES p)", "INSERT INTO t VALUES (0, NULL)")
	var wg sync.WaitGroup
	const writers, each = 16, 30
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := 1 + w*each + i
				good, bad := fmt.Sprintf("INSERT INTO t VALUES (%d, NULL)", n), ""
				switch i % 5 {
				case 0:
					bad = fmt.Sprintf("INSERT OR FAIL INTO t VALUES (%d, NULL), (0, NULL)", -n)
				case 1:
					bad = "INSERT OR ROLLBACK INTO t VALUES (0, NULL)"
				case 2:
					bad = fmt.Sprintf("INSERT INTO t VALUES (%d, 99)", -n)
				case 3:
					bad = fmt.Sprintf("INSERT INTO t VALUES (%d, NULL); INSERT INTO nowhere VALUES (1)", -n)
				}
				if _, err := do(t, db, good); err != nil {
					t.Errorf("%s: %v", good, err)
				}
				if bad != "" {
					if _, err := do(t, db, bad); err == nil {
						t.Errorf("%s: no error", bad)
					}
				}
				if i%5 == 4 { // the foreign key is looked at when the transaction ends
					if _, err := do(t, db, "PRAGMA defer_foreign_keys = on", fmt.Sprintf("INSERT INTO t VALUES (%d, 98)", -n)); err == nil {
						t.Error("a deferred foreign key was not looked at")
					}
				}
			}
		})
	}
	wg.Wait()
	want := fmt.Sprintf("[[%d,0]]", 1+writers*each)
	if got := must(t, db, "SELECT count(*), min(n) FROM t"); got[0] != want {
		t.Errorf("%s, want %s", got[0], want)
	}
}

func TestPragmasDoNotStay(t *testing.T) {
	db := database(t, service(t, t.TempDir(), d1.Options{}), "a")
	defer db.Release()
	must(t, db, "PRAGMA case_sensitive_like = on", "SELECT 1")
	must(t, db, "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('A')")
	if got := must(t, db, "INSERT INTO t SELECT a FROM t WHERE a LIKE 'a' RETURNING a"); got[0] != `[["A"]]` {
		t.Errorf("LIKE is still case sensitive: %s", got)
	}
}

func TestErrors(t *testing.T) {
	db := database(t, service(t, t.TempDir(), d1.Options{Limits: native.Limits{Duration: 100 * time.Millisecond}}), "a")
	defer db.Release()
	for _, c := range []struct{ sql, want string }{
		{"SELECT 'open", "unrecognized token: \"'open\" at offset 7: SQLITE_ERROR"},
		{"SELEC 1", "near \"SELEC\": syntax error at offset 0: SQLITE_ERROR"},
		{" -- nothing", "No SQL statements detected."},
		{"SELECT ?; SELECT 2", "only the last statement can have parameters."},
		{"PRAGMA journal_mode", "not authorized: SQLITE_AUTH"},
		{"BEGIN", "To execute a transaction"},
		{"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i FROM c) SELECT count(*) FROM c", "was stopped.: SQLITE_INTERRUPT"},
	} {
		if _, err := do(t, db, c.sql); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.sql, err, c.want)
		}
	}
}

// TestSeveralStatements holds that all statements of a text run and the last one
// answers.
func TestSeveralStatements(t *testing.T) {
	db := database(t, service(t, t.TempDir(), d1.Options{}), "a")
	defer db.Release()
	if got := must(t, db, "-- first;\nCREATE TABLE t (a); INSERT INTO t VALUES (1); SELECT a FROM t; -- last"); len(got) != 1 || got[0] != "[[1]]" {
		t.Errorf("%s", got)
	}
}

func TestDatabases(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		s := service(t, dir, d1.Options{MaxOpen: 2})
		var ids []string
		for i := range 5 {
			db := database(t, s, "db-"+strconv.Itoa(i))
			must(t, db, "CREATE TABLE t (a)", "INSERT INTO t VALUES ("+strconv.Itoa(i)+")")
			ids = append(ids, db.ID())
			db.Release()
		}
		if _, err := s.Create(t.Context(), account, d1.CreateOptions{Name: "db-1"}); code(err) != d1.CodeExists {
			t.Errorf("the same name twice: %v", err)
		}
		if _, err := s.Create(t.Context(), account, d1.CreateOptions{Name: "../x"}); code(err) != d1.CodeInvalid {
			t.Errorf("a bad name: %v", err)
		}
		db, err := s.Open(t.Context(), ids[4])
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), account, "db-4"); err != nil {
			t.Fatal(err)
		}
		if got := must(t, db, "SELECT a FROM t"); got[0] != "[[4]]" {
			t.Errorf("a database that is in use: %s", got)
		}
		db.Release()
		if _, err := os.Stat(filepath.Join(dir, "d1", ids[4])); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder of a deleted database: %v", err)
		}
		if _, err := s.Open(t.Context(), ids[4]); code(err) != d1.CodeNotFound {
			t.Errorf("a deleted database: %v", err)
		}
	})
	t.Run("after a restart", func(t *testing.T) {
		s := service(t, dir, d1.Options{})
		page, total, err := s.List(t.Context(), account, "", 1, 2)
		if err != nil || total != 4 || len(page) != 2 {
			t.Fatalf("%v of %d, %v", page, total, err)
		}
		info, err := s.Get(t.Context(), account, "db-3")
		if err != nil || info.FileSize == 0 {
			t.Fatalf("%+v %v", info, err)
		}
		db, err := s.Open(t.Context(), info.ID)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Release()
		if got := must(t, db, "SELECT a FROM t"); got[0] != "[[3]]" {
			t.Errorf("%s", got)
		}
	})
}

func code(err error) int {
	if e, ok := errors.AsType[*d1.Error](err); ok {
		return e.Code
	}
	return 0
}

func TestBookmarksGrow(t *testing.T) {
	dir := t.TempDir()
	var last, id string
	for round := range 3 {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			s := service(t, dir, d1.Options{})
			if round == 0 {
				info, err := s.Create(t.Context(), account, d1.CreateOptions{Name: "a"})
				if err != nil {
					t.Fatal(err)
				}
				id = info.ID
			}
			db, err := s.Open(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Release()
			for range 3 {
				must(t, db, "CREATE TABLE IF NOT EXISTS t (a)", "INSERT INTO t VALUES (1)")
				b := db.Bookmark()
				if b <= last {
					t.Errorf("%s is not after %s", b, last)
				}
				last = b
				if err := db.CheckSession(b); err != nil {
					t.Error(err)
				}
			}
			other := database(t, s, "other-"+strconv.Itoa(round))
			defer other.Release()
			if err := db.CheckSession(other.Bookmark()); code(err) != d1.CodeInvalid {
				t.Errorf("a bookmark of another database: %v", err)
			}
		})
	}
}

// TestKilledProcessKeepsAcknowledged kills a writing process at random times.
func TestKilledProcessKeepsAcknowledged(t *testing.T) {
	rounds := 10
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		rounds = 300
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	seen := map[string]bool{}
	states := map[string]string{} // digests by bookmark
	for round := range rounds {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "D1_TEST_CRASH="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			once.Do(func() {
				time.AfterFunc(time.Duration(random.IntN(120))*time.Millisecond, func() { _ = child.Process.Kill() })
			})
			if line, ok := strings.CutSuffix(lines.Text(), "."); ok { // else the kill cut it off
				seen[line] = true
			}
		}
		_ = child.Wait()
		checkKept(t, dir, round, seen, states)
	}
	if len(seen) < rounds {
		t.Errorf("only %d writes were acknowledged in all", len(seen))
	}
	t.Logf("%d kills, %d acknowledged transactions", rounds, len(seen))
}

func checkKept(t *testing.T, dir string, round int, seen map[string]bool, states map[string]string) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d1.New(d1.Options{Store: st, Limits: native.Limits{ValueBytes: 100 << 20}}) // all numbers are one value
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	}()
	info, err := s.Get(t.Context(), account, "crash")
	if err != nil {
		t.Fatal(err)
	}
	db, err := s.Open(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Release()
	have := must(t, db, "SELECT group_concat(n, ',') FROM t", "PRAGMA integrity_check", "SELECT count(*) FROM t WHERE pair NOT IN (SELECT n FROM t)")
	rows := map[string]bool{}
	for n := range strings.SplitSeq(strings.Trim(have[0], `[]"`), ",") {
		rows[n] = true
	}
	for n := range seen {
		if !rows[n] {
			t.Errorf("round %d: %s was acknowledged and is gone", round, n)
		}
	}
	checkTravel(t, db, round, states)
	if have[1] != `[["ok"]]` || have[2] != "[[0]]" {
		t.Errorf("round %d: integrity %s, halves of batches %s", round, have[1], have[2])
	}
}

// crashChild writes batches of two rows from several goroutines and prints each
// number once its call has returned, until it is killed.
func crashChild(dir string) {
	ctx := context.Background()
	fatal := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	st, err := store.Open(dir)
	fatal(err)
	s, err := d1.New(d1.Options{Store: st, Limits: native.Limits{ValueBytes: 100 << 20}})
	fatal(err)
	if _, err := s.Create(ctx, account, d1.CreateOptions{Name: "crash"}); code(err) != d1.CodeExists {
		fatal(err)
	}
	info, err := s.Get(ctx, account, "crash")
	fatal(err)
	db, err := s.Open(ctx, info.ID)
	fatal(err)
	fatal(db.Do(ctx, []d1.Query{{SQL: "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, pair INTEGER, pad BLOB)"}}, &text{}))
	base := time.Now().UnixMicro() * 1000
	for w := range 8 {
		go func() {
			for i := int64(0); ; i += 2 {
				n := base + int64(w)*100_000_000_000_000_000 + i
				a, b := strconv.FormatInt(n, 10), strconv.FormatInt(n+1, 10)
				fatal(db.Do(ctx, []d1.Query{
					{SQL: "INSERT INTO t VALUES (" + a + "," + b + ", zeroblob(300))"},
					{SQL: "INSERT INTO t VALUES (" + b + "," + a + ", zeroblob(300))"},
				}, &text{}))
				_, _ = os.Stdout.WriteString(a + ".\n") // one system call: lines do not mix
			}
		}()
	}
	select {}
}
