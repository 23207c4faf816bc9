package d1_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/store"
)

// host is a service that can be restarted.
type host struct {
	dir     string
	o       d1.Options
	service *d1.Service
	stop    func() error
}

func startHost(tb testing.TB, dir string, o d1.Options) *host {
	tb.Helper()
	h := &host{dir: dir, o: o}
	h.start(tb)
	tb.Cleanup(func() {
		if err := h.stop(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

func (h *host) start(tb testing.TB) {
	tb.Helper()
	st, err := store.Open(h.dir)
	if err != nil {
		tb.Fatal(err)
	}
	o := h.o
	o.Store, o.Log = st, slog.New(slog.NewTextHandler(tb.Output(), nil))
	if h.service, err = d1.New(o); err != nil {
		tb.Fatal(err)
	}
	s := h.service
	h.stop = func() error { return errors.Join(s.Close(), st.Close()) }
}

func (h *host) restart(tb testing.TB) {
	tb.Helper()
	if err := h.stop(); err != nil {
		tb.Fatal(err)
	}
	h.start(tb)
}

// database opens the database of that name, making it if need be.
func (h *host) database(tb testing.TB, name string) *d1.Database {
	tb.Helper()
	info, err := h.service.Get(tb.Context(), account, name)
	if code(err) == d1.CodeNotFound {
		info, err = h.service.Create(tb.Context(), account, d1.CreateOptions{Name: name})
	}
	if err != nil {
		tb.Fatal(err)
	}
	db, err := h.service.Open(tb.Context(), info.ID)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// contentDigest is of all that an export of the database holds.
func contentDigest(tb testing.TB, db *d1.Database) string {
	tb.Helper()
	sum := sha256.New()
	if err := db.Export(tb.Context(), sum, d1.ExportOptions{}); err != nil {
		tb.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func exec1(tb testing.TB, db *d1.Database, sql string) {
	tb.Helper()
	if err := db.Do(tb.Context(), []d1.Query{{SQL: sql}}, &text{}); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

func integrity(tb testing.TB, db *d1.Database) {
	tb.Helper()
	got := &text{}
	if err := db.Do(tb.Context(), []d1.Query{{SQL: "PRAGMA quick_check"}}, got); err != nil || strings.Join(got.out, "") != `[["ok"]]` {
		tb.Errorf("quick_check: %v %v", got.out, err)
	}
}

// randomStep changes the database: small changes, changes of the schema, now and then
// one of many pages.
func randomStep(tb testing.TB, r *rand.Rand, db *d1.Database, i int) {
	tb.Helper()
	switch n := r.IntN(20); {
	case n < 9:
		exec1(tb, db, fmt.Sprintf("INSERT INTO t (v, pad) SELECT value, hex(randomblob(%d)) FROM generate", r.IntN(300)))
	case n < 13:
		exec1(tb, db, fmt.Sprintf("UPDATE t SET v = v + 1 WHERE id %% 7 = %d", r.IntN(7)))
	case n < 15:
		exec1(tb, db, fmt.Sprintf("DELETE FROM t WHERE id %% 3 = %d", r.IntN(3)))
	case n < 17:
		exec1(tb, db, fmt.Sprintf("CREATE TABLE extra_%d (a, b); INSERT INTO extra_%d SELECT v, pad FROM t LIMIT 50", i, i))
	case n < 18:
		exec1(tb, db, "INSERT INTO docs SELECT pad FROM t LIMIT 20")
	case n < 19:
		exec1(tb, db, "DELETE FROM t; UPDATE meta SET n = n + 1")
	default:
		exec1(tb, db, "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 5000) INSERT INTO t (v, pad) SELECT i, hex(randomblob(1000)) FROM c")
	}
}

func makeSchema(tb testing.TB, db *d1.Database) {
	tb.Helper()
	exec1(tb, db, `CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, pad TEXT); CREATE INDEX t_v ON t (v);
		CREATE TABLE meta (n INTEGER); INSERT INTO meta VALUES (0); CREATE VIRTUAL TABLE docs USING fts5(body);
		CREATE VIEW generate AS WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c LIMIT 20) SELECT value FROM c`)
}

// TestRestoreAnyBookmark goes through a random history, with restarts and merges, and
// then restores random states of it.
func TestRestoreAnyBookmark(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	p := startHost(t, dir, d1.Options{})
	db := p.database(t, "history")
	defer func() { db.Release() }()
	makeSchema(t, db)
	states := map[string]string{db.Bookmark(): contentDigest(t, db)}
	restores := 0
	for i := range 120 {
		before := db.Bookmark()
		randomStep(t, r, db, i)
		after := db.Bookmark()
		if after < before {
			t.Fatalf("the bookmark went back: %s, then %s", before, after)
		}
		states[after] = contentDigest(t, db)
		switch r.IntN(15) {
		case 0:
			if err := db.MergeHistory(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 1, 2:
			db.Release()
			p.restart(t)
			db = p.database(t, "history")
			if now := db.Bookmark(); now != after {
				t.Fatalf("after a restart the bookmark is %s, it was %s", now, after)
			}
		case 3, 4, 5:
			restores++
			checkRestore(t, r, db, states)
		}
	}
	for range 10 {
		restores++
		checkRestore(t, r, db, states)
	}
	t.Logf("%d states, %d restores", len(states), restores)
}

// checkRestore restores a random state, looks at it, and notes the new one.
func checkRestore(t *testing.T, r *rand.Rand, db *d1.Database, states map[string]string) {
	t.Helper()
	all := slices.Sorted(maps.Keys(states))
	to := all[r.IntN(len(all))]
	before := db.Bookmark()
	got, err := db.Restore(t.Context(), d1.Target{Bookmark: to})
	if err != nil {
		t.Fatalf("restore %s: %v", to, err)
	}
	if got.Bookmark != to || got.Previous != before || got.Current != db.Bookmark() || got.Current <= before {
		t.Errorf("restored %+v, want %s from %s", got, to, before)
	}
	if now := contentDigest(t, db); now != states[to] {
		t.Fatalf("the state of %s has the digest %s, it was %s", to, now, states[to])
	}
	integrity(t, db)
	states[got.Current] = states[to]
}

// checkTravel goes back to a state that an earlier round left, after which processes
// were killed, and forward again.
func checkTravel(t *testing.T, db *d1.Database, round int, states map[string]string) {
	t.Helper()
	now := db.Bookmark()
	for earlier := range states {
		if earlier >= now {
			t.Errorf("round %d: the bookmark is %s, %s was given out before", round, now, earlier)
		}
	}
	const every = 8 // a restore writes the whole database, which grows from round to round
	if round%every > 1 {
		return
	}
	digest := contentDigest(t, db)
	for to, want := range states { // any: the order of a map is random
		back, err := db.Restore(t.Context(), d1.Target{Bookmark: to})
		if err != nil {
			t.Fatalf("round %d: restore %s: %v", round, to, err)
		}
		if got := contentDigest(t, db); got != want {
			t.Errorf("round %d: %s was restored as something else", round, to)
		}
		if _, err := db.Restore(t.Context(), d1.Target{Bookmark: back.Previous}); err != nil {
			t.Fatalf("round %d: restore %s: %v", round, back.Previous, err)
		}
		if got := contentDigest(t, db); got != digest {
			t.Errorf("round %d: the restore could not be undone", round)
		}
		break
	}
	states[db.Bookmark()] = digest
}

// outsideChild is the other process of TestChangeFromOutside: it runs statements in a
// file as any program that has SQLite would.
func outsideChild(file, statements string) {
	db, err := sql.Open("sqlite3", "file:"+file)
	if err == nil {
		db.SetMaxOpenConns(1)
		_, err = db.ExecContext(context.Background(), statements)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestChangeFromOutside writes to the file of a database from another process, while
// the platform runs and while it does not, and puts another file in its place.
func TestChangeFromOutside(t *testing.T) {
	p := startHost(t, t.TempDir(), d1.Options{})
	db := p.database(t, "outside")
	defer func() { db.Release() }()
	file := filepath.Join(p.dir, "d1", db.ID(), "db.sqlite")
	outside := func(statements string) {
		t.Helper()
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "D1_TEST_OUTSIDE="+file, "D1_TEST_STATEMENTS="+statements)
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", statements, err, out)
		}
	}
	bookmark := func() string {
		t.Helper()
		b, err := db.BookmarkAt(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	states := map[string]string{}
	note := func() {
		t.Helper()
		b := bookmark()
		if _, known := states[b]; known {
			t.Errorf("%s names two states", b)
		}
		states[b] = contentDigest(t, db)
	}
	exec1(t, db, "CREATE TABLE t (n); INSERT INTO t VALUES (1)")
	note()
	outside("INSERT INTO t VALUES (2)") // and nobody writes after it
	note()
	outside("INSERT INTO t VALUES (3)")
	exec1(t, db, "INSERT INTO t VALUES (4)")
	note()
	outside("INSERT INTO t VALUES (5); PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (6)")
	exec1(t, db, "INSERT INTO t VALUES (7)")
	note()
	db.Release()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	outside("INSERT INTO t VALUES (8)")
	p.start(t)
	db = p.database(t, "outside")
	note()
	db.Release()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	copied := file + ".copy"
	outside("VACUUM INTO '" + copied + "'")
	outside("INSERT INTO t VALUES (9)")
	if err := os.Rename(copied, file); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	db = p.database(t, "outside")
	note()
	exec1(t, db, "INSERT INTO t VALUES (10)")
	note()
	for to, want := range states {
		if _, err := db.Restore(t.Context(), d1.Target{Bookmark: to}); err != nil {
			t.Errorf("restore %s: %v", to, err)
		} else if got := contentDigest(t, db); got != want {
			t.Errorf("%s was restored as something else", to)
		}
	}
	integrity(t, db)
}

// TestRetention goes beyond what is kept: what is older than it goes, with the files.
func TestRetention(t *testing.T) {
	p := startHost(t, t.TempDir(), d1.Options{TimeTravel: time.Hour})
	db := p.database(t, "short")
	defer func() { db.Release() }()
	must(t, db, "CREATE TABLE t (n)")
	first := db.Bookmark()
	_, err := db.BookmarkAt(t.Context(), time.Now().Add(-2*time.Hour))
	if code(err) != d1.CodeInvalid {
		t.Errorf("a state from before the retention: %v", err)
	}
	if _, err := db.Restore(t.Context(), d1.Target{Bookmark: first}); err != nil {
		t.Errorf("a state within the retention: %v", err)
	}
	db.Release()

	p.o.TimeTravel = time.Nanosecond
	p.restart(t)
	db = p.database(t, "short")
	// Something that is not what was seen last: the history begins anew, with a snapshot.
	file := filepath.Join(p.dir, "d1", db.ID(), "db.sqlite")
	db.Release()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	db = p.database(t, "short")
	if _, err := db.BookmarkAt(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(p.dir, "d1", db.ID(), "history", "*.ltx")
	if err := db.MergeHistory(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := filepath.Glob(folder); len(after) != 1 {
		t.Errorf("left: %v, want the last snapshot alone", after)
	}
	if _, err := db.Restore(t.Context(), d1.Target{Bookmark: first}); code(err) != d1.CodeInvalid {
		t.Errorf("a state beyond the retention: %v", err)
	}
	integrity(t, db)
}
