package modelstore

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// A bundle is a tar archive: first manifestName, then the files it lists, in its order,
// below filesName.
const (
	manifestName  = "selvage-model.json"
	filesName     = "files/"
	bundleVersion = 1
	maxManifest   = 1 << 20
)

// Manifest says what a bundle holds.
type Manifest struct {
	Version  int            `json:"selvage_model"`
	Name     string         `json:"name"`
	Kind     catalogue.Kind `json:"kind"`
	Source   string         `json:"source"`
	Revision string         `json:"revision"`
	License  string         `json:"license"`
	Files    []File         `json:"files"`
}

// Bundle writes a model as a bundle.
func (s *Store) Bundle(ctx context.Context, name string, w io.Writer) error {
	m := s.Find(name)
	if m == nil {
		return absent(name)
	}
	manifest, err := json.MarshalIndent(&Manifest{bundleVersion, m.Name, m.Kind, m.Source, m.Revision, m.License, m.Files}, "", "  ")
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(manifest)), ModTime: m.Created}); err != nil {
		return err
	}
	if _, err := t.Write(manifest); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Name: filesName + f.Path, Mode: 0o600, Size: f.Size, ModTime: m.Created}); err != nil {
			return err
		}
		if err := copyFile(t, filepath.Join(m.dir, filepath.FromSlash(f.Path))); err != nil {
			return err
		}
	}
	return t.Close()
}

func copyFile(w io.Writer, name string) error {
	f, err := os.Open(name) //nolint:gosec // a file of the store
	if err != nil {
		return fmt.Errorf("modelstore: %w", err)
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(w, f)
	return err
}

func broken(format string, args ...any) error {
	return fault.New(fault.CodeModelBroken, "The bundle is not whole: "+format, args...)
}

// Import reads a bundle and adds its model, of which settle has the last word: name, kind
// and licence. Files are checked against the digests that the manifest has.
func (s *Store) Import(ctx context.Context, r io.Reader, settle func(*Model) error) (*Model, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	t := tar.NewReader(r)
	manifest, err := readManifest(t)
	if err != nil {
		return nil, err
	}
	m := &Model{Name: manifest.Name, Kind: manifest.Kind, Source: manifest.Source, Revision: manifest.Revision, License: manifest.License}
	if err := settle(m); err != nil {
		return nil, err
	}
	if err := s.checkNew(m.Name); err != nil {
		return nil, err
	}
	var size int64
	for _, f := range manifest.Files {
		size += f.Size
	}
	if err := s.room(size); err != nil {
		return nil, err
	}
	dir := filepath.Join(s.dir, uuid.NewString())
	err = s.unpack(ctx, t, manifest, m, dir)
	if err == nil {
		err = s.add(ctx, m, dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return m, nil
}

func readManifest(t *tar.Reader) (*Manifest, error) {
	head, err := t.Next()
	if err != nil || head.Name != manifestName || head.Size > maxManifest {
		return nil, broken("it does not begin with %s", manifestName)
	}
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(t, maxManifest)).Decode(&m); err != nil || m.Version != bundleVersion {
		return nil, broken("%s is not of this release", manifestName)
	}
	if len(m.Files) == 0 || len(m.Files) > maxFiles {
		return nil, broken("it lists %d files; from 1 to %d are taken", len(m.Files), maxFiles)
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		if !validPath(f.Path) || seen[f.Path] || f.Size < 0 || f.Size > 1<<50 || f.SHA256 != "" && !digestPattern.MatchString(f.SHA256) {
			return nil, broken("the file %.100q that it lists cannot be one", f.Path)
		}
		seen[f.Path] = true
	}
	return &m, nil
}

func (s *Store) unpack(ctx context.Context, t *tar.Reader, manifest *Manifest, m *Model, dir string) error {
	fsys := s.o.Store.FS
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range manifest.Files {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		head, err := t.Next()
		if err != nil || strings.TrimPrefix(head.Name, filesName) != f.Path || head.Size != f.Size {
			return broken("%s does not follow", f.Path)
		}
		final := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := fsys.MkdirAll(filepath.Dir(final), 0o700); err != nil {
			return err
		}
		out, err := fsys.CreateTemp(filepath.Dir(final), "import")
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(fsys.Writer(out), h), t)
		if err != nil || n != f.Size {
			err = errors.Join(err, fsys.Discard(out))
			return errors.Join(broken("%s ends after %d of %d bytes", f.Path, n, f.Size), err)
		}
		sum := hexOf(h)
		if f.SHA256 != "" && f.SHA256 != sum {
			return errors.Join(broken("%s has another sha256 than %s says", f.Path, manifestName), fsys.Discard(out))
		}
		if err := fsys.Commit(out, final); err != nil {
			return err
		}
		m.Files, m.Size = append(m.Files, File{f.Path, f.Size, sum}), m.Size+f.Size
	}
	return nil
}
