package certs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// storage keeps what the ACME client writes, each value in a file. One process has the data directory, so locks
// are its own.
type storage struct {
	dir string

	mu    sync.Mutex
	locks map[string]chan struct{} // closed when released
}

func newStorage(dir string) *storage {
	return &storage{dir: dir, locks: make(map[string]chan struct{})}
}

var _ certmagic.Storage = (*storage)(nil)

// path returns the file of a key, which never leaves the folder.
func (s *storage) path(key string) (string, error) {
	name := filepath.FromSlash(key)
	if !filepath.IsLocal(name) || strings.ContainsRune(key, 0) {
		return "", fmt.Errorf("certs: %q is not a key", key)
	}
	return filepath.Join(s.dir, name), nil
}

// Store implements certmagic.Storage.
func (s *storage) Store(_ context.Context, key string, value []byte) error {
	name, err := s.path(key)
	if err != nil {
		return err
	}
	if err := fsx.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return fsx.WriteFile(name, value, 0o600)
}

// Load implements certmagic.Storage. Its error is fs.ErrNotExist when there is nothing.
func (s *storage) Load(_ context.Context, key string) ([]byte, error) {
	name, err := s.path(key)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name) //nolint:gosec // path keeps it in the folder
}

// Delete implements certmagic.Storage: of a folder it removes all that is in it.
func (s *storage) Delete(_ context.Context, key string) error {
	name, err := s.path(key)
	if err != nil {
		return err
	}
	return os.RemoveAll(name)
}

// Exists implements certmagic.Storage.
func (s *storage) Exists(_ context.Context, key string) bool {
	name, err := s.path(key)
	if err != nil {
		return false
	}
	_, err = os.Stat(name)
	return err == nil
}

// List implements certmagic.Storage.
func (s *storage) List(_ context.Context, prefix string, recursive bool) ([]string, error) { //nolint:revive // the interface's
	top, err := s.path(prefix)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == top || fsx.IsTemp(d.Name()):
			return nil
		}
		rel, err := filepath.Rel(s.dir, name)
		if err != nil {
			return err
		}
		keys = append(keys, filepath.ToSlash(rel))
		if d.IsDir() && !recursive {
			return filepath.SkipDir
		}
		return nil
	})
	return keys, err
}

// Stat implements certmagic.Storage.
func (s *storage) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	name, err := s.path(key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: info.ModTime(), Size: info.Size(), IsTerminal: !info.IsDir()}, nil
}

// Lock implements certmagic.Storage.
func (s *storage) Lock(ctx context.Context, name string) error {
	for {
		s.mu.Lock()
		held, taken := s.locks[name]
		if !taken {
			s.locks[name] = make(chan struct{})
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock implements certmagic.Storage.
func (s *storage) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, taken := s.locks[name]
	if !taken {
		return fmt.Errorf("certs: %q is not locked", name)
	}
	delete(s.locks, name)
	close(held)
	return nil
}
