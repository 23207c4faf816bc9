package builds

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Where the folders of a build are in its sandbox.
const (
	insideSource = "/build/source"
	insideHome   = "/build/home"
	insideCache  = "/build/cache"
	insidePacked = "/build/packed"
)

// workspace is the folder of one build. It is gone when the build is over.
type workspace struct {
	fs  fsx.FS
	dir string
	// cache is the folder of dependencies that is kept; empty: none.
	cache string
}

func (s *Service) newWorkspace(b *Build) (*workspace, error) {
	w := &workspace{fs: s.o.Store.FS, dir: filepath.Join(s.o.workDir(), b.ID)}
	for _, dir := range []string{w.source(), w.home(), w.tmp(), w.etc(), w.packed()} {
		if err := w.fs.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("builds: make the folder of a build: %w", err)
		}
	}
	return w, nil
}

func (w *workspace) source() string { return filepath.Join(w.dir, "source") }
func (w *workspace) home() string   { return filepath.Join(w.dir, "home") }
func (w *workspace) tmp() string    { return filepath.Join(w.dir, "tmp") }
func (w *workspace) etc() string    { return filepath.Join(w.dir, "etc") }

// packed is where the platform's own program writes what it has put together. No command sees it.
func (w *workspace) packed() string { return filepath.Join(w.dir, "packed") }

func (w *workspace) openSource() (*os.Root, error) {
	root, err := os.OpenRoot(w.source())
	if err != nil {
		return nil, fmt.Errorf("builds: open the folder of a build: %w", err)
	}
	return root, nil
}

// useCache picks the dependencies that were downloaded for the same lock file, and
// forgets those that were not used for longest.
func (w *workspace) useCache(folder, project string, lock []byte) error {
	sum := sha256.Sum256(lock)
	of := filepath.Join(folder, project)
	w.cache = filepath.Join(of, hex.EncodeToString(sum[:]))
	if err := w.fs.MkdirAll(w.cache, 0o755); err != nil {
		return fmt.Errorf("builds: make a cache: %w", err)
	}
	now := time.Now()
	if err := os.Chtimes(w.cache, now, now); err != nil {
		return fmt.Errorf("builds: use a cache: %w", err)
	}
	entries, err := os.ReadDir(of)
	if err != nil {
		return fmt.Errorf("builds: list the caches: %w", err)
	}
	type kept struct {
		path string
		used time.Time
	}
	var all []kept
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all = append(all, kept{filepath.Join(of, e.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Compare(b.used.UnixNano(), a.used.UnixNano()) })
	for i, c := range all {
		if i >= keepCaches && c.path != w.cache {
			if err := os.RemoveAll(c.path); err != nil {
				return fmt.Errorf("builds: remove a cache: %w", err)
			}
		}
	}
	return nil
}

// maxCache bounds the dependencies that are kept for one lock file, in bytes.
const maxCache = 2 << 30

// keepCache drops a cache that has become too large.
func (w *workspace) keepCache() error {
	if w.cache == "" {
		return nil
	}
	size, err := diskUsage(w.cache, maxCache)
	if err == nil && size <= maxCache {
		return nil
	}
	if err := os.RemoveAll(w.cache); err != nil {
		return fmt.Errorf("builds: remove a cache: %w", err)
	}
	return nil
}

// give makes a user the owner of all that the build may change. Links are not
// followed.
func (w *workspace) give(user int) error {
	for _, dir := range []string{w.source(), w.home(), w.tmp(), w.packed(), w.cache} {
		if dir == "" {
			continue
		}
		err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(p, user, user) //nolint:gosec // no process of the build runs, so nobody changes what p leads to
		})
		if err != nil {
			return fmt.Errorf("builds: give the folder to the build: %w", err)
		}
	}
	return nil
}

// diskUsage adds up what is on disk below dir, and stops above limit.
func diskUsage(dir string, limit int64) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a build is at work
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		// An entry costs something even when it is empty.
		const entry = 512
		total += entry + blocks(info)
		if total > limit {
			return fs.SkipAll
		}
		return nil
	})
	return total, err
}
