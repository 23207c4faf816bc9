package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// maxRunDir is the longest path that leaves room for a process's folder and
// socket in the 107 bytes of a unix socket's address (unix(7)).
const maxRunDir = 60

// runDir returns the folder for the processes' sockets: in the data directory,
// or, when that has too long a path, a private one in the system's place for
// temporary files, named after the data directory. The latter is removed by release.
func runDir(dataDir string) (dir string, release func() error, err error) {
	dir = filepath.Join(dataDir, "run")
	if len(dir) <= maxRunDir {
		return dir, func() error { return nil }, nil
	}
	sum := sha256.Sum256([]byte(dataDir))
	name := fmt.Sprintf("selvage-%d-%s", os.Geteuid(), hex.EncodeToString(sum[:6]))
	for _, base := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/tmp"} {
		dir = filepath.Join(base, name)
		if base == "" || len(dir) > maxRunDir {
			continue
		}
		if err := makePrivate(dir); err != nil {
			return "", nil, err
		}
		return dir, func() error {
			if err := os.RemoveAll(dir); err != nil { //nolint:gosec // the operator's environment, and makePrivate has checked it
				return fmt.Errorf("remove the run folder: %w", err)
			}
			return nil
		}, nil
	}
	return "", nil, fmt.Errorf("no folder with a short enough path for unix sockets: %s is longer than %d bytes, and so is the folder for temporary files; choose a shorter --data or TMPDIR", filepath.Join(dataDir, "run"), maxRunDir)
}

// makePrivate makes dir, or takes one that this user made before. In a folder
// that others may write to, anything else under the name is refused.
func makePrivate(dir string) error {
	err := os.Mkdir(dir, 0o700) //nolint:gosec // the operator's environment
	if err == nil || !errors.Is(err, os.ErrExist) {
		if err != nil {
			return fmt.Errorf("make the run folder: %w", err)
		}
		return nil
	}
	info, err := os.Lstat(dir) //nolint:gosec // as above
	if err != nil {
		return fmt.Errorf("look at the run folder: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return fmt.Errorf("run folder %s exists and is not a private folder of this user: remove it, or choose a shorter --data", dir)
	}
	return nil
}
