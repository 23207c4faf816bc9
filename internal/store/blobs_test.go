package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
	"github.com/selvage-dev/selvage/internal/store"
)

func TestBlobs(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	for _, content := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("0123456789abcdef"), 64<<10)} {
		sum := sha256.Sum256(content)
		want := hex.EncodeToString(sum[:])
		for range 2 {
			id, size, err := st.Blobs.Put(t.Context(), iotest.HalfReader(bytes.NewReader(content)), int64(len(content)))
			if err != nil || id != want || size != int64(len(content)) {
				t.Fatalf("Put of %d bytes: %s %d %v", len(content), id, size, err)
			}
		}
		f, err := st.Blobs.Open(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		f.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("read back %d bytes of %d (%v)", len(got), len(content), err)
		}
		if st.Blobs.Path(want) != filepath.Join(st.Dir, "blobs", want[:2], want) || !st.Blobs.Has(want) {
			t.Errorf("Path %s, Has %v", st.Blobs.Path(want), st.Blobs.Has(want))
		}
		for range 2 {
			if err := st.Blobs.Delete(want); err != nil {
				t.Error(err)
			}
		}
		if _, err := st.Blobs.Open(want); !errors.Is(err, store.ErrNotFound) || st.Blobs.Has(want) {
			t.Errorf("after Delete: %v", err)
		}
	}
	wantNoTemp(t, st)
}

func TestBlobIDsStayInside(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	for _, id := range []string{
		"", ".", "..", "../../keys/master", "../keys/master" + strings.Repeat("a", 50),
		strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("a", 65), strings.Repeat("/", 64),
	} {
		if _, err := st.Blobs.Open(id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Open(%q): %v", id, err)
		}
		if st.Blobs.Has(id) || st.Blobs.Path(id) != "" {
			t.Errorf("Has(%q) %v, Path %q", id, st.Blobs.Has(id), st.Blobs.Path(id))
		}
		if err := st.Blobs.Delete(id); err != nil {
			t.Errorf("Delete(%q): %v", id, err)
		}
	}
	if _, err := os.Stat(filepath.Join(st.Dir, "keys", "master")); err != nil {
		t.Error(err)
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	var faults fsxtest.Faults
	st, err := store.OpenWith(t.TempDir(), store.Options{FS: faults.FS()})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, st)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	errRead := errors.New("connection reset")
	for name, test := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		max  int64
		op   fsx.Op
		err  error
		want error
	}{
		"too large":     {r: strings.NewReader("12345"), max: 4, want: store.ErrTooLarge},
		"no limit left": {r: strings.NewReader("1"), max: 0, want: store.ErrTooLarge},
		"reader fails":  {r: iotest.ErrReader(errRead), max: 9, want: errRead},
		"context ended": {ctx: ended, r: strings.NewReader("1"), max: 9, want: context.Canceled},
		"disk full":     {r: strings.NewReader("1"), max: 9, op: fsx.OpWrite, err: syscall.ENOSPC, want: fsx.ErrNoSpace},
		"sync fails":    {r: strings.NewReader("1"), max: 9, op: fsx.OpSync, err: syscall.EIO, want: syscall.EIO},
		"rename fails":  {r: strings.NewReader("1"), max: 9, op: fsx.OpRename, err: syscall.EROFS, want: fsx.ErrReadOnly},
	} {
		if test.ctx == nil {
			test.ctx = t.Context()
		}
		if test.op != "" {
			faults.FailNth(test.op, 1, test.err)
		}
		if id, _, err := st.Blobs.Put(test.ctx, test.r, test.max); !errors.Is(err, test.want) || id != "" {
			t.Errorf("%s: id %q, error %v, want %v", name, id, err, test.want)
		}
		wantNoTemp(t, st)
	}
	if n, err := st.Blobs.Sweep(t.Context(), func(string) bool { return false }, -time.Hour); n != 0 || err != nil {
		t.Errorf("%d blobs are there (%v)", n, err)
	}
}

func TestInterruptedPutsAreRemovedAtOpen(t *testing.T) {
	dir := t.TempDir()
	var faults fsxtest.Faults
	st, err := store.OpenWith(dir, store.Options{FS: faults.FS()})
	if err != nil {
		t.Fatal(err)
	}
	faults.StopAt(3) // after create and write: the temporary file stays
	if _, _, err := st.Blobs.Put(t.Context(), strings.NewReader("x"), 9); !errors.Is(err, fsxtest.ErrStopped) {
		t.Fatalf("Put: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "blobs", "tmp")); err != nil || len(left) != 1 {
		t.Fatalf("the stop left %v (%v), want one file", left, err)
	}
	closeStore(t, st)
	st = open(t, dir)
	defer closeStore(t, st)
	wantNoTemp(t, st)
}

func TestDamagedBlobIsReplaced(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	id := put(t, st, "content")
	if err := os.Truncate(st.Blobs.Path(id), 3); err != nil {
		t.Fatal(err)
	}
	put(t, st, "content")
	if data, err := os.ReadFile(st.Blobs.Path(id)); err != nil || string(data) != "content" {
		t.Errorf("read %q (%v)", data, err)
	}
}

func TestSweep(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	wanted, young, again, garbage := put(t, st, "wanted"), put(t, st, "young"), put(t, st, "again"), put(t, st, "garbage")
	old := time.Now().Add(-2 * time.Hour)
	for _, id := range []string{wanted, again, garbage} {
		if err := os.Chtimes(st.Blobs.Path(id), old, old); err != nil {
			t.Fatal(err)
		}
	}
	put(t, st, "again") // counts as new: its row may be on the way
	n, err := st.Blobs.Sweep(t.Context(), func(id string) bool { return id == wanted }, time.Hour)
	if n != 1 || err != nil {
		t.Errorf("removed %d (%v), want 1", n, err)
	}
	for id, want := range map[string]bool{wanted: true, young: true, again: true, garbage: false} {
		if st.Blobs.Has(id) != want {
			t.Errorf("blob %s: there %v, want %v", id[:8], !want, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Blobs.Sweep(ended, func(string) bool { return true }, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// TestPutWhileSweeping: what Put returned is there, however old the copy was
// that a sweep was about to remove.
func TestPutWhileSweeping(t *testing.T) {
	st := open(t, t.TempDir())
	defer closeStore(t, st)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := st.Blobs.Sweep(t.Context(), func(string) bool { return false }, time.Hour); err != nil {
				t.Error(err)
			}
		}
	})
	var putters sync.WaitGroup
	for p := range 4 {
		putters.Go(func() {
			old := time.Now().Add(-2 * time.Hour)
			for i := range 60 {
				id := put(t, st, fmt.Sprint(p, i%5))
				if !st.Blobs.Has(id) {
					t.Errorf("blob %s is gone", id)
				}
				if err := os.Chtimes(st.Blobs.Path(id), old, old); err != nil {
					t.Error(err)
				}
			}
		})
	}
	putters.Wait()
	close(stop)
	wg.Wait()
}

func wantNoTemp(tb testing.TB, st *store.Store) {
	tb.Helper()
	left, err := os.ReadDir(filepath.Join(st.Dir, "blobs", "tmp"))
	if err != nil || len(left) != 0 {
		tb.Errorf("temporary files are left: %v (%v)", left, err)
	}
}
