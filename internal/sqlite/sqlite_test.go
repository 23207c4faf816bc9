package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/sqlite"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SQLITE_TEST_CRASH"); path != "" {
		crashChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// TestCacheSize: each connection keeps to the bound, and to SQLite's own without one.
func TestCacheSize(t *testing.T) {
	for kib, want := range map[int]int{0: -2000, 256: -256} {
		db := open(t, sqlite.Options{CacheKiB: kib})
		var read, write int
		if err := db.Read().QueryRowContext(t.Context(), "PRAGMA cache_size").Scan(&read); err != nil {
			t.Fatal(err)
		}
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			return tx.QueryRowContext(t.Context(), "PRAGMA cache_size").Scan(&write)
		})
		if err != nil || read != want || write != want {
			t.Errorf("%d KiB: reader %d, writer %d, want %d: %v", kib, read, write, want, err)
		}
	}
	if _, err := sqlite.Open(filepath.Join(t.TempDir(), "x.db"), sqlite.Options{CacheKiB: -1}); err == nil {
		t.Error("took a cache below zero")
	}
}

func TestReadYourWrites(t *testing.T) {
	db := open(t, sqlite.Options{})
	for i := range 20 {
		insert(t, db, i)
		if got := count(t, db); got != i+1 {
			t.Fatalf("%d rows after %d writes", got, i+1)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	db := open(t, sqlite.Options{})
	if _, err := db.Read().ExecContext(t.Context(), "INSERT INTO t (n) VALUES (1)"); err == nil {
		t.Error("a reader wrote")
	}
	if _, err := db.Read().ExecContext(t.Context(), "PRAGMA query_only=0; INSERT INTO t (n) VALUES (1)"); err == nil {
		t.Error("a reader without query_only wrote")
	}
}

func TestPathIsNotAnOption(t *testing.T) {
	for _, name := range []string{"a?mode=memory", "b#c", "d%41", "e f&g", "ü"} {
		path := filepath.Join(t.TempDir(), name)
		db, err := sqlite.Open(path, sqlite.Options{})
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: not the file that was opened: %v %v", name, info, err)
		}
	}
}

func TestErrorUndoesOnlyItsPart(t *testing.T) {
	db := open(t, sqlite.Options{})
	const writers = 64
	errOdd := errors.New("odd")
	errs := together(writers, func(i int) error {
		return db.Write(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO t (n) VALUES (?)", i); err != nil {
				return err
			}
			switch {
			case i%8 == 3: // SQLite's own refusal
				_, err := tx.ExecContext(t.Context(), "INSERT INTO t (n) VALUES (?)", i)
				return err
			case i%2 == 1:
				return errOdd
			}
			return nil
		})
	})
	for i, err := range errs {
		switch {
		case i%8 == 3 && !sqlite.IsUnique(err), i%8 != 3 && i%2 == 1 && !errors.Is(err, errOdd), i%2 == 0 && err != nil:
			t.Errorf("writer %d: %v", i, err)
		}
	}
	rows := numbers(t, db)
	if len(rows) != writers/2 {
		t.Errorf("%d rows, want %d", len(rows), writers/2)
	}
	for n := range rows {
		if n%2 == 1 {
			t.Errorf("row %d is of a failed write", n)
		}
	}
}

func TestPanicUndoesOnlyItsPart(t *testing.T) {
	db := open(t, sqlite.Options{})
	var caught any
	func() {
		defer func() { caught = recover() }()
		_ = db.Write(t.Context(), func(tx *sql.Tx) error {
			_, _ = tx.ExecContext(t.Context(), "INSERT INTO t (n) VALUES (1)")
			panic("boom")
		})
	}()
	if caught != "boom" {
		t.Errorf("recovered %v", caught)
	}
	insert(t, db, 2)
	if rows := numbers(t, db); len(rows) != 1 || !rows[2] {
		t.Errorf("rows %v, want only 2", rows)
	}
}

// TestLostTransaction: whatever ends the shared transaction, no write that
// reported an error is there, each that reported success is, and the next works.
func TestLostTransaction(t *testing.T) {
	db := open(t, sqlite.Options{})
	errs := together(32, func(i int) error {
		return db.Write(t.Context(), func(tx *sql.Tx) error {
			query := "INSERT INTO t (n) VALUES (?)"
			if i%10 == 5 {
				query = "INSERT OR ROLLBACK INTO t (n) VALUES (?), (1), (1)"
			}
			_, err := tx.ExecContext(t.Context(), query, i+100)
			return err
		})
	})
	rows := numbers(t, db)
	for i, err := range errs {
		if rows[i+100] != (err == nil) {
			t.Errorf("write %d: error %v, present %v", i, err, rows[i+100])
		}
	}
	insert(t, db, 1000)
}

func TestFullDatabase(t *testing.T) {
	db := open(t, sqlite.Options{})
	insert(t, db, 1)
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "PRAGMA max_page_count = 4"); err != nil {
			return err
		}
		_, err := tx.ExecContext(t.Context(), "INSERT INTO t (n, pad) VALUES (2, zeroblob(1000000))")
		return err
	})
	if !errors.Is(err, fsx.ErrNoSpace) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want ErrNoSpace in one line", err)
	}
	if rows := numbers(t, db); len(rows) != 1 {
		t.Errorf("rows %v, want only 1", rows)
	}
	err = db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "PRAGMA max_page_count = 1000000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, db, 3)
}

func TestContext(t *testing.T) {
	db := open(t, sqlite.Options{})
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Write(done, func(*sql.Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}

	// One that ends while the caller waits for its turn.
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Write(t.Context(), func(*sql.Tx) error { close(inside); <-release; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	waiting, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := db.Write(waiting, func(*sql.Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context that ends in the queue: %v", err)
	}
	close(release)
	wg.Wait()

	// One that ends inside: the next statement fails, the others' parts stay.
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO t (n) VALUES (1)"); err != nil {
			return err
		}
		cancel()
		_, err := tx.ExecContext(ctx, "INSERT INTO t (n) VALUES (2)")
		return err
	})
	if !errors.Is(err, context.Canceled) || count(t, db) != 0 {
		t.Errorf("context that ends inside: %v, %d rows", err, count(t, db))
	}
}

// TestCancelledWritersDoNoHarm cancels at random moments, statements running.
func TestCancelledWritersDoNoHarm(t *testing.T) {
	db := open(t, sqlite.Options{})
	errs := together(64, func(i int) error {
		ctx := t.Context()
		if i%3 == 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(4000))*time.Microsecond)
			defer cancel()
		}
		return db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO t (n, pad) SELECT ?, group_concat(value) FROM generate_series_like", i)
			return err
		})
	})
	rows := numbers(t, db)
	for i, err := range errs {
		if rows[i] != (err == nil) || (err != nil && !errors.Is(err, context.DeadlineExceeded)) {
			t.Errorf("write %d: error %v, present %v", i, err, rows[i])
		}
	}
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Write(t.Context(), func(*sql.Tx) error { return nil }); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("after Close: %v %v, want the database file alone", entries, err)
	}
}

func TestCloseWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := openAt(t, path, sqlite.Options{})
	time.AfterFunc(5*time.Millisecond, func() { _ = db.Close() })
	var mu sync.Mutex
	acknowledged := 0
	together(16, func(i int) error {
		for n := 0; ; n++ {
			err := db.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), "INSERT INTO t (n) VALUES (?)", i*1_000_000+n)
				return err
			})
			if err != nil {
				if !errors.Is(err, sqlite.ErrClosed) {
					t.Errorf("writer %d: %v", i, err)
				}
				return nil
			}
			mu.Lock()
			acknowledged++
			mu.Unlock()
		}
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := count(t, openAt(t, path, sqlite.Options{})); got != acknowledged {
		t.Errorf("%d rows, %d acknowledged", got, acknowledged)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	var faults fsxtest.Faults
	faults.FailNth(fsx.OpCreate, 1, fsx.ErrReadOnly)
	if _, err := sqlite.Open(filepath.Join(dir, "x.db"), sqlite.Options{FS: faults.FS()}); !errors.Is(err, fsx.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, []byte(strings.Repeat("this is no database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(junk, sqlite.Options{}); err == nil || !strings.Contains(err.Error(), junk) {
		t.Errorf("junk: %v, want an error that names the file", err)
	}
	if _, err := sqlite.Open(dir, sqlite.Options{}); err == nil {
		t.Error("opened a folder")
	}
	if _, err := sqlite.Open(filepath.Join(dir, "y.db"), sqlite.Options{Readers: -1}); err == nil {
		t.Error("took -1 readers")
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := open(b, sqlite.Options{})
			work := make(chan int)
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for i := range work {
						err := db.Write(b.Context(), func(tx *sql.Tx) error {
							_, err := tx.ExecContext(b.Context(), "INSERT INTO t (n) VALUES (?)", i)
							return err
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			before := db.Commits()
			for i := range b.N {
				work <- i
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(b.N)/float64(db.Commits()-before), "writes/commit")
		})
	}
}

func open(tb testing.TB, o sqlite.Options) *sqlite.DB {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "test.db"), o)
}

func openAt(tb testing.TB, path string, o sqlite.Options) *sqlite.DB {
	tb.Helper()
	db, err := sqlite.Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := createTables(context.Background(), db); err != nil {
		tb.Fatal(err)
	}
	return db
}

func createTables(ctx context.Context, db *sqlite.DB) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, pad BLOB);
			CREATE VIEW IF NOT EXISTS generate_series_like AS
				WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c LIMIT 500) SELECT value FROM c;`)
		return err
	})
}

func insert(tb testing.TB, db *sqlite.DB, n int) {
	tb.Helper()
	err := db.Write(tb.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(tb.Context(), "INSERT INTO t (n) VALUES (?)", n)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func count(tb testing.TB, db *sqlite.DB) int {
	tb.Helper()
	return len(numbers(tb, db))
}

func numbers(tb testing.TB, db *sqlite.DB) map[int]bool {
	tb.Helper()
	rows, err := db.Read().QueryContext(tb.Context(), "SELECT n FROM t")
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	got := map[int]bool{}
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			tb.Fatal(err)
		}
		got[n] = true
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return got
}

// together runs f(0) to f(n-1) at once and returns their errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}
