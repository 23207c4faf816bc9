package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

// TestWaitingWritesShareACommit queues 64 writes behind one that is inside its
// function: all go into its transaction, as far as MaxBatch lets them.
func TestWaitingWritesShareACommit(t *testing.T) {
	for _, test := range []struct {
		maxBatch int
		commits  int64
	}{
		{0, 1},
		{10, 7}, // 65 writes, 10 at a time
		{1, 65},
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			db := openAt(t, filepath.Join(dir, "x.db"), sqlite.Options{MaxBatch: test.maxBatch})
			before := db.Commits()
			release := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := db.Write(t.Context(), func(*sql.Tx) error { <-release; return nil }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			for i := range 64 {
				wg.Go(func() { insert(t, db, i) })
			}
			synctest.Wait()
			close(release)
			wg.Wait()
			if got := db.Commits() - before; got != test.commits {
				t.Errorf("MaxBatch %d: %d commits, want %d", test.maxBatch, got, test.commits)
			}
			if got := count(t, db); got != 64 {
				t.Errorf("%d rows, want 64", got)
			}
		})
	}
}
