//go:build linux

package native

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sort that is larger than the page cache goes on in a file of the folder, not in the
// memory of the process.
func TestSortSpillsIntoTempDir(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	SetTempDir(dir)
	c, err := Open(filepath.Join(t.TempDir(), "db.sqlite"), Options{Create: true, Setup: "PRAGMA cache_size=-1000"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	s, _, err := c.Prepare("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300000) SELECT count(*) FROM (SELECT i FROM n ORDER BY hex(randomblob(40)) LIMIT -1)")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Run(s, &Args{})
		done <- err
	}()
	seen := false
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if !seen {
				t.Error("no temporary file was seen in the folder")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the folder: %v, %v", left, err)
			}
			return
		default:
			seen = seen || opened(t, dir)
		}
	}
}

func opened(t *testing.T, dir string) bool {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}
