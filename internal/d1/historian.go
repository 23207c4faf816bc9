package d1

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/selvage-dev/selvage/internal/history"
)

// historyFolder is beside the database's file.
const historyFolder = "history"

const (
	// The write-ahead log is moved into the file after checkpointFrames, and writes are
	// refused at maxFrames, should it not be possible to record it: 8 MB and 256 MB of
	// pages of 4 KB. A single transaction may go beyond.
	checkpointFrames = 2048
	maxFrames        = 65536
	// An idle database is looked at for changes from outside every lookEvery.
	lookEvery = 5 * time.Second
	// A checkpoint waits at most flushPatience for the history.
	flushPatience = 30 * time.Second
)

// tidied is how far the writer's log has been counted and moved.
type tidied struct {
	commits    int64 // that have a number
	moved      int64 // commits that are in the database file
	after      int   // frames after which the log is moved
	next       int   // frames at which it is moved next
	version    int64 // of the data, as other connections change it
	complained bool
}

// startHistory takes over the log and, with a retention, begins to record it.
func (d *Database) startHistory(o *openOptions) error {
	w := d.writer
	wal, err := w.c.WatchWAL()
	if err != nil {
		return fmt.Errorf("d1: watch the log: %w", err)
	}
	w.wal = wal
	if w.tidied.after = o.checkpointFrames; w.tidied.after == 0 {
		w.tidied.after = checkpointFrames
	}
	w.tidied.next = w.tidied.after
	w.readSize()
	if o.retention <= 0 {
		d.last.Store(uint64(o.opened)<<32 | 1)
		return nil
	}
	if err := w.c.Exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	defer w.rollBack()
	path := filepath.Join(o.dir, fileName)
	d.history, err = history.Start(history.Options{
		Path: path, Dir: filepath.Join(o.dir, historyFolder), FS: o.fs, Log: o.log, Retention: o.retention,
		Created: o.created, Epoch: o.opened, Work: o.merges,
		Pin: func() (func(), error) { return pin(path, o.log) },
	})
	if err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	d.last.Store(uint64(d.history.Last()))
	if w.tidied.version, err = wal.DataVersion(); err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	return nil
}

// dropHistory removes a history that is not to be kept any more. Numbers go on above
// its own.
func (s *Service) dropHistory(o *openOptions) error {
	if o.retention > 0 {
		return nil
	}
	dir := filepath.Join(o.dir, historyFolder)
	epoch, err := history.LastEpoch(dir)
	if err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	o.opened = epoch
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("d1: remove the history: %w", err)
	}
	return nil
}

// begin begins a transaction, having seen whether another process changed something.
func (w *writer) begin() error {
	h := w.d.history
	if h != nil {
		if _, frames := w.wal.Commits(); frames >= maxFrames && w.tidied.commits > w.tidied.moved && h.Failure() != nil {
			return &Error{
				Code: CodeUnavailable, Err: h.Failure(),
				Message: "The database takes no writes: its history for time travel cannot be written, and the log has grown to its limit. Make room on the disk; then it goes on by itself.",
			}
		}
	}
	if err := w.c.Exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("d1: begin: %w", err)
	}
	if h == nil {
		return nil
	}
	version, err := w.wal.DataVersion()
	if err == nil && version == w.tidied.version && !h.Lost() {
		return nil
	}
	if err == nil {
		w.d.log.Warn("another process changed a database's file; its history begins anew with a snapshot", "database", w.d.id)
		err = h.BeginEpoch()
	}
	if err != nil {
		w.rollBack()
		return fmt.Errorf("d1: begin: %w", err)
	}
	w.tidied.version = version
	w.d.last.Store(uint64(h.Last()))
	return nil
}

// number gives the transaction that was just committed its number, if it wrote.
func (w *writer) number() {
	commits, frames := w.wal.Commits()
	if commits == w.tidied.commits {
		return
	}
	w.tidied.commits = commits
	if w.d.history == nil {
		w.d.last.Add(1)
		return
	}
	w.d.last.Store(uint64(w.d.history.Commit(frames)))
}

// tidy moves the log into the database file once it is long, all of it being recorded.
// Callers have their answers by then.
func (w *writer) tidy() {
	commits, frames := w.wal.Commits()
	if commits == w.tidied.moved || frames < w.tidied.next {
		return
	}
	if h := w.d.history; h != nil && h.Snapshotting() && frames < maxFrames {
		return
	}
	complete, err := w.checkpoint()
	switch {
	case err == nil && complete:
		w.tidied.moved, w.tidied.next, w.tidied.complained = commits, w.tidied.after, false
		return
	case err != nil && !w.tidied.complained:
		w.tidied.complained = true
		w.d.log.Error("the log of a database cannot be moved into its file; it grows", "database", w.d.id, "frames", frames, "error", err)
	}
	w.tidied.next = frames + w.tidied.after // a reader is in the way, or the disk
}

// checkpoint moves the log into the database file.
func (w *writer) checkpoint() (complete bool, err error) {
	h := w.d.history
	if h != nil {
		if err := h.FlushWithin(flushPatience); err != nil {
			return false, err
		}
	}
	complete, err = w.wal.Checkpoint()
	if err == nil && complete && h != nil {
		err = h.Checkpointed()
	}
	return complete, err
}

// look sees to it that a change from outside is recorded soon, also when nobody writes.
func (w *writer) look() {
	if w.d.history == nil {
		return
	}
	if err := w.begin(); err != nil {
		w.d.log.Warn("a database could not be looked at for changes from outside", "database", w.d.id, "error", err)
		return
	}
	w.rollBack()
}

// close ends the connection, with the log in the database file if that can be. The
// writer has stopped, and no reader is left.
func (w *writer) close() error {
	var errs []error
	if w.wal != nil {
		if _, err := w.checkpoint(); err != nil {
			errs = append(errs, err) // the log stays, and has all
		}
	}
	if w.wal != nil {
		w.wal.Close()
	}
	errs = append(errs, w.c.Close())
	if w.d.history != nil {
		errs = append(errs, w.d.history.Close())
	}
	return errors.Join(errs...)
}
