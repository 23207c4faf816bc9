package d1

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/d1/insights"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/history"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// fileName is the database's file in its folder.
const fileName = "db.sqlite"

// Sessions that are no bookmark.
const (
	FirstPrimary       = "first-primary"
	FirstUnconstrained = "first-unconstrained"
)

// Database is one open database. It is safe for concurrent use. Who got it from
// [Service.Open] calls Release once.
type Database struct {
	id      uuid.UUID
	log     *slog.Logger
	release func()

	readers chan *native.Conn
	writer  *writer
	size    atomic.Int64      // bytes of the file, the log included
	history *history.Recorder // nil without time travel
	last    atomic.Uint64     // the number of the last transaction; see bookmark.go
	dir     string
	fs      fsx.FS
	running bool // the writer

	observer   *observer
	recorder   *insights.Recorder
	maxQueries int // of one request
	maxSize    int64
}

// Durability says when a write is acknowledged.
type Durability string

// The durabilities of a database.
const (
	DurabilityFull   Durability = "full"   // once it is synced; the default
	DurabilityNormal Durability = "normal" // once it is written: it survives kill -9, not power loss
)

// readerSetup and writerSetup are what connections begin with. What a sort or a temporary
// table needs beyond the page cache goes into files ([native.SetTempDir]): a statement
// cannot fill the memory of the platform, and sorters that may spill are faster, since they
// do not ask for memory row by row.
const (
	sharedSetup = `PRAGMA temp_store=FILE; PRAGMA cache_size=-8000; PRAGMA foreign_keys=1;`
	readerSetup = sharedSetup + `PRAGMA query_only=1;`
	writerSetup = `PRAGMA journal_mode=WAL;` + sharedSetup
)

type openOptions struct {
	dir        string
	id         uuid.UUID
	opened     uint32
	readers    int
	limits     native.Limits
	durability Durability
	fs         fsx.FS
	log        *slog.Logger
	observer   *observer
	maxQueries int
	created    time.Time
	retention  time.Duration // of the history; not above 0: none is kept
	merges     chan struct{} // bounds how many histories are merged at a time
	maxSize    int64
	// Frames of the log at which it is moved into the file; 0 for the default.
	checkpointFrames int
}

func openDatabase(o openOptions) (_ *Database, err error) {
	if err := o.fs.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("d1: folder of a database: %w", err)
	}
	path := filepath.Join(o.dir, fileName)
	if exists, err := fileExists(path); err != nil {
		return nil, err
	} else if !exists {
		// SQLite would make it with the umask's mode, readable by others.
		if err := o.fs.WriteFile(path, nil, 0o600); err != nil {
			return nil, fmt.Errorf("d1: create a database: %w", err)
		}
	}
	d := &Database{
		id: o.id, log: o.log, dir: o.dir, fs: o.fs, readers: make(chan *native.Conn, o.readers),
		observer: o.observer, recorder: o.observer.recorder(o.id), maxQueries: o.maxQueries, maxSize: o.maxSize,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	sync := "FULL"
	if o.durability == DurabilityNormal {
		sync = "NORMAL"
	}
	w, err := native.Open(path, native.Options{Limits: o.limits, Setup: writerSetup + "PRAGMA synchronous=" + sync + maxPages(o.maxSize)})
	if err != nil {
		return nil, fmt.Errorf("d1: %w", err)
	}
	d.writer = newWriter(d, w)
	if err := d.startHistory(&o); err != nil {
		return nil, err
	}
	d.running = true
	go d.writer.run()
	for range o.readers {
		r, err := native.Open(path, native.Options{ReadOnly: true, Limits: o.limits, Setup: readerSetup})
		if err != nil {
			return nil, fmt.Errorf("d1: %w", err)
		}
		d.readers <- r
	}
	return d, nil
}

// close ends all connections; nobody uses the database any more.
func (d *Database) close() error {
	var errs []error
	d.observer.closed(d.id, d.recorder)
	close(d.readers)
	for r := range d.readers {
		errs = append(errs, r.Close())
	}
	if d.writer != nil {
		if d.running {
			d.writer.stop()
		}
		errs = append(errs, d.writer.close())
	}
	return errors.Join(errs...)
}

// Release gives the database back.
func (d *Database) Release() { d.release() }

// ID returns the database's id.
func (d *Database) ID() string { return d.id.String() }

// Size returns the bytes of the database.
func (d *Database) Size() int64 { return d.size.Load() }

// Bookmark names the state after the last commit.
func (d *Database) Bookmark() string {
	return position{id: history.TXID(d.last.Load())}.bookmark(d.id)
}

// CheckSession says whether a session may begin at s: [FirstPrimary],
// [FirstUnconstrained], a bookmark of this database, or nothing. All reads here
// see the last commit, so that every session is as fresh as can be.
func (d *Database) CheckSession(s string) error {
	if s == "" || s == FirstPrimary || s == FirstUnconstrained {
		return nil
	}
	_, err := parseBookmark(s, d.id)
	return err
}

// Do runs the queries as one transaction and hands their results to sink, in
// order. On an error, which is a [*QueryError] when a query is at fault, nothing
// has changed and what the sink got is void. The context bounds how long the call
// waits for its turn; a query itself ends at the limit of its duration.
func (d *Database) Do(ctx context.Context, queries []Query, sink Sink) error {
	return d.DoFor(ctx, nil, queries, sink)
}

// DoFor is Do for a worker, whose queries are counted by request.
func (d *Database) DoFor(ctx context.Context, by *Caller, queries []Query, sink Sink) error {
	if len(queries) == 0 {
		return nil
	}
	if by != nil {
		if err := d.admit(by, len(queries)); err != nil {
			return err
		}
	}
	var c *native.Conn
	select {
	case c = <-d.readers:
	case <-ctx.Done():
		return fmt.Errorf("d1: waiting for a connection: %w", context.Cause(ctx))
	}
	read, state := onlyRead(c, queries)
	if !read {
		d.readers <- c
		return d.writer.do(ctx, by, queries, state, sink)
	}
	defer func() { d.readers <- c }()
	return d.read(c, by, queries, sink)
}

func (d *Database) read(c *native.Conn, by *Caller, queries []Query, sink Sink) (err error) {
	if len(queries) > 1 { // one snapshot for all
		if err := c.Exec("BEGIN"); err != nil {
			return fmt.Errorf("d1: begin to read: %w", err)
		}
		defer func() { err = errors.Join(err, c.Exec("COMMIT")) }()
	}
	for i := range queries {
		if err := d.runQuery(c, by, i, &queries[i], sink); err != nil {
			return err
		}
	}
	return nil
}
