package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/sqlite"
)

// Names inside the data directory.
const (
	lockName     = "lock"
	databaseName = "selvage.db"
	blobsName    = "blobs"
	keysName     = "keys"
)

// ErrLocked is what Open returns (as an [*fsx.LockedError], which has the
// process id) when another process has the data directory.
var ErrLocked = fsx.ErrLocked

// Options of [OpenWith]; the zero value is right outside tests.
type Options struct {
	FS fsx.FS // for fault injection
}

// Store is an open data directory. Its parts are safe for concurrent use.
type Store struct {
	DB    *sqlite.DB
	Blobs *Blobs
	Keys  *Keyring
	Dir   string // absolute
	FS    fsx.FS // how files in Dir are written

	unlock func() error
}

// Open opens the data directory dir: it makes what is missing (mode 0700),
// migrates what is older, and removes uploads that a crash interrupted.
// Errors: [ErrLocked], [*NewerError], [*KeyError], fsx.ErrReadOnly,
// fsx.ErrNoSpace. The caller ends it with Close.
func Open(dir string) (*Store, error) { return OpenWith(dir, Options{}) }

// OpenWith is Open with options.
func OpenWith(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store: data directory: %w", err)
	}
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: the data directory cannot be made: %w; choose another one", err)
	}
	unlock, err := o.FS.Lock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("store: data directory %s: %w", dir, err)
	}
	s := &Store{Dir: dir, FS: o.FS, unlock: unlock}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open() error {
	ctx := context.Background() // nobody waits long for this
	known, err := migrations(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, databaseName)
	// Before anything is written: a newer directory stays as it is.
	if err := checkVersion(ctx, path, len(known)); err != nil {
		return err
	}
	s.DB, err = sqlite.Open(path, sqlite.Options{FS: s.FS})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := migrate(ctx, s.DB, known); err != nil {
		return err
	}
	s.Keys, err = openKeyring(ctx, s.FS, filepath.Join(s.Dir, keysName), s.DB)
	if err != nil {
		return err
	}
	s.Blobs, err = openBlobs(s.FS, filepath.Join(s.Dir, blobsName))
	return err
}

// Close closes the database and gives the directory free. Nothing of the store
// may be used after it.
func (s *Store) Close() error {
	var errs []error
	if s.DB != nil {
		errs = append(errs, s.DB.Close())
	}
	// Last: until here nobody else may open the database.
	errs = append(errs, s.unlock())
	return errors.Join(errs...)
}
