package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/sqlite"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID is PRAGMA application_id of our databases: "slvg".
const applicationID = 0x736c7667

// NewerError says that a newer release has used the data directory. Nothing in
// it was changed.
type NewerError struct {
	Dir  string
	Have int // the version on disk
	Know int // the newest version this release knows
}

// Error says what to do.
func (e *NewerError) Error() string {
	return fmt.Sprintf("data directory %s has format %d, but this release knows formats up to %d only: start it with the newer release that wrote it",
		e.Dir, e.Have, e.Know)
}

// migration takes the database from version number-1 to number.
type migration struct {
	number int
	name   string
	sql    string
}

// migrations reads NNNN_name.sql files, which must be numbered from 1 without gaps.
func migrations(files fs.FS, dir string) ([]migration, error) {
	entries, err := fs.ReadDir(files, dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("store: list migrations: %w", err)
	}
	var list []migration
	for i, e := range entries {
		prefix, _, _ := strings.Cut(e.Name(), "_")
		n, err := strconv.Atoi(prefix)
		if err != nil || n != i+1 {
			return nil, fmt.Errorf("store: migration %s: its number should be %04d", e.Name(), i+1)
		}
		text, err := fs.ReadFile(files, dir+"/"+e.Name())
		if err != nil {
			return nil, fmt.Errorf("store: read migration: %w", err)
		}
		list = append(list, migration{number: n, name: e.Name(), sql: string(text)})
	}
	return list, nil
}

// checkVersion refuses a database that is not ours or is newer than know,
// without changing it.
func checkVersion(ctx context.Context, path string, know int) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || (err == nil && info.Size() == 0) {
		return nil // made by Open; empty if it was interrupted there
	}
	if err != nil {
		return fmt.Errorf("store: look at the database: %w", err)
	}
	read := versionOfFile
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		// Its last user was killed: the newest version may be in the log alone.
		read = versionOfLog
	}
	have, app, err := read(ctx, path)
	if err != nil {
		return fmt.Errorf("store: read the version of %s: %w", path, err)
	}
	if app != applicationID && (app != 0 || have != 0) {
		return fmt.Errorf("store: %s is not a selvage database (application id %#x): choose another data directory", path, app)
	}
	if have > know {
		return &NewerError{Dir: filepath.Dir(path), Have: have, Know: know}
	}
	return nil
}

// versionOfFile reads both numbers from the header (https://sqlite.org/fileformat.html,
// section 1.3). Opening the database would make log files, even to read.
func versionOfFile(_ context.Context, path string) (version, app int, err error) {
	f, err := os.Open(path) //nolint:gosec // a fixed name in the data directory
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() //nolint:errcheck // read only
	var header [100]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || string(header[:16]) != "SQLite format 3\x00" {
		return 0, 0, errors.New("it is not an SQLite database: choose another data directory or restore the file from a backup")
	}
	return int(binary.BigEndian.Uint32(header[60:])), int(binary.BigEndian.Uint32(header[68:])), nil
}

// versionOfLog lets SQLite look through the log; a reader moves nothing into
// the database file.
func versionOfLog(ctx context.Context, path string) (version, app int, err error) {
	db, err := sqlite.OpenReadOnly(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return readVersion(ctx, db)
}

func readVersion(ctx context.Context, db *sql.DB) (version, app int, err error) {
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, 0, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return 0, 0, err
	}
	return version, app, nil
}

// migrate brings the database to the newest version, all steps in one
// transaction: it is at the old version or at the new one, never between.
func migrate(ctx context.Context, db *sqlite.DB, list []migration) error {
	have, _, err := readVersion(ctx, db.Read())
	if err != nil {
		return fmt.Errorf("store: read the database's version: %w", err)
	}
	if have >= len(list) {
		return nil
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		for _, m := range list[have:] {
			if _, err := tx.ExecContext(ctx, m.sql); err != nil {
				return fmt.Errorf("store: migration %s: %w", m.name, err)
			}
		}
		// Pragmas take no parameters; the number is ours.
		_, err := tx.ExecContext(ctx, "PRAGMA user_version = "+strconv.Itoa(len(list)))
		return err
	})
}
