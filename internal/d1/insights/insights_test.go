package insights_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/d1/insights"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT 1": "SELECT ?",
		"select  *\n from t -- all\n where a='x''y'":                         "SELECT * FROM t WHERE a = ?",
		"SELECT * FROM t WHERE a = ?1 AND b = :b;":                           "SELECT * FROM t WHERE a = ? AND b = ?",
		"SELECT a FROM t WHERE id IN (1,2, 3)":                               "SELECT a FROM t WHERE id IN (?)",
		"SELECT a FROM t WHERE id IN (-1, +2)":                               "SELECT a FROM t WHERE id IN (?)",
		"SELECT a FROM t WHERE id IN(?)":                                     "SELECT a FROM t WHERE id IN (?)",
		"SELECT a FROM t WHERE id NOT IN (SELECT b FROM u WHERE c IN (1,2))": "SELECT a FROM t WHERE id NOT IN (SELECT b FROM u WHERE c IN (?))",
		"INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')":           "INSERT INTO t(a, b) VALUES (?, ?)",
		"INSERT INTO t VALUES (1, NULL), (2, 3)":                             "INSERT INTO t VALUES (?, NULL), (?, ?)",
		"INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING":                "INSERT INTO t VALUES (?) ON CONFLICT (a) DO NOTHING",
		"SELECT a - 1, a -1, -1, 2*-3 FROM t":                                "SELECT a - ?, a - ?, ?, ? * ? FROM t",
		"SELECT count (*), max( a ) FROM \"my t\".[x y]":                     "SELECT count(*), max(a) FROM \"my t\".[x y]",
		"SELECT x'ab', 1e-5, 0x1F, .5, 1.5e+3 FROM t":                        "SELECT ?, ?, ?, ?, ? FROM t",
		"SELECT a->>'$.x' FROM t":                                            "SELECT a ->> ? FROM t",
		"SELECT 'never ends":                                                 "SELECT ?",
		"/* a */ ; ; SELECT 1 /* b":                                          ";; SELECT ?",
		"":                                                                   "",
	} {
		if got := insights.Normalize(sql); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	if long := insights.Normalize("SELECT " + strings.Repeat("a, ", 10_000)); len(long) > insights.MaxText || !strings.HasSuffix(long, "…") {
		t.Errorf("a long one: %d bytes", len(long))
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"SELECT * FROM t WHERE a IN (1, -2, 'x') ORDER BY b", "INSERT INTO t VALUES (1,2),(3,4)", "- - 1 'a' \"b\" (((", "values (,),(1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		once := insights.Normalize(sql)
		if len(once) > insights.MaxText {
			t.Fatalf("%d bytes", len(once))
		}
		if strings.HasSuffix(once, "…") {
			return // cut somewhere
		}
		if twice := insights.Normalize(once); twice != once {
			t.Fatalf("%q becomes %q, that %q", sql, once, twice)
		}
	})
}

// TestNoLiterals holds that no literal reaches what is stored and shown.
func TestNoLiterals(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, sql := range []string{
		"SELECT '%s'", "SELECT 1 WHERE a='%s' AND b IN ('x','%s')", "INSERT INTO t VALUES ('a''%s', 1), ('%s', 2)",
		"SELECT 1 -- %s", "SELECT /* %s */ 1", "SELECT 'x' '%s'", "SELECT ('%s", "SELECT 1%s",
	} {
		if got := insights.Normalize(strings.ReplaceAll(sql, "%s", secret)); strings.Contains(got, secret) {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	r := insights.NewRecorder()
	s := r.Statement("SELECT 1", false)
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(rng.ExpFloat64()*2000) * time.Microsecond
		all = append(all, d)
		s.Record(time.Now(), d, 1, 0, 1)
	}
	slices.Sort(all)
	taken := r.Take()
	if len(taken) != 1 || taken[0].Counts.Runs != 10_000 || taken[0].Counts.RowsRead != 10_000 {
		t.Fatalf("%d statements", len(taken))
	}
	var h insights.Histogram
	if !h.AddBinary(taken[0].Counts.Durations.AppendBinary(nil)) || h != taken[0].Counts.Durations {
		t.Error("a histogram does not come back as it was")
	}
	for _, p := range []float64{0.5, 0.95, 0.99} {
		want, got := all[int(p*float64(len(all)))], h.Percentile(p)
		if ratio := float64(got) / float64(want); ratio < 0.87 || ratio > 1.13 {
			t.Errorf("p%g: %s, want about %s", p*100, got, want)
		}
	}
	if again := r.Take(); len(again) != 0 {
		t.Errorf("taken twice: %v", again[0].Text)
	}
}

func FuzzHistogram(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4})
	f.Fuzz(func(_ *testing.T, b []byte) {
		var h insights.Histogram
		h.AddBinary(b)
		h.Percentile(0.99)
	})
}

func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	r := insights.NewRecorder()
	kept := r.Statement("SELECT kept", false)
	now := time.Now()
	for i := range 10 * insights.MaxStatements {
		now = now.Add(time.Second)
		r.Statement("SELECT a"+strconv.Itoa(i)+"b", false).Record(now, time.Millisecond, 1, 0, 1)
		kept.Record(now, time.Millisecond, 0, 0, 1)
	}
	if kept.Gone() {
		t.Error("the statement that is used most was evicted")
	}
	taken := r.Take()
	var runs uint64
	for _, s := range taken {
		runs += s.Counts.Runs
	}
	if len(taken) != insights.MaxStatements+1 || runs != 20*insights.MaxStatements {
		t.Errorf("%d statements, %d runs", len(taken), runs)
	}
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	r := insights.NewRecorder()
	table := insights.NewRepeats()
	loop, other := r.Statement("SELECT a FROM t WHERE id = 1", false), r.Statement("SELECT 2", false)
	for i := range 20 {
		if n := table.Statement("one", loop); n != i+1 {
			t.Fatalf("call %d: %d", i+1, n)
		}
		table.Statement("one", r.Statement(fmt.Sprintf("SELECT a%d", i), false)) // many others do not push it out
	}
	if n := table.Statement("two", loop); n != 1 {
		t.Errorf("another request: %d", n)
	}
	if n := table.Statement("one", other); n != 1 {
		t.Errorf("another statement: %d", n)
	}
	if a, b := table.Queries("three", 5), table.Queries("three", 2); a != 5 || b != 7 {
		t.Errorf("%d and %d queries", a, b)
	}
}

// TestRecordAllocates holds that counting costs no memory.
func TestRecordAllocates(t *testing.T) {
	s := insights.NewRecorder().Statement("SELECT 1", false)
	table := insights.NewRepeats()
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		s.Record(now, time.Millisecond, 1, 0, 1)
		table.Statement("ray", s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	s := insights.NewRecorder().Statement("SELECT 1", false)
	now := time.Now()
	for b.Loop() {
		s.Record(now, 123*time.Microsecond, 1, 0, 1)
	}
}

func BenchmarkRepeats(b *testing.B) {
	s := insights.NewRecorder().Statement("SELECT 1", false)
	table := insights.NewRepeats()
	for b.Loop() {
		table.Statement("0123456789abcdef", s)
	}
}

func BenchmarkNormalize(b *testing.B) {
	const sql = "SELECT p.id, p.title, a.name FROM papers p JOIN authors a ON a.id = p.author_id WHERE p.id = 17 AND p.year > 2020 ORDER BY p.year DESC LIMIT 10"
	b.SetBytes(int64(len(sql)))
	for b.Loop() {
		insights.Normalize(sql)
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	tables := map[string][]string{"papers": {"id", "title", "year"}, "my authors": {"id", "name", "paper_id"}}
	for sql, want := range map[string]string{
		"SELECT 1":                               "[]",
		"SELECT * FROM papers WHERE year = 3":    "[{papers [{year false}]}]",
		"SELECT * FROM papers WHERE nothing = 3": "[]",
		"SELECT * FROM papers p WHERE p.YEAR IN (1) AND p.title > 'a' ORDER BY p.title DESC": "[{papers [{year false} {title false}]} {papers [{year false}]} {papers [{title false}]}]",
		"SELECT * FROM papers ORDER BY year DESC, title":                                     "[{papers [{year true} {title false}]}]",
		"SELECT * FROM papers JOIN [my authors] a ON a.paper_id = papers.id":                 "[{papers [{id false}]} {my authors [{paper_id false}]}]",
		"DELETE FROM papers WHERE (year) IS NOT NULL OR title LIKE 'a'":                      "[]",
	} {
		if got := fmt.Sprint(insights.Candidates(sql, tables)); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

func FuzzCandidates(f *testing.F) {
	f.Add("SELECT * FROM papers p WHERE p.year IN (1) ORDER BY \"title\" DESC", "year")
	f.Fuzz(func(_ *testing.T, sql, column string) {
		insights.Candidates(sql, map[string][]string{"papers": {"id", "title", column}})
	})
}
