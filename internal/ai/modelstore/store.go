// Package modelstore keeps the files of models: it takes them from a hub, a bundle or a
// folder, checks them, and hands out the folder of a whole model.
//
// Invariants:
//
//   - A model that is listed is whole: its files are synced, and their digests are
//     recorded, before its row is committed.
//   - A file that the hub gives a digest for is kept only if it has that digest.
//   - A path of a file never leaves the model's folder, whoever wrote it.
//   - All models together take no more than the quota.
//   - An interrupted download goes on where it ended.
package modelstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/store"
)

const (
	folder  = "models"  // below the data directory
	partial = "partial" // below folder: downloads that are not whole
	maxName = 200
)

// Options of [Open].
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	Now   func() time.Time
	// Quota bounds all models together, in bytes.
	Quota int64
	// Hubs are base URLs of Hugging Face's hub and mirrors of it, in the order to ask.
	Hubs []string
	// Token is the hub's, for gated models; "" for none. It is sent to the first hub only.
	Token string
}

// Model is a model that is here.
type Model struct {
	Name     string
	Kind     catalogue.Kind
	Source   string
	Revision string
	License  string
	Size     int64
	Files    []File
	Created  time.Time

	// Architecture is what its config.json says, "" when it says nothing.
	Architecture string

	dir string
}

// InBinary is a model that the program carries. It is in no store; its name is its folder.
func InBinary(name string, kind catalogue.Kind, architecture string) *Model {
	return &Model{Name: name, Kind: kind, Architecture: architecture, dir: name}
}

// Dir is the folder of the files.
func (m *Model) Dir() string { return m.dir }

// File is one file of a model.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal; "" where it is not known beforehand
}

// Store is safe for concurrent use.
type Store struct {
	o      Options
	dir    string
	client *http.Client

	changing sync.Mutex // one change at a time: the quota is shared
	mu       sync.RWMutex
	models   map[string]*Model
}

// Open reads what there is, and removes what an interrupted change left.
func Open(o Options) (*Store, error) { //nolint:gocritic // once
	s := &Store{o: o, dir: filepath.Join(o.Store.Dir, folder), models: make(map[string]*Model), client: newHubClient()}
	if err := o.Store.FS.MkdirAll(filepath.Join(s.dir, partial), 0o700); err != nil {
		return nil, fmt.Errorf("modelstore: %w", err)
	}
	rows, err := o.Store.DB.Read().QueryContext(context.Background(), `SELECT name, kind, folder, source, revision, license, size, files, created_at FROM ai_models`)
	if err != nil {
		return nil, fmt.Errorf("modelstore: %w", err)
	}
	defer func() { _ = rows.Close() }()
	known := map[string]bool{partial: true}
	for rows.Next() {
		m := &Model{}
		var name, files string
		var created int64
		if err := rows.Scan(&m.Name, &m.Kind, &name, &m.Source, &m.Revision, &m.License, &m.Size, &files, &created); err != nil {
			return nil, fmt.Errorf("modelstore: %w", err)
		}
		if err := json.Unmarshal([]byte(files), &m.Files); err != nil {
			return nil, fmt.Errorf("modelstore: files of %s: %w", m.Name, err)
		}
		m.Created, m.dir = time.UnixMilli(created).UTC(), filepath.Join(s.dir, name)
		if _, m.Architecture, err = kindIn(m.dir); err != nil {
			o.Log.Error("the files of a model cannot be read", "model", m.Name, "error", err)
		}
		s.models[m.Name], known[name] = m, true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("modelstore: %w", err)
	}
	return s, s.removeOrphans(known)
}

func (s *Store) removeOrphans(known map[string]bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("modelstore: %w", err)
	}
	for _, e := range entries {
		if known[e.Name()] {
			continue
		}
		s.o.Log.Info("files of a model that was not completed, or was removed, are deleted", "folder", e.Name())
		if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
			return fmt.Errorf("modelstore: %w", err)
		}
	}
	return nil
}

// Find returns the model of a name, nil for none.
func (s *Store) Find(name string) *Model {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.models[name]
}

// List returns all models, in no order.
func (s *Store) List() []*Model {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*Model, 0, len(s.models))
	for _, m := range s.models {
		out = append(out, m)
	}
	return out
}

// Usage is how many bytes all models take, and may take.
func (s *Store) Usage() (used, quota int64) {
	for _, m := range s.List() {
		used += m.Size
	}
	return used, s.o.Quota
}

// room refuses what does not fit into the quota.
func (s *Store) room(size int64) error {
	used, quota := s.Usage()
	if size <= quota-used {
		return nil
	}
	return fault.New(fault.CodeNoSpace, "The model takes %s, and of the %s that models may take here %s are used. Remove one with \"selvage ai remove\", or raise ai.disk.", Bytes(size), Bytes(quota), Bytes(used))
}

// add records a model whose files are whole and synced in dir, a folder below s.dir.
func (s *Store) add(ctx context.Context, m *Model, dir string) error {
	files, err := json.Marshal(m.Files)
	if err != nil {
		return err
	}
	if err := m.inspect(dir); err != nil {
		return err
	}
	m.dir, m.Created = dir, s.o.Now().UTC().Truncate(time.Millisecond)
	if err := s.o.Store.FS.SyncDir(s.dir); err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO ai_models (name, kind, folder, source, revision, license, size, files, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			m.Name, m.Kind, filepath.Base(dir), m.Source, m.Revision, m.License, m.Size, string(files), m.Created.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("modelstore: add %s: %w", m.Name, err)
	}
	s.mu.Lock()
	s.models[m.Name] = m
	s.mu.Unlock()
	return nil
}

// Remove forgets a model and deletes its files.
func (s *Store) Remove(ctx context.Context, name string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	m := s.Find(name)
	if m == nil {
		return absent(name)
	}
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM ai_models WHERE name = ?`, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("modelstore: remove %s: %w", name, err)
	}
	s.mu.Lock()
	delete(s.models, name)
	s.mu.Unlock()
	if err := os.RemoveAll(m.dir); err != nil { // what is left goes at the next start
		s.o.Log.ErrorContext(ctx, "the files of a model that was removed cannot be deleted", "model", name, "error", err)
	}
	return nil
}

func absent(name string) error {
	return fault.New(fault.CodeNoModel, "No such model %.100s or task: its files are not on this platform", name)
}

// checkNew refuses a name that is taken or that can be no model's.
func (s *Store) checkNew(name string) error {
	if !validName(name) {
		return fault.New(fault.CodeInvalidModel, "The model name %.100q is invalid: it is @author/model, perhaps with a part between, of letters, digits, \".\", \"-\" and \"_\"", name)
	}
	if s.Find(name) != nil {
		return fault.New(fault.CodeExists, "The model %s is here already. \"selvage ai remove %s\" makes room for another one of the name.", name, name)
	}
	return nil
}

func validName(name string) bool {
	parts := strings.Split(name, "/")
	if len(name) > maxName || len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(name, "@") {
		return false
	}
	parts[0] = parts[0][1:]
	for _, p := range parts {
		if !validPart(p) {
			return false
		}
	}
	return true
}

// validPart is one part of a name or a path: it never leads elsewhere.
func validPart(p string) bool {
	if p == "" || p[0] == '.' || p[0] == '-' || len(p) > 128 {
		return false
	}
	return !strings.ContainsFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

// validPath is the path of a file within a model's folder.
func validPath(path string) bool {
	const deepest = 3
	parts := strings.Split(path, "/")
	if len(parts) > deepest {
		return false
	}
	for _, p := range parts {
		if !validPart(p) {
			return false
		}
	}
	return true
}

// Bytes writes a size for people.
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= unit && i < 3 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGT"[i])
}

// exists says whether there is a file.
func exists(path string) (int64, bool) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return 0, false
	}
	return info.Size(), true
}

// Close closes idle connections.
func (s *Store) Close() { s.client.CloseIdleConnections() }
