package store_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/store"
)

var update = flag.Bool("update", false, "write testdata/vN anew for the newest format; never for a released one")

const (
	goldenSecret = "golden secret"
	goldenBlob   = "golden content"
)

// TestOldDataOpens opens a copy of every data directory in testdata, one for
// each format there ever was: what was put in is there, and it takes writes.
func TestOldDataOpens(t *testing.T) {
	if *update {
		writeGolden(t, "v1")
	}
	dirs, err := filepath.Glob("testdata/v*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no data directories in testdata (%v)", err)
	}
	for _, golden := range dirs {
		t.Run(filepath.Base(golden), func(t *testing.T) {
			dir := t.TempDir()
			copyDir(t, golden, dir)
			st := open(t, dir)
			defer closeStore(t, st)
			if got := scriptNames(t, st); got != "golden" {
				t.Errorf("scripts %q, want golden", got)
			}
			var document []byte
			err := st.DB.Read().QueryRowContext(t.Context(), "SELECT document FROM versions WHERE script_id = 's1'").Scan(&document)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := os.ReadFile(filepath.Join(dir, "sealed"))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := st.Keys.Open(sealed, []byte("golden/context")); err != nil || string(plain) != goldenSecret {
				t.Errorf("sealed secret: %q %v", plain, err)
			}
			blob, err := os.ReadFile(st.Blobs.Path(strings.Trim(string(document), `"`)))
			if err != nil || string(blob) != goldenBlob {
				t.Errorf("blob: %q %v", blob, err)
			}
			addScript(t, st, "s2", "new")
		})
	}
}

func writeGolden(t *testing.T, name string) {
	t.Helper()
	dir := t.TempDir()
	st := open(t, dir)
	id := put(t, st, goldenBlob)
	sealed, err := st.Keys.Seal([]byte(goldenSecret), []byte("golden/context"))
	if err != nil {
		t.Fatal(err)
	}
	fillGolden(t, st, id)
	closeStore(t, st)
	if err := os.WriteFile(filepath.Join(dir, "sealed"), sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join("testdata", name)
	if err := os.RemoveAll(target); err != nil {
		t.Fatal(err)
	}
	copyDir(t, dir, target)
}

func fillGolden(t *testing.T, st *store.Store, blob string) {
	t.Helper()
	addScript(t, st, "s1", "golden")
	exec(t, st.DB, `INSERT INTO versions (id, script_id, number, created_at, document) VALUES ('v1', 's1', 1, 1767225600000, '"`+blob+`"');
		INSERT INTO version_blobs VALUES ('v1', '`+blob+`');
		INSERT INTO deployments VALUES ('d1', 's1', 1767225600000, 1, '{}');
		INSERT INTO accounts VALUES ('acc', 'selvage', 'local', 'operator@selvage.localhost', 'user', 1767225600000);
		INSERT INTO tokens (id, account_id, name, hash, scopes, created_at) VALUES ('t1', 'acc', 'operator', x'00', '["*"]', 1767225600000)`)
}
