package workerd

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// sockets are the listening sockets of one process, made here and handed over
// open, so that there is never one at the path that nobody listens on.
type sockets struct {
	http, ready string     // paths
	paths       []string   // of all of them
	files       []*os.File // in the order of the descriptors, as paths
}

// prepareDir returns the absolute path of a folder that only this user can enter
// and that holds no sockets of an earlier process.
func prepareDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("workerd: private folder: %w", err)
	}
	if n := len(filepath.Join(abs, readySocket)); n > maxSocketPath {
		return "", fmt.Errorf("workerd: the path of the private folder %s is %d bytes too long for a unix socket; use a data directory with a shorter path", abs, n-maxSocketPath)
	}
	info, err := os.Lstat(abs)
	if err != nil {
		return "", fmt.Errorf("workerd: private folder: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("workerd: private folder %s is not a folder", abs)
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(abs, 0o700); err != nil { //nolint:gosec // a folder needs the x bit
			return "", fmt.Errorf("workerd: private folder: %w", err)
		}
	}
	return abs, nil
}

func listen(dir string, more []Socket) (_ *sockets, err error) {
	s := &sockets{http: filepath.Join(dir, httpSocket), ready: filepath.Join(dir, readySocket)}
	s.paths = []string{s.http, s.ready}
	for i := range more {
		s.paths = append(s.paths, filepath.Join(dir, more[i].File))
	}
	defer func() {
		if err != nil {
			s.closeFiles()
			s.remove()
		}
	}()
	for _, path := range s.paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("workerd: remove old socket: %w", err)
		}
		f, err := listenFile(path)
		if err != nil {
			return nil, fmt.Errorf("workerd: make socket: %w", err)
		}
		s.files = append(s.files, f)
	}
	return s, nil
}

func listenFile(path string) (*os.File, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	defer func() { _ = l.Close() }() // the file is a duplicate
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	return l.File()
}

// closeFiles closes our side, after which only the process listens: when it dies,
// connections are refused instead of left hanging. It may be called again.
func (s *sockets) closeFiles() {
	for _, f := range s.files {
		_ = f.Close()
	}
	s.files = nil
}

func (s *sockets) remove() {
	for _, path := range s.paths {
		_ = os.Remove(path)
	}
}
