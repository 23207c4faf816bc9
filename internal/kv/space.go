package kv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/sqlite"
)

// Of a namespace's database: how many readers it has, and what it says it is.
const (
	spaceReaders  = 2
	spaceVersion  = 1
	applicationID = 0x736c766b // "slvk"
	spaceFile     = "kv.db"
	valuesFolder  = "values"
	// Of each connection, and there are three to a namespace: what is read often
	// is in the service's own cache.
	spaceCacheKiB = 256
	spaceSchema   = `
CREATE TABLE entries (
  key      BLOB PRIMARY KEY,
  expires  INTEGER, -- unix seconds; NULL: never
  metadata BLOB,    -- JSON; NULL: none
  size     INTEGER NOT NULL,
  file     TEXT,    -- in values/; NULL: the value is here
  value    BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
CREATE INDEX entries_by_file ON entries (file) WHERE file IS NOT NULL;`
)

// record is one row. It is immutable: readers share it.
type record struct {
	value    []byte
	file     string
	size     int64
	metadata []byte
	expires  int64 // 0: never
}

func (r *record) expired(now int64) bool { return r.expires != 0 && r.expires <= now }

// space is the open database of one namespace.
type space struct {
	id      string
	account string
	serial  uint64 // names the space in the cache
	dir     string
	values  string
	fs      fsx.FS
	log     *slog.Logger
	db      *sqlite.DB
	cache   *cache
	// Values up to inlineSize bytes are in their rows.
	inlineSize int64
	// files says that there may be rows with a file. While it is false a put need
	// not ask which file it replaces.
	files atomic.Bool
}

func (sp *space) open() (err error) {
	if err := sp.fs.MkdirAll(sp.dir, 0o700); err != nil {
		return err
	}
	sp.db, err = sqlite.Open(filepath.Join(sp.dir, spaceFile), sqlite.Options{Readers: spaceReaders, CacheKiB: spaceCacheKiB, FS: sp.fs})
	if err != nil {
		return err
	}
	if err := sp.prepare(context.Background()); err != nil {
		return errors.Join(err, sp.db.Close())
	}
	return nil
}

// prepare makes the tables of a new database and refuses what it does not know.
func (sp *space) prepare(ctx context.Context) error {
	var version int
	if err := sp.db.Read().QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("kv: %s: %w", sp.db.Path(), err)
	}
	switch version {
	case spaceVersion:
		var files bool
		if err := sp.db.Read().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM entries WHERE file IS NOT NULL)").Scan(&files); err != nil {
			return fmt.Errorf("kv: %s: %w", sp.db.Path(), err)
		}
		sp.files.Store(files)
		return nil
	case 0:
		return sp.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; %s", applicationID, spaceVersion, spaceSchema))
			return err
		})
	}
	return fmt.Errorf("kv: %s is of version %d, made by a newer release; this one knows version %d", sp.db.Path(), version, spaceVersion)
}

// find reads the row of a key, nil when there is none, and the generation with
// which it may be cached. The context is not passed on: for one that can end the
// driver starts a goroutine, which costs more than the query.
func (sp *space) find(key string) (*record, error) {
	k := cacheKey{sp.serial, key}
	r, known, generation := sp.cache.get(k)
	if known {
		return r, nil
	}
	r, err := sp.read(key)
	if err != nil {
		return nil, err
	}
	sp.cache.put(k, r, generation)
	return r, nil
}

func (sp *space) read(key string) (*record, error) {
	var r record
	var expires sql.NullInt64
	var file sql.NullString
	err := sp.db.Read().QueryRowContext(context.Background(), "SELECT expires, metadata, size, file, value FROM entries WHERE key = ?", blobKey(key)).
		Scan(&expires, &r.metadata, &r.size, &file, &r.value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // a key that is not there is ordinary
	}
	if err != nil {
		return nil, fmt.Errorf("kv: read a key of %s: %w", sp.id, err)
	}
	r.expires, r.file = expires.Int64, file.String
	return &r, nil
}

// blobKey makes the driver bind a key as BLOB, also an empty one: a nil slice
// would be NULL.
func blobKey(key string) []byte {
	if key == "" {
		return []byte{}
	}
	return []byte(key)
}

// pair is a row to write.
type pair struct {
	key      string
	value    *Value
	metadata []byte
	expires  int64
}

// put writes the pairs in one transaction. On success their values belong to it.
func (sp *space) put(ctx context.Context, pairs []pair) error {
	for i := range pairs {
		if pairs[i].value.file != "" {
			sp.files.Store(true) // before the row can be seen
		}
	}
	var old []string
	err := sp.db.Write(ctx, func(tx *sql.Tx) error { //nolint:contextcheck // see putOne
		old = old[:0]
		for i := range pairs {
			file, err := sp.putOne(tx, &pairs[i])
			if err != nil {
				return err
			}
			if file != "" {
				old = append(old, file)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range pairs {
		sp.cache.forget(cacheKey{sp.serial, pairs[i].key})
		pairs[i].value.file = "" // Discard has nothing to do any more
	}
	for _, file := range old {
		sp.removeFile(file)
	}
	return nil
}

// putOne returns the file whose row it replaced. Once a write has its turn it
// goes through: a context that could end costs the driver a goroutine a statement.
func (sp *space) putOne(tx *sql.Tx, p *pair) (old string, err error) {
	ctx := context.Background()
	key := blobKey(p.key)
	if sp.files.Load() {
		var file sql.NullString
		err := tx.QueryRowContext(ctx, "SELECT file FROM entries WHERE key = ?", key).Scan(&file)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", err
		}
		old = file.String
	}
	var expires, metadata, file any
	if p.expires != 0 {
		expires = p.expires
	}
	if p.metadata != nil {
		metadata = p.metadata
	}
	if p.value.file != "" {
		file = p.value.file
	}
	inline := p.value.inline
	if inline == nil && p.value.file == "" {
		inline = []byte{}
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO entries (key, expires, metadata, size, file, value) VALUES (?, ?, ?, ?, ?, ?)",
		key, expires, metadata, p.value.size, file, inline)
	return old, err
}

// remove deletes keys, those that are not there too, in one transaction. When
// expiredAt is not zero, only keys that had expired by then go.
func (sp *space) remove(ctx context.Context, keys []string, expiredAt int64) (gone int, err error) {
	var files []string
	query := "DELETE FROM entries WHERE key = ?"
	if expiredAt != 0 {
		query += " AND expires <= " + fmt.Sprint(expiredAt)
	}
	err = sp.db.Write(ctx, func(tx *sql.Tx) error { //nolint:contextcheck // see putOne
		files, gone = files[:0], 0
		for _, key := range keys {
			var file sql.NullString
			err := tx.QueryRowContext(context.Background(), query+" RETURNING file", blobKey(key)).Scan(&file)
			switch {
			case errors.Is(err, sql.ErrNoRows):
				continue
			case err != nil:
				return err
			}
			gone++
			if file.String != "" {
				files = append(files, file.String)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		sp.cache.forget(cacheKey{sp.serial, key})
	}
	for _, file := range files {
		sp.removeFile(file)
	}
	return gone, nil
}

// destroy removes the folder. The database is closed.
func (sp *space) destroy() error { return os.RemoveAll(sp.dir) }
