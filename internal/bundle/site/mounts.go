package site

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// mountPath is where folders that functions import are in a site; wrangler puts them there too.
const mountPath = "cdn-cgi/pages-plugins/"

// mount makes a folder part of the site and returns its path there. The same files always have the same path, so
// that a deployment which changes nothing uploads nothing. One at a time is called.
func (s *Site) mount(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s is no folder, which an import of \"assets:\" names", dir)
	}
	h := sha256.New()
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file) //nolint:gosec // a file of the project
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		fmt.Fprintf(h, "%q %x\n", filepath.ToSlash(rel), sum) //nolint:errcheck // a hash takes everything
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read the folder %s: %w", dir, err)
	}
	at := mountPath + hex.EncodeToString(h.Sum(nil)[:10])
	if s.Mounts == nil {
		s.Mounts = make(map[string]string)
	}
	s.Mounts[at] = dir
	return "/" + at, nil
}
