package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/sqlite"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	st := open(t, dir)
	sealed, err := st.Keys.Seal([]byte("secret"), []byte("ctx"))
	if err != nil {
		t.Fatal(err)
	}
	id := put(t, st, "content")
	addScript(t, st, "s1", "hello")
	closeStore(t, st)

	st = open(t, dir)
	defer closeStore(t, st)
	if plain, err := st.Keys.Open(sealed, []byte("ctx")); err != nil || string(plain) != "secret" {
		t.Errorf("sealed data after reopening: %q %v", plain, err)
	}
	if !st.Blobs.Has(id) {
		t.Error("the blob is gone")
	}
	if got := scriptNames(t, st); got != "hello" {
		t.Errorf("scripts %q", got)
	}
	for name, want := range map[string]fs.FileMode{
		".": 0o700, "selvage.db": 0o600, "keys": 0o700, "keys/master": 0o600, "blobs": 0o700, "lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", name, info.Mode().Perm(), want, err)
		}
	}
}

func TestSecondOpenIsLocked(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir)
	_, err := store.Open(dir)
	var locked *fsx.LockedError
	if !errors.Is(err, store.ErrLocked) || !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("second Open: %v, want ErrLocked with the process id", err)
	}
	closeStore(t, st)
	closeStore(t, open(t, dir))
}

func TestNewerDirectoryStaysAsItIs(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			src, dir := t.TempDir(), t.TempDir()
			closeStore(t, open(t, src))
			db, err := sqlite.Open(filepath.Join(src, "selvage.db"), sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			exec(t, db, "PRAGMA user_version = 99")
			if killed { // as a kill leaves it: the version is in the log alone
				copyDir(t, src, dir)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if !killed {
				copyDir(t, src, dir)
			}
			before := snapshot(t, dir)
			_, err = store.Open(dir)
			var newer *store.NewerError
			if !errors.As(err, &newer) || newer.Have != 99 || newer.Know < 2 || newer.Dir != dir {
				t.Fatalf("Open: %v, want NewerError", err)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("changed on disk:\n%s", diff)
			}
		})
	}
}

func TestForeignDatabase(t *testing.T) {
	dir := t.TempDir()
	db, err := sqlite.Open(filepath.Join(dir, "selvage.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, "PRAGMA application_id = 7; CREATE TABLE mine (x)")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	if _, err := store.Open(dir); err == nil || !strings.Contains(err.Error(), "not a selvage database") {
		t.Errorf("Open: %v", err)
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("changed on disk:\n%s", diff)
	}
}

func TestJunkInPlaceOfTheDatabase(t *testing.T) {
	for _, content := range []string{"junk", strings.Repeat("junk ", 1000)} {
		dir := t.TempDir()
		path := filepath.Join(dir, "selvage.db")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(dir); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open: %v, want an error that names the file", err)
		}
		if diff := cmp.Diff(map[string]string{"selvage.db": content}, snapshot(t, dir)); diff != "" {
			t.Errorf("changed on disk:\n%s", diff)
		}
	}
}

func TestSchemaHoldsItsRules(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	addScript(t, st, "s1", "hello")
	exec(t, st.DB, `INSERT INTO versions (id, script_id, number, created_at, document) VALUES ('v1', 's1', 1, 0, '{}');
		INSERT INTO version_blobs VALUES ('v1', 'b');
		INSERT INTO deployments VALUES ('d1', 's1', 0, 1, '{}');
		INSERT INTO preview_aliases VALUES ('s1', 'a', 'v1')`)
	for name, query := range map[string]string{
		"duplicate name":   "INSERT INTO scripts (id, account_id, name, created_at, modified_at) VALUES ('s2', 'acc', 'hello', 0, 0)",
		"duplicate number": "INSERT INTO versions (id, script_id, number, created_at, document) VALUES ('v2', 's1', 1, 0, '{}')",
		"no script":        "INSERT INTO versions (id, script_id, number, created_at, document) VALUES ('v2', 'nope', 2, 0, '{}')",
		"wrong type":       "INSERT INTO scripts (id, account_id, name, created_at, modified_at) VALUES ('s3', 'acc', 'x', 'monday', 0)",
		"token of nobody":  "INSERT INTO tokens (id, account_id, name, hash, scopes, created_at) VALUES ('t', 'nope', 'n', x'00', '[]', 0)",
	} {
		err := st.DB.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), query)
			return err
		})
		if !sqlite.IsConstraint(err) {
			t.Errorf("%s: %v, want a constraint error", name, err)
		}
	}
	exec(t, st.DB, "DELETE FROM scripts")
	for _, table := range []string{"versions", "version_blobs", "deployments", "preview_aliases"} {
		var n int
		if err := st.DB.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s has %d rows after the script is gone (%v)", table, n, err)
		}
	}
}

// TestOpenStops kills the first start at every step; the next one works.
func TestOpenStops(t *testing.T) {
	for n := 1; ; n++ {
		dir := filepath.Join(t.TempDir(), "data")
		var faults fsxtest.Faults
		faults.StopAt(n)
		st, err := store.OpenWith(dir, store.Options{FS: faults.FS()})
		if err == nil {
			closeStore(t, st)
			if faults.Stopped() || n < 10 {
				t.Fatalf("step %d: no error", n)
			}
			return
		}
		if !errors.Is(err, fsxtest.ErrStopped) {
			t.Fatalf("step %d: %v", n, err)
		}
		st, err = store.Open(dir)
		if err != nil {
			t.Fatalf("after a stop at step %d: %v", n, err)
		}
		put(t, st, "content")
		closeStore(t, st)
	}
}

func TestOpenOnBadDisk(t *testing.T) {
	for _, test := range []struct {
		op   fsx.Op
		err  error
		want error
	}{
		{fsx.OpMkdir, syscall.EROFS, fsx.ErrReadOnly},
		{fsx.OpLock, syscall.EROFS, fsx.ErrReadOnly},
		{fsx.OpCreate, syscall.EROFS, fsx.ErrReadOnly},
		{fsx.OpWrite, syscall.ENOSPC, fsx.ErrNoSpace},
	} {
		var faults fsxtest.Faults
		faults.FailNth(test.op, 1, test.err)
		_, err := store.OpenWith(filepath.Join(t.TempDir(), "data"), store.Options{FS: faults.FS()})
		if !errors.Is(err, test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %v: %v, want %v in one line", test.op, test.err, err, test.want)
		}
	}
}

func open(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return st
}

func closeStore(tb testing.TB, st *store.Store) {
	tb.Helper()
	if err := st.Close(); err != nil {
		tb.Error(err)
	}
}

func exec(tb testing.TB, db *sqlite.DB, query string) {
	tb.Helper()
	err := db.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(query)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func addScript(tb testing.TB, st *store.Store, id, name string) {
	tb.Helper()
	exec(tb, st.DB, fmt.Sprintf(
		"INSERT INTO scripts (id, account_id, name, created_at, modified_at) VALUES ('%s', 'acc', '%s', 1767225600000, 1767225600000)", id, name))
}

func scriptNames(tb testing.TB, st *store.Store) string {
	tb.Helper()
	var names string
	if err := st.DB.Read().QueryRow("SELECT group_concat(name) FROM scripts").Scan(&names); err != nil {
		tb.Fatal(err)
	}
	return names
}

func put(tb testing.TB, st *store.Store, content string) string {
	tb.Helper()
	id, size, err := st.Blobs.Put(tb.Context(), strings.NewReader(content), int64(len(content)))
	if err != nil || size != int64(len(content)) {
		tb.Fatalf("Put: %d bytes, %v", size, err)
	}
	return id
}

// snapshot returns the content of every file below dir, without the lock and
// SQLite's shared memory, which is a cache.
func snapshot(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == "lock" || strings.HasSuffix(path, "-shm") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// copyDir copies a data directory with the modes that Open asks for, which a
// checkout does not keep.
func copyDir(tb testing.TB, from, to string) {
	tb.Helper()
	err := fs.WalkDir(os.DirFS(from), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, path), 0o700)
		}
		data, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), data, 0o600)
	})
	if err != nil {
		tb.Fatal(err)
	}
}
