package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

// TestKilledProcessKeepsAcknowledged kills a writing process at random times.
func TestKilledProcessKeepsAcknowledged(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "crash.db")
	seen := map[int]bool{}
	for round := range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), "SQLITE_TEST_CRASH="+path)
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
				time.AfterFunc(time.Duration(random.IntN(150))*time.Millisecond, func() { _ = child.Process.Kill() })
			})
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				break // the line that the kill cut off
			}
			seen[n] = true
		}
		_ = child.Wait()
		db := openAt(t, path, sqlite.Options{})
		rows := numbers(t, db)
		for n := range seen {
			if !rows[n] {
				t.Errorf("round %d: %d was acknowledged and is gone", round, n)
			}
		}
		var check string
		if err := db.Read().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
			t.Errorf("round %d: integrity: %s %v", round, check, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d writes were acknowledged in all", len(seen))
	}
	t.Logf("%d acknowledged writes", len(seen))
}

// crashChild writes from several goroutines and prints each number once its
// Write has returned, until it is killed.
func crashChild(path string) {
	db, err := sqlite.Open(path, sqlite.Options{})
	if err == nil {
		err = createTables(context.Background(), db)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	base := int(time.Now().UnixMicro()) * 1000
	var mu sync.Mutex
	next := 0
	together(8, func(int) error {
		for {
			mu.Lock()
			next++
			n := base + next
			mu.Unlock()
			err := db.Write(context.Background(), func(tx *sql.Tx) error {
				_, err := tx.Exec("INSERT INTO t (n, pad) VALUES (?, zeroblob(300))", n)
				return err
			})
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			// One system call: lines of several goroutines do not mix.
			_, _ = os.Stdout.WriteString(strconv.Itoa(n) + "\n")
		}
	})
}
