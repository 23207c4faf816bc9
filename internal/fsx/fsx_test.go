package fsx_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/fsx/fsxtest"
)

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, text := range []string{"one", "", "a longer text"} {
		if err := fsx.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != text {
			t.Errorf("read %q, want %q", got, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	wantEntries(t, filepath.Dir(path), "a")
}

func TestCommitAndDiscard(t *testing.T) {
	dir := t.TempDir()
	f, err := fsx.CreateTemp(dir, "name")
	if err != nil {
		t.Fatal(err)
	}
	if !fsx.IsTemp(filepath.Base(f.Name())) {
		t.Errorf("IsTemp(%q) = false", f.Name())
	}
	if _, err := f.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if err := fsx.Commit(f, filepath.Join(dir, "name")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after Commit: %v, want closed", err)
	}
	f, err = fsx.CreateTemp(dir, "name")
	if err != nil {
		t.Fatal(err)
	}
	if err := (fsx.FS{}).Discard(f); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, dir, "name")
}

// TestWriteFileFaults makes every kind of step fail in turn: the old content
// stays, or the new one is there in full, and no temporary file is left.
func TestWriteFileFaults(t *testing.T) {
	for _, test := range []struct {
		op   fsx.Op
		err  error
		want string
		is   error
	}{
		{fsx.OpCreate, syscall.EROFS, "old", fsx.ErrReadOnly},
		{fsx.OpCreate, syscall.EACCES, "old", fs.ErrPermission},
		{fsx.OpWrite, syscall.ENOSPC, "old", fsx.ErrNoSpace},
		{fsx.OpWrite, syscall.EDQUOT, "old", fsx.ErrNoSpace},
		{fsx.OpSync, syscall.EIO, "old", syscall.EIO},
		{fsx.OpRename, syscall.EROFS, "old", fsx.ErrReadOnly},
		{fsx.OpSyncDir, syscall.EIO, "new", syscall.EIO},
	} {
		t.Run(fmt.Sprintf("%s %v", test.op, test.err), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			if err := fsx.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			var faults fsxtest.Faults
			faults.FailNth(test.op, 1, test.err)
			err := faults.FS().WriteFile(path, []byte("new"), 0o600)
			if !errors.Is(err, test.is) || !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.is)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error is more than a line: %q", err)
			}
			if got := read(t, path); got != test.want {
				t.Errorf("content %q, want %q", got, test.want)
			}
			wantEntries(t, filepath.Dir(path), "a")
		})
	}
}

// TestWriteFileStops kills the writer at every step.
func TestWriteFileStops(t *testing.T) {
	for n := 1; ; n++ {
		path := filepath.Join(t.TempDir(), "a")
		if err := fsx.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		var faults fsxtest.Faults
		faults.StopAt(n)
		err := faults.FS().WriteFile(path, []byte("new"), 0o600)
		if !faults.Stopped() {
			if err != nil || n < 5 {
				t.Fatalf("no stop at step %d: %v", n, err)
			}
			return
		}
		if !errors.Is(err, fsxtest.ErrStopped) {
			t.Errorf("step %d: error %v, want the stop", n, err)
		}
		if got := read(t, path); got != "old" && got != "new" {
			t.Errorf("step %d: content %q", n, got)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "a" && !fsx.IsTemp(e.Name()) {
				t.Errorf("step %d: left %s", n, e.Name())
			}
		}
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	var faults fsxtest.Faults
	if err := faults.FS().MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := faults.Steps(); got != 6 { // three folders, the parent of each synced
		t.Errorf("%d steps, want 6", got)
	}
	if err := fsx.MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := fsx.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"file", "file/below"} {
		if err := fsx.MkdirAll(filepath.Join(dir, path), 0o700); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("MkdirAll(%s) = %v, want not a directory", path, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	err := fsx.NewError(fsx.OpWrite, "/data/x", &os.PathError{Op: "write", Path: "/data/x", Err: syscall.ENOSPC})
	want := "write /data/x: no space left on the file system: free some space there or move the data to a larger file system"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if fsx.NewError(fsx.OpWrite, "x", nil) != nil {
		t.Error("NewError(nil) is an error")
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := fsx.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fsx.Lock(path)
	var locked *fsx.LockedError
	if !errors.Is(err, fsx.ErrLocked) || !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("second Lock: %v, want ErrLocked with our pid", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "" {
		t.Errorf("the free lock names %q", got)
	}
	unlock, err = fsx.Lock(path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

// TestLockOfKilledProcess: the lock goes with its process, however it dies.
func TestLockOfKilledProcess(t *testing.T) {
	if path := os.Getenv("FSX_TEST_LOCK"); path != "" {
		if _, err := fsx.Lock(path); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		select {}
	}
	path := filepath.Join(t.TempDir(), "lock")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockOfKilledProcess$")
	child.Env = append(os.Environ(), "FSX_TEST_LOCK="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	var locked *fsx.LockedError
	if _, err := fsx.Lock(path); !errors.As(err, &locked) || locked.PID != child.Process.Pid {
		t.Errorf("Lock: %v, want locked by %d", err, child.Process.Pid)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	unlock, err := fsx.Lock(path)
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %v, want %v", dir, got, want)
	}
}
