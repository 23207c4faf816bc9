package vectorize

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

// Info describes an index.
type Info struct {
	Config

	ID          uuid.UUID
	Name        string
	Description string
	Preset      string // "" for none
	Version     string // "v1" or "v2": the API that made it
	CreatedAt   time.Time
	ModifiedAt  time.Time
}

// CreateOptions of an index: a preset, or dimensions and a metric.
type CreateOptions struct {
	Name        string
	Description string
	Config
	Preset  string
	Version string // "" for "v2"
}

const maxDescription = 1024

// Create makes an empty index. Names are unique within an account.
func (s *Service) Create(ctx context.Context, account string, o CreateOptions) (Info, error) {
	if err := s.checkCreate(&o); err != nil {
		return Info{}, err
	}
	now := s.o.Now().UTC().Truncate(time.Millisecond)
	info := Info{
		Config: o.Config, ID: uuid.New(), Name: o.Name, Description: o.Description, Preset: o.Preset, Version: o.Version,
		CreatedAt: now, ModifiedAt: now,
	}
	// The files come first: an index that is listed can be opened.
	if err := createIndex(s.o.Store.FS, s.folderOf(info.ID), info.ID, info.Config); err != nil {
		s.removeFolder(info.ID)
		return Info{}, fmt.Errorf("vectorize: create %s: %w", o.Name, err)
	}
	err := s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM vectorize_indexes WHERE account_id = ?`, account).Scan(&n); err != nil {
			return err
		}
		if n >= s.o.Limits.Indexes {
			return Fail(CodeTooManyIndexes, "The account has %d indexes, which is the limit. Delete one first.", n)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO vectorize_indexes (id, account_id, name, description, dimensions, metric, preset, version, created_at, modified_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, info.ID.String(), account, info.Name, info.Description, info.Dimensions, info.Metric, info.Preset,
			info.Version, now.UnixMilli(), now.UnixMilli())
		return err
	})
	if err == nil {
		return info, nil
	}
	s.removeFolder(info.ID)
	if sqlite.IsUnique(err) {
		return Info{}, &Error{Code: CodeDuplicate, Status: 409, Message: fmt.Sprintf("vectorize.index.duplicate_name - Index name %q", o.Name)}
	}
	if own, ok := errors.AsType[*Error](err); ok {
		return Info{}, own
	}
	return Info{}, fmt.Errorf("vectorize: create %s: %w", o.Name, err)
}

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`)

func (s *Service) checkCreate(o *CreateOptions) error {
	if !namePattern.MatchString(o.Name) {
		return Fail(CodeBody, "Failed to parse the request body as JSON: name: %q is not allowed; use 1 to 64 letters, digits, - and _, and begin with a letter or a digit", clip(o.Name))
	}
	if len(o.Description) > maxDescription {
		return Fail(CodeBody, "Failed to parse the request body as JSON: description: it has %d bytes, and at most %d are allowed", len(o.Description), maxDescription)
	}
	if o.Version == "" {
		o.Version = "v2"
	}
	if o.Preset != "" {
		c, err := presetConfig(o.Preset)
		if err != nil {
			return err
		}
		if o.Config != (Config{}) && o.Config != c {
			return Fail(CodeBody, "Failed to parse the request body as JSON: config: the preset %s has %d dimensions and the metric %s; leave both out", o.Preset, c.Dimensions, c.Metric)
		}
		o.Config = c
	}
	switch {
	case o.Dimensions < 1 || o.Dimensions > s.o.Limits.Dimensions:
		return Fail(CodeBody, "Failed to parse the request body as JSON: config.dimensions: expected a number from 1 to %d, and got %d", s.o.Limits.Dimensions, o.Dimensions)
	case !o.Metric.valid():
		return Fail(CodeBody, "Failed to parse the request body as JSON: config.metric: expected \"cosine\", \"euclidean\" or \"dot-product\", and got %q", clip(string(o.Metric)))
	}
	return nil
}

const columns = `id, name, description, dimensions, metric, preset, version, created_at, modified_at`

// Get finds an index by its name.
func (s *Service) Get(ctx context.Context, account, name string) (Info, error) {
	db := s.o.Store.DB.Read()
	info, err := scan(db.QueryRowContext(ctx, `SELECT `+columns+` FROM vectorize_indexes WHERE account_id = ? AND name = ?`, account, name).Scan)
	if err == nil {
		return info, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return Info{}, fmt.Errorf("vectorize: read %s: %w", clip(name), err)
	}
	var n int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM vectorize_deleted WHERE account_id = ? AND name = ?`, account, name).Scan(&n); err != nil {
		return Info{}, fmt.Errorf("vectorize: read %s: %w", clip(name), err)
	}
	if n > 0 {
		return Info{}, deleted(name)
	}
	return Info{}, notFound(name)
}

// List returns up to limit of an account's indexes in the order of their names,
// those behind the name after.
func (s *Service) List(ctx context.Context, account, after string, limit int) (page []Info, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("vectorize: list: %w", err)
		}
	}()
	rows, err := s.o.Store.DB.Read().QueryContext(ctx,
		`SELECT `+columns+` FROM vectorize_indexes WHERE account_id = ? AND name > ? ORDER BY name LIMIT ?`, account, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		info, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		page = append(page, info)
	}
	return page, rows.Err()
}

func scan(read func(...any) error) (Info, error) {
	var info Info
	var id string
	var created, modified int64
	if err := read(&id, &info.Name, &info.Description, &info.Dimensions, &info.Metric, &info.Preset, &info.Version, &created, &modified); err != nil {
		return Info{}, err
	}
	info.CreatedAt, info.ModifiedAt = time.UnixMilli(created).UTC(), time.UnixMilli(modified).UTC()
	var err error
	info.ID, err = uuid.Parse(id)
	return info, err
}

// Delete removes an index for good. Who uses it finishes.
func (s *Service) Delete(ctx context.Context, account, name string) error {
	info, err := s.Get(ctx, account, name)
	if err != nil {
		return err
	}
	err = s.o.Store.DB.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM vectorize_indexes WHERE id = ?`, info.ID.String()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO vectorize_deleted (account_id, name, deleted_at) VALUES (?, ?, ?)`, account, name, s.o.Now().UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("vectorize: delete %s: %w", name, err)
	}
	s.forget(info.ID)
	return nil
}

// removeOrphans removes folders of indexes that are not listed: deleted, or made
// and never listed, just before the platform ended.
func (s *Service) removeOrphans(ctx context.Context) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("vectorize: %w", err)
	}
	for _, e := range entries {
		id, err := uuid.Parse(e.Name())
		if err != nil {
			continue // not ours
		}
		var n int
		if err := s.o.Store.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM vectorize_indexes WHERE id = ?`, id.String()).Scan(&n); err != nil {
			return fmt.Errorf("vectorize: %w", err)
		}
		if n == 0 {
			s.removeFolder(id)
		}
	}
	return nil
}

func (s *Service) folderOf(id uuid.UUID) string { return filepath.Join(s.dir, id.String()) }

func (s *Service) removeFolder(id uuid.UUID) {
	if err := os.RemoveAll(s.folderOf(id)); err != nil {
		s.o.Log.Error("the folder of a deleted index was not removed", "index", id, "error", err)
	}
}

// IndexVersion returns which API made the index, "v1" or "v2"; ok is false when
// there is none of this name.
func (s *Service) IndexVersion(ctx context.Context, account, name string) (version string, ok bool, err error) {
	info, err := s.Get(ctx, account, name)
	if own, is := errors.AsType[*Error](err); is && (own.Code == CodeNotFound || own.Code == CodeDeleted) {
		return "", false, nil
	}
	return info.Version, err == nil, err
}
