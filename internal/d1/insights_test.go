package d1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/d1/insights"
	"github.com/selvage-dev/selvage/internal/store"
)

// papersSchema is an app's: papers with their authors.
const papersSchema = `CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
	CREATE TABLE papers (id INTEGER PRIMARY KEY, title TEXT NOT NULL, year INTEGER NOT NULL);
	CREATE TABLE paper_authors (paper_id INTEGER NOT NULL, author_id INTEGER NOT NULL, position INTEGER NOT NULL);`

func papers(tb testing.TB, db *d1.Database, n int) {
	tb.Helper()
	must(tb, db, papersSchema)
	must(tb, db, fmt.Sprintf(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d) INSERT INTO papers SELECT n, 'Paper ' || n, 2000 + n %% 25 FROM c`, n),
		`INSERT INTO authors SELECT id, 'Author ' || id FROM papers`,
		`INSERT INTO paper_authors SELECT id, id, 1 FROM papers UNION ALL SELECT id, id % 10 + 1, 2 FROM papers`)
}

func lastDay(by d1.StatsOrder) d1.StatsQuery {
	now := time.Now()
	return d1.StatsQuery{From: now.Add(-24 * time.Hour), To: now, By: by, Limit: 100, Percentile: true}
}

func statsOf(tb testing.TB, s *d1.Service, q d1.StatsQuery, statement string) d1.Stats {
	tb.Helper()
	all, err := s.Statements(tb.Context(), account, q)
	if err != nil {
		tb.Fatal(err)
	}
	for _, st := range all {
		if st.Statement == statement {
			return st
		}
	}
	tb.Fatalf("no statement %q in %+v", statement, all)
	return d1.Stats{}
}

func TestStatementsAreCounted(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d1.New(d1.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	db := database(t, s, "papers")
	papers(t, db, 100)
	for i := range 10 {
		must(t, db, fmt.Sprintf("SELECT title FROM papers WHERE id = %d", i+1))
		must(t, db, fmt.Sprintf("select title from papers where id=%d -- again", i+1))
	}
	must(t, db, "UPDATE papers SET year = 1999 WHERE id IN (1, 2, 3)")
	must(t, db, "UPDATE papers SET year = 1999 WHERE id IN (4)")
	if _, err := do(t, db, "SELECT nowhere"); err == nil {
		t.Fatal("a statement that fails")
	}
	read, write := "SELECT title FROM papers WHERE id = ?", "UPDATE papers SET year = ? WHERE id IN (?)"
	got := statsOf(t, s, lastDay(d1.ByRuns), read)
	if got.Runs != 20 || got.RowsRead != 20 || got.RowsReturned != 20 || got.RowsWritten != 0 || got.Writes || got.P99 <= 0 || got.P50 > got.P99 || got.Total <= 0 {
		t.Errorf("reads: %+v", got)
	}
	if got := statsOf(t, s, lastDay(d1.ByRuns), write); got.Runs != 2 || got.RowsWritten != 4 || !got.Writes {
		t.Errorf("writes: %+v", got)
	}
	all, err := s.Statements(t.Context(), account, d1.StatsQuery{From: time.Now(), To: time.Now(), By: d1.ByRuns, Limit: 1})
	if err != nil || len(all) != 1 || all[0].Statement != read {
		t.Errorf("the one that ran most: %+v, %v", all, err)
	}
	hours, err := s.Hours(t.Context(), account, db.ID(), time.Now().Add(-time.Hour), time.Now())
	if err != nil || len(hours) == 0 {
		t.Fatalf("%+v, %v", hours, err)
	}
	db.Release()
	if err := errors.Join(s.Close(), st.Close()); err != nil {
		t.Fatal(err)
	}

	// A restart loses nothing, and counting goes on.
	s = service(t, dir, d1.Options{})
	if got := statsOf(t, s, lastDay(d1.ByTime), read); got.Runs != 20 {
		t.Errorf("after a restart: %+v", got)
	}
	if err := s.Delete(t.Context(), account, "papers"); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Statements(t.Context(), account, lastDay(d1.ByTime)); err != nil || len(all) != 0 {
		t.Errorf("after the database was deleted: %+v, %v", all, err)
	}
}

// TestStoredStatementsAreBounded holds that a program which makes ever new statements fills neither memory nor disk.
func TestStoredStatementsAreBounded(t *testing.T) {
	s := service(t, t.TempDir(), d1.Options{})
	db := database(t, s, "a")
	defer db.Release()
	const n = 1500
	for i := range n {
		must(t, db, fmt.Sprintf("SELECT 1 AS c%dx", i))
		if i%100 == 0 {
			statsAll(t, s)
		}
	}
	all := statsAll(t, s)
	var runs int64
	for _, st := range all {
		runs += st.Runs
	}
	if len(all) > 513 || runs != n {
		t.Errorf("%d statements, %d runs", len(all), runs)
	}
}

func normal(sql string) string { return insights.Normalize(sql) }

func statsAll(tb testing.TB, s *d1.Service) []d1.Stats {
	tb.Helper()
	q := lastDay(d1.ByRuns)
	q.Limit, q.Percentile = d1.MaxStats, false
	all, err := s.Statements(tb.Context(), account, q)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func TestLoopsAreNoticed(t *testing.T) {
	var told []d1.Loop
	s := service(t, t.TempDir(), d1.Options{OnLoop: func(l d1.Loop) { told = append(told, l) }})
	db := database(t, s, "papers")
	defer db.Release()
	papers(t, db, 50)
	const each = "SELECT a.name FROM paper_authors pa JOIN authors a ON a.id = pa.author_id WHERE pa.paper_id = ?"
	call := func(ray string, n int) {
		by := d1.Caller{Account: account, Script: "library", Version: "v", Ray: ray}
		queries := make([]d1.Query, n)
		for i := range queries {
			queries[i].SQL = each
			queries[i].Args.Int(int64(i + 1))
		}
		if err := db.DoFor(t.Context(), &by, queries, &text{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 {
		call("within", 1)
	}
	call("batch", 20) // one way to the database
	for range 20 {
		call("", 1) // a request that is not known
	}
	if len(told) != 0 {
		t.Fatalf("told of %+v", told)
	}
	for range 40 {
		call("loop", 1)
	}
	s.RequestEnded("another", "GET", "/x")
	s.RequestEnded("loop", "GET", "/papers")
	if len(told) != 1 || told[0].Ray != "loop" || told[0].Script != "library" || told[0].Statement != each || told[0].Calls != 9 {
		t.Fatalf("told of %+v", told)
	}
	for range 9 {
		call("again", 1)
	}
	if len(told) != 1 {
		t.Errorf("told again within seconds: %+v", told)
	}
	for range 2 { // reading twice counts nothing twice
		found, err := s.Loops(t.Context(), db.ID(), time.Now().Add(-time.Hour))
		if err != nil || len(found) != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
		if l := found[0]; l.Most != 40 || l.Requests != 2 || l.Script != "library" || l.Statement != each || l.Ray == "" {
			t.Errorf("%+v", l)
		}
	}
	s.RequestEnded("again", "GET", "/again")
	found, err := s.Loops(t.Context(), db.ID(), time.Now().Add(-time.Hour))
	if err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Route, "GET /") {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestQueriesOfOneRequestAreLimited(t *testing.T) {
	s := service(t, t.TempDir(), d1.Options{MaxQueries: 5})
	db := database(t, s, "a")
	defer db.Release()
	by := d1.Caller{Account: account, Script: "w", Ray: "one"}
	call := func(n int) error {
		queries := make([]d1.Query, n)
		for i := range queries {
			queries[i].SQL = "SELECT 1"
		}
		return db.DoFor(t.Context(), &by, queries, &text{})
	}
	if err := errors.Join(call(2), call(3)); err != nil {
		t.Fatal(err)
	}
	err := call(1)
	if e, ok := errors.AsType[*d1.Error](err); !ok || e.Code != d1.CodeLimit || !strings.Contains(e.Message, "d1.max_queries") {
		t.Errorf("the sixth: %v", err)
	}
	by.Ray = "two"
	if err := call(5); err != nil {
		t.Errorf("another request: %v", err)
	}
	by.Ray = ""
	if err := call(6); err == nil {
		t.Error("a batch of six")
	}
}

// TestCountsAreWritten holds that counts reach the disk by themselves, and what kill -9 may take: a minute.
func TestCountsAreWritten(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := d1.New(d1.Options{Store: st})
		if err != nil {
			t.Fatal(err)
		}
		db := database(t, s, "a")
		must(t, db, "SELECT 1")
		stored := func() (runs int) {
			if err := st.DB.Read().QueryRowContext(t.Context(), `SELECT coalesce(sum(runs), 0) FROM d1_statement_hours`).Scan(&runs); err != nil {
				t.Fatal(err)
			}
			return runs
		}
		if n := stored(); n != 0 {
			t.Errorf("%d runs on disk at once: the request waited for it", n)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := stored(); n != 1 {
			t.Errorf("%d runs on disk after a minute", n)
		}
		time.Sleep(32 * 24 * time.Hour)
		must(t, db, "SELECT 2")
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := stored(); n != 1 {
			t.Errorf("%d runs on disk after a month", n)
		}
		db.Release()
		if err := errors.Join(s.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
}
