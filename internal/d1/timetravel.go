package d1

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/selvage-dev/selvage/internal/history"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// Target names a state of a database.
type Target struct {
	Bookmark string
	At       time.Time // instead of a bookmark: the last state at that time
}

// Restored says what a restore did.
type Restored struct {
	Bookmark string // of the state that was restored, as it was asked for
	Previous string // of the state before; it can be restored
	Current  string // of the state now
}

// errNoTimeTravel is for a platform without it.
var errNoTimeTravel = fail(CodeInvalid, "Time travel is switched off on this platform (d1.time_travel).")

// BookmarkAt returns the bookmark of the last state at that time, or with a zero time
// of the state now.
func (d *Database) BookmarkAt(ctx context.Context, at time.Time) (string, error) {
	if d.history == nil {
		return "", errNoTimeTravel
	}
	if err := d.recorded(ctx); err != nil {
		return "", err
	}
	if at.IsZero() {
		return d.Bookmark(), nil
	}
	id, err := d.history.At(ctx, at)
	if err != nil {
		return "", travelError(err)
	}
	return position{id: id}.bookmark(d.id), nil
}

// recorded returns once all that is committed, also from outside, is recorded.
func (d *Database) recorded(ctx context.Context) error {
	if err := d.writer.exclusive(ctx, func(*native.Conn) error { return nil }); err != nil {
		return err
	}
	if err := d.history.Flush(ctx); err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	return nil
}

// Restore puts the database back to an earlier state, in place: to everybody else it
// is one transaction, and itself one that can be gone back from. Calls that run see
// the state before or the one after.
func (d *Database) Restore(ctx context.Context, t Target) (Restored, error) {
	if d.history == nil {
		return Restored{}, errNoTimeTravel
	}
	var id history.TXID
	if t.Bookmark != "" {
		p, err := parseBookmark(t.Bookmark, d.id)
		if err != nil {
			return Restored{}, err
		}
		if p.old {
			return Restored{}, fail(CodeInvalid, "The bookmark %q is from before this platform kept a history.", t.Bookmark)
		}
		id = p.id
	}
	if err := d.recorded(ctx); err != nil {
		return Restored{}, err
	}
	if t.Bookmark == "" {
		var err error
		if id, err = d.history.At(ctx, t.At); err != nil {
			return Restored{}, travelError(err)
		}
	}
	if id > history.TXID(d.last.Load()) {
		return Restored{}, fail(CodeInvalid, "The bookmark %q is of a state that this database has not had.", t.Bookmark)
	}
	out, err := d.fs.CreateTemp(d.dir, "restore")
	if err != nil {
		return Restored{}, fmt.Errorf("d1: restore: %w", err)
	}
	defer func() {
		if err := d.fs.Discard(out); err != nil {
			d.log.WarnContext(ctx, "the file of a restore was not removed", "database", d.id, "error", err)
		}
	}()
	if err := d.history.Materialise(ctx, id, out); err != nil {
		return Restored{}, travelError(err)
	}
	r := Restored{Bookmark: position{id: id}.bookmark(d.id)}
	r.Previous, r.Current, err = d.replace(ctx, out.Name())
	return r, err
}

// replace puts the content of the database file at path in the place of this one's.
func (d *Database) replace(ctx context.Context, path string) (previous, current string, err error) {
	job := &write{ctx: ctx, state: true, bare: true, done: make(chan error, 1)}
	job.run = func(c *native.Conn) error {
		previous = d.Bookmark()
		if err := c.Replace(path); err != nil {
			return &QueryError{Err: err}
		}
		return d.writer.replaced()
	}
	if err := d.writer.submit(job); err != nil {
		return "", "", err
	}
	return previous, d.Bookmark(), nil
}

// replaced takes the change of the data that a replacement makes on its own connection
// for none from outside; what another process did meanwhile lies in the log beside it.
func (w *writer) replaced() error {
	version, err := w.wal.DataVersion()
	if err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	w.tidied.version = version
	return nil
}

// travelError gives what the history says the code of the API.
func travelError(err error) error {
	if r, ok := errors.AsType[*history.RangeError](err); ok {
		return &Error{Code: CodeInvalid, Message: r.Error(), Err: err}
	}
	return fmt.Errorf("d1: %w", err)
}

// pin holds the state of a database for who reads its files.
func pin(path string, log *slog.Logger) (release func(), err error) {
	c, err := native.Open(path, native.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	if err := c.Exec("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return func() {
		if err := c.Close(); err != nil {
			log.Warn("a reader of a database did not close", "database", filepath.Base(filepath.Dir(path)), "error", err)
		}
	}, nil
}
