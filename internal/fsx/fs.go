package fsx

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Op names one step that changes the file system, as a [Hook] sees it.
type Op string

// The steps.
const (
	OpCreate  Op = "create"
	OpWrite   Op = "write"
	OpSync    Op = "sync"
	OpRename  Op = "rename"
	OpRemove  Op = "remove"
	OpMkdir   Op = "mkdir"
	OpSyncDir Op = "sync directory"
	OpLock    Op = "lock"
)

// Hook is asked before each step. An error it returns becomes the error of
// that step, which then changes nothing. It may be called concurrently.
type Hook func(op Op, path string) error

// FS is the file system as this package uses it. The zero value is the real
// one; values are safe for concurrent use if their hook is.
type FS struct {
	hook Hook
}

// WithHook returns an [FS] that asks hook before every step it takes.
func WithHook(hook Hook) FS { return FS{hook: hook} }

// WriteFile puts data at path with mode perm (before umask), replacing what was
// there. See [FS.WriteFile].
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return FS{}.WriteFile(path, data, perm)
}

// CreateTemp makes a temporary file of mode 0600 in dir. See [FS.CreateTemp].
func CreateTemp(dir, pattern string) (*os.File, error) { return FS{}.CreateTemp(dir, pattern) }

// Commit makes f the file at path. See [FS.Commit].
func Commit(f *os.File, path string) error { return FS{}.Commit(f, path) }

// Rename gives a file or folder another name. See [FS.Rename].
func Rename(from, to string) error { return FS{}.Rename(from, to) }

// Remove removes a file. See [FS.Remove].
func Remove(path string) error { return FS{}.Remove(path) }

// SyncDir makes the entries of a folder durable. See [FS.SyncDir].
func SyncDir(path string) error { return FS{}.SyncDir(path) }

// MkdirAll makes path and its missing parents. See [FS.MkdirAll].
func MkdirAll(path string, perm os.FileMode) error { return FS{}.MkdirAll(path, perm) }

// Lock takes the lock file at path. See [FS.Lock].
func Lock(path string) (unlock func() error, err error) { return FS{}.Lock(path) }

// LockFile is Lock for a lock that a child process inherits. See [FS.LockFile].
func LockFile(path string) (*os.File, error) { return FS{}.LockFile(path) }

// IsTemp says whether name, the last element of a path, is one that CreateTemp
// makes: a file that nobody committed.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// WriteFile puts data at path with mode perm (before umask): it writes a
// temporary file beside it, syncs, renames, and syncs the folder. After an
// error the old file is as it was, unless the error came from the last sync:
// then the new one is in place but may not outlive a power failure.
func (s FS) WriteFile(path string, data []byte, perm os.FileMode) error {
	f, err := s.createTemp(filepath.Dir(path), filepath.Base(path), perm)
	if err != nil {
		return err
	}
	if _, err := s.Writer(f).Write(data); err != nil {
		return errors.Join(err, s.Discard(f))
	}
	return s.Commit(f, path)
}

// CreateTemp makes a temporary file of mode 0600 in dir, which must be the
// folder of the final name (a rename is atomic only within a file system). The
// pattern is part of the name, for whoever finds the file. The caller owns the
// file and ends it with Commit or Discard.
func (s FS) CreateTemp(dir, pattern string) (*os.File, error) {
	return s.createTemp(dir, pattern, 0o600)
}

// Commit syncs f, which CreateTemp made, closes it, renames it to path and
// syncs the folder. On failure before the rename the temporary file is removed.
// In every case f is closed.
func (s FS) Commit(f *os.File, path string) error {
	if err := s.syncFile(f); err != nil {
		return errors.Join(err, s.Discard(f))
	}
	if err := f.Close(); err != nil {
		return errors.Join(wrap(OpSync, f.Name(), err), s.Remove(f.Name()))
	}
	if err := s.Rename(f.Name(), path); err != nil {
		return errors.Join(err, s.Remove(f.Name()))
	}
	return s.SyncDir(filepath.Dir(path))
}

// Discard closes and removes a file that CreateTemp made and nobody wants. The
// file may be closed already.
func (s FS) Discard(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return errors.Join(wrap(OpRemove, f.Name(), err), s.Remove(f.Name()))
	}
	return s.Remove(f.Name())
}

// Writer returns f as a writer whose errors are those of this package and which
// passes the hook. It is the way to fill a file of CreateTemp.
func (s FS) Writer(f *os.File) io.Writer { return &writer{fs: s, file: f} }

// Rename renames a file; it does not sync the folder (see SyncDir).
func (s FS) Rename(from, to string) error {
	if err := s.ask(OpRename, to); err != nil {
		return err
	}
	return wrap(OpRename, to, os.Rename(from, to))
}

// Remove removes a file. That it is gone already is no error.
func (s FS) Remove(path string) error {
	if err := s.ask(OpRemove, path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return wrap(OpRemove, path, err)
	}
	return nil
}

// MkdirAll makes path and its missing parents with mode perm (before umask) and
// syncs the folder of each one it made, so that a file committed inside cannot
// be lost with its folder. A folder that exists keeps its mode.
func (s FS) MkdirAll(path string, perm os.FileMode) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return wrap(OpMkdir, path, &os.PathError{Op: "mkdir", Path: path, Err: errNotDir})
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := s.MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := s.ask(OpMkdir, path); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); err != nil {
		info, statErr := os.Stat(path)
		if statErr != nil || !info.IsDir() {
			return wrap(OpMkdir, path, err)
		}
		// Somebody else made it meanwhile. Their sync of the parent may not be
		// done yet, so ours is still needed.
	}
	return s.SyncDir(parent)
}

// SyncDir makes the entries of directory path durable.
func (s FS) SyncDir(path string) error {
	if err := s.ask(OpSyncDir, path); err != nil {
		return err
	}
	d, err := os.Open(path) //nolint:gosec // opening the path it is given is this package's work
	if err != nil {
		return wrap(OpSyncDir, path, err)
	}
	return wrap(OpSyncDir, path, errors.Join(d.Sync(), d.Close()))
}

func (s FS) createTemp(dir, pattern string, perm os.FileMode) (*os.File, error) {
	if err := s.ask(OpCreate, filepath.Join(dir, pattern)); err != nil {
		return nil, err
	}
	for {
		name := filepath.Join(dir, "."+pattern+"."+randomName()+".tmp")
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm) //nolint:gosec // opening the path it is given is this package's work
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, wrap(OpCreate, name, err)
		}
		return f, nil
	}
}

func (s FS) syncFile(f *os.File) error {
	if err := s.ask(OpSync, f.Name()); err != nil {
		return err
	}
	return wrap(OpSync, f.Name(), f.Sync())
}

func (s FS) ask(op Op, path string) error {
	if s.hook == nil {
		return nil
	}
	return wrap(op, path, s.hook(op, path))
}

type writer struct {
	fs   FS
	file *os.File
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.fs.ask(OpWrite, w.file.Name()); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	return n, wrap(OpWrite, w.file.Name(), err)
}
