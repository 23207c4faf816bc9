package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// ErrClosed is what Write returns once the database is closed.
var ErrClosed = errors.New("sqlite: the database is closed")

// Defaults of [Options].
const (
	DefaultReaders     = 4
	DefaultBusyTimeout = 5 * time.Second
	DefaultMaxBatch    = 256
)

// Options of a database; zero fields take the defaults.
type Options struct {
	// Readers is the largest number of read-only connections.
	Readers int
	// BusyTimeout is how long a statement waits for another process's lock.
	BusyTimeout time.Duration
	// MaxBatch is the largest number of writes that share a commit. It bounds
	// how long the first of them waits.
	MaxBatch int
	// CacheKiB bounds the pages that each connection keeps in memory; 0 is
	// SQLite's own 2,000 KiB. Whoever opens many databases wants less: the
	// system's cache has the pages too.
	CacheKiB int
	// FS makes the database file when there is none.
	FS fsx.FS
}

func (o *Options) setDefaults() error {
	if o.Readers < 0 || o.BusyTimeout < 0 || o.MaxBatch < 0 || o.CacheKiB < 0 {
		return fmt.Errorf("sqlite: options below zero: readers %d, busy timeout %v, batch %d, cache %d", o.Readers, o.BusyTimeout, o.MaxBatch, o.CacheKiB)
	}
	if o.Readers == 0 {
		o.Readers = DefaultReaders
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = DefaultBusyTimeout
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = DefaultMaxBatch
	}
	return nil
}

// DB is one open SQLite file. It is safe for concurrent use.
type DB struct {
	path   string
	read   *sql.DB
	write  *sql.DB
	writer *writer

	closeOnce sync.Once
	closeErr  error
}

// Open opens the SQLite file at path, making an empty one of mode 0600 if there
// is none (the log files beside it take the same mode). The caller ends it with
// Close. It is for one process at a time: who shares a folder takes a lock.
func Open(path string, o Options) (*DB, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		// SQLite would make it with the umask's mode, readable by others.
		if err := o.FS.WriteFile(path, nil, 0o600); err != nil {
			return nil, fmt.Errorf("sqlite: create database: %w", err)
		}
	}

	d := &DB{path: path}
	// The writer goes first: a read-only connection cannot turn WAL mode on.
	d.write = sql.OpenDB(&connector{dsn: dsn(path, "rw", o), path: path})
	d.write.SetMaxOpenConns(1) // SQLite has one writer; two would only meet SQLITE_BUSY.
	conn, err := d.write.Conn(context.Background())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), d.write.Close())
	}
	d.read = sql.OpenDB(&connector{dsn: dsn(path, "ro", o), path: path, interruptible: true})
	d.read.SetMaxOpenConns(o.Readers)
	d.read.SetMaxIdleConns(o.Readers)
	if err := d.check(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), d.read.Close(), conn.Close(), d.write.Close())
	}
	d.writer = startWriter(conn, path, o.MaxBatch)
	return d, nil
}

// OpenReadOnly opens an existing file for reading alone and changes nothing in
// it (the -shm file beside it is a cache that any reader makes). The caller
// closes it.
func OpenReadOnly(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return sql.OpenDB(&connector{dsn: dsn(path, "ro", Options{BusyTimeout: DefaultBusyTimeout}), path: path, interruptible: true}), nil
}

// Path returns the absolute path of the database file.
func (d *DB) Path() string { return d.path }

// Read returns the pool of read-only connections; any statement that writes
// fails on it. The pool belongs to the DB: do not close it.
func (d *DB) Read() *sql.DB { return d.read }

// Commits returns how many transactions have been committed since Open; with
// the number of writes it tells how well they group.
func (d *DB) Commits() int64 { return d.writer.commits.Load() }

// Write runs fn inside the write transaction and returns once it is committed
// and synced. If fn returns an error, what it did is undone and Write returns
// that error as it is.
//
// The function runs on the caller's goroutine, alone: it should be short, must not call
// Write (it would wait for itself), must not keep tx, and must not commit or
// roll back tx. A panic in fn undoes its part and goes on to the caller. When
// ctx ends before fn's turn comes, Write returns its cause and fn does not run;
// after that Write waits for the commit.
func (d *DB) Write(ctx context.Context, fn func(*sql.Tx) error) error {
	return d.writer.do(ctx, fn)
}

// Close waits for the writes that have their turn, lets the others fail with
// [ErrClosed], moves the log into the database file and closes it. Later calls
// return what the first did.
func (d *DB) Close() error {
	d.closeOnce.Do(func() {
		d.closeErr = d.close()
	})
	return d.closeErr
}

func (d *DB) close() error {
	d.writer.stop()
	// Readers first: an open read transaction would hold the log back.
	errs := []error{d.read.Close()}
	var busy, frames, moved int
	err := d.writer.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	if err != nil {
		errs = append(errs, fmt.Errorf("sqlite: checkpoint %s: %w", d.path, classify(d.path, err)))
	}
	return errors.Join(append(errs, d.writer.conn.Close(), d.write.Close())...)
}

// check asserts what the guarantees of the package rest on; SQLite ignores
// pragmas that it cannot follow (WAL on some network file systems).
func (d *DB) check(conn *sql.Conn) error {
	ctx := context.Background()
	for _, p := range []struct{ pragma, want string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"},
		{"foreign_keys", "1"},
	} {
		var got string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+p.pragma).Scan(&got); err != nil {
			return fmt.Errorf("read pragma %s: %w", p.pragma, classify(d.path, err))
		}
		if got != p.want {
			return fmt.Errorf("pragma %s is %q, not %q: put the file on a local file system", p.pragma, got, p.want)
		}
	}
	if err := d.read.PingContext(ctx); err != nil {
		return fmt.Errorf("open a reader: %w", err)
	}
	return nil
}

// dsn builds the driver's name for path. The path is escaped, so that no
// character in it can turn into an option.
func dsn(path, mode string, o Options) string {
	q := url.Values{
		"mode":             {mode},
		"_busy_timeout":    {strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys":    {"1"},
		"_synchronous":     {"FULL"},
		"_stmt_cache_size": {"64"},
	}
	if o.CacheKiB != 0 {
		q.Set("_cache_size", strconv.Itoa(-o.CacheKiB)) // below zero: KiB, not pages
	}
	if mode == "ro" {
		q.Set("_query_only", "1")
	} else {
		q.Set("_journal_mode", "WAL")
		q.Set("_txlock", "immediate")
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}
