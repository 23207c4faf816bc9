package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// retryAfter is how long a recorder waits after the disk has failed it.
const retryAfter = time.Second

// Options of [Start].
type Options struct {
	Path      string // of the database file
	Dir       string // of the history; made if need be
	FS        fsx.FS
	Log       *slog.Logger
	Retention time.Duration // for so long every transaction can be reached
	Created   time.Time     // of a new database
	Epoch     uint32        // the first one, when there is no history yet; at least 1
	// Pin holds the state of the database as it is now for whoever reads its files: no
	// checkpoint from anywhere moves what comes after into the file. It is called with
	// the write lock held.
	Pin func() (release func(), err error)
	// Work, unless nil, bounds how many histories merge files at a time: a merge puts a
	// value in and takes it out at the end.
	Work chan struct{}
}

// Recorder records the transactions of one open database. Its methods are safe for
// concurrent use, but those that say that the writer calls them.
type Recorder struct {
	o      Options
	folder *Folder
	clean  *fsx.AppendFile
	db     *os.File // see Start

	mu       sync.Mutex
	id       TXID      // the last that was given out
	at       time.Time // of it
	pos      position
	queue    []note
	recorded TXID // all up to it are in files
	waiters  []waiter
	failure  error // of the last attempt to record, nil after one that worked
	lost     bool  // the log was emptied from outside; an epoch must begin
	pending  int   // snapshots in the queue

	wake     chan struct{}
	quit     chan struct{}
	finished sync.WaitGroup
	wal      *os.File // of the recording goroutine
	work     chan struct{}
	using    sync.RWMutex // held for reading by those who need files to stay
}

// note is a transaction that is to be recorded, or the snapshot of an epoch.
type note struct {
	id       TXID
	at       time.Time
	end      int // frames of the log, behind its last
	snapshot bool
	salt     uint64 // of the log at a snapshot
	release  func()
}

type waiter struct {
	id   TXID
	done chan error
}

// Start opens the history of a database, or begins one, and records what the log has
// in store. The caller holds the database's write lock. It ends the recorder with
// Close.
func Start(o Options) (_ *Recorder, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.FS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	folder, err := OpenFolder(o.FS, o.Dir)
	if err == nil {
		err = folder.removeUnfinished()
	}
	if err != nil {
		return nil, err
	}
	r := &Recorder{o: o, folder: folder, wake: make(chan struct{}, 1), quit: make(chan struct{}), work: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.closeFiles())
		}
	}()
	// It stays open: when a process closes a file, it loses the locks that SQLite has on
	// it (https://sqlite.org/howtocorrupt.html, 2.2).
	if r.db, err = os.Open(o.Path); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if err := folder.openSegment(); err != nil {
		return nil, err
	}
	// What it says is read before it is opened, which makes it when it is not there.
	clean := readClean(o.Dir)
	if r.clean, err = openGrowing(o.FS, filepath.Join(o.Dir, cleanName)); err != nil {
		return nil, err
	}
	proven, err := r.resume(clean)
	if err != nil {
		return nil, err
	}
	if !proven {
		if err := r.BeginEpoch(); err != nil {
			return nil, err
		}
		if err := r.snapshotNow(); err != nil {
			return nil, err
		}
	}
	r.finished.Go(r.run)
	r.finished.Go(r.mergeLoop)
	r.wakeUp()
	return r, nil
}

// snapshotNow makes the snapshot of a small database before anything is written to it,
// so that there is no moment at which its first states could be lost. A large one is
// not waited for.
func (r *Recorder) snapshotNow() error {
	const small = 16 << 20 // bytes
	info, err := r.db.Stat()
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if info.Size() > small {
		return nil
	}
	err = r.drain()
	r.failure = err // run tries again, and says so when it works
	if err != nil {
		r.o.Log.Error("transactions are not recorded for time travel; checkpoints wait", "database", r.o.Path, "error", err)
	}
	return nil
}

// resume finds where the log stands against the history and notes what it has in
// store. It reports whether that is proven to be all that happened since.
func (r *Recorder) resume(clean identity) (proven bool, err error) {
	last, err := r.folder.recorded()
	if err != nil || last.id == 0 {
		return false, err
	}
	r.id, r.at, r.recorded = last.id, last.at, last.id
	r.pos = position{salt: last.salt, frame: last.frame, commit: last.commit}
	epoch, err := readEpoch(r.o.Dir)
	if err != nil || epoch != last.id.Epoch() {
		return false, err // its snapshot was not finished
	}
	wal, exists, err := openWAL(r.o.Path)
	if err != nil {
		return false, err
	}
	var h walHeader
	if exists {
		defer func() { err = errors.Join(err, wal.Close()) }()
		var ok bool
		if h, ok, err = readWALHeader(wal); err != nil {
			return false, err
		}
		exists = ok
	}
	if !exists || h.salt != r.pos.salt {
		now, err := identify(r.o.Path, last.id)
		if err != nil || now != clean {
			return false, err
		}
		r.pos.salt, r.pos.frame, r.pos.renewable = 0, 0, true
		if !exists {
			return true, nil
		}
	}
	info, err := wal.Stat()
	if err != nil {
		return false, fmt.Errorf("history: %w", err)
	}
	end := 0
	err = h.scan(wal, 0, func(n int) error {
		if end = n; n > r.pos.frame {
			r.note(note{end: n}, info.ModTime())
		}
		return nil
	})
	// A log that is shorter than what was recorded of it lost its end with the power
	// (durability "normal"): the history went on where the database did not.
	return err == nil && end >= r.pos.frame, err
}

// note queues a transaction under the next number. The caller holds mu, or is the
// only one.
func (r *Recorder) note(n note, at time.Time) TXID {
	if n.id == 0 {
		n.id = r.id + 1
	}
	n.at = at.Truncate(time.Millisecond)
	if n.at.Before(r.at) {
		n.at = r.at
	}
	r.id, r.at = n.id, n.at
	r.queue = append(r.queue, n)
	return n.id
}

// BeginEpoch begins with a snapshot of the database as it is. The writer calls it,
// with the write lock held and nothing written.
func (r *Recorder) BeginEpoch() error {
	r.mu.Lock()
	known := r.id
	r.mu.Unlock()
	epoch, err := readEpoch(r.o.Dir)
	if err != nil {
		return err
	}
	at := time.Now()
	if epoch = max(epoch, known.Epoch(), r.folder.last().Epoch()) + 1; known == 0 && epoch <= r.o.Epoch {
		epoch = r.o.Epoch
		if !r.o.Created.IsZero() {
			at = r.o.Created
		}
	}
	// From here on no number of the epoch before is given out, whatever happens.
	if err := writeEpoch(r.o.FS, r.o.Dir, epoch); err != nil {
		return err
	}
	release, err := r.o.Pin()
	if err != nil {
		return fmt.Errorf("history: hold the state for a snapshot: %w", err)
	}
	n := note{id: firstOf(epoch), snapshot: true, release: release}
	wal, exists, err := openWAL(r.o.Path)
	if err == nil && exists {
		var h walHeader
		h, n.end, err = walEnd(wal)
		if n.end > 0 {
			n.salt = h.salt
		}
		err = errors.Join(err, wal.Close())
	}
	if err != nil {
		release()
		return err
	}
	r.mu.Lock()
	r.note(n, at)
	r.pending++
	r.lost = false
	r.mu.Unlock()
	r.wakeUp()
	return nil
}

// Commit notes a transaction that was just committed, after which the log has so many
// frames, and returns its number. The writer calls it.
func (r *Recorder) Commit(end int) TXID {
	now := time.Now()
	r.mu.Lock()
	id := r.note(note{end: end}, now)
	r.mu.Unlock()
	r.wakeUp()
	return id
}

// Last returns the number of the last transaction.
func (r *Recorder) Last() TXID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.id
}

// Lost reports whether an epoch must begin because the log was emptied from outside.
func (r *Recorder) Lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// Failure returns why transactions are not recorded at the moment, nil when they are.
// They are recorded once the cause is gone.
func (r *Recorder) Failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// Snapshotting reports whether the snapshot of an epoch is being made, for which a
// Flush would wait.
func (r *Recorder) Snapshotting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending > 0
}

// Flush returns once all transactions that were noted are in synced files.
func (r *Recorder) Flush(ctx context.Context) error {
	w := r.flush()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("history: waiting for transactions to be recorded: %w", context.Cause(ctx))
	}
}

// FlushWithin is Flush for the writer, which is nobody's call.
func (r *Recorder) FlushWithin(patience time.Duration) error {
	w := r.flush()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case err := <-w.done:
		return err
	case <-t.C:
		return fmt.Errorf("history: transactions were not recorded within %s", patience)
	}
}

func (r *Recorder) flush() waiter {
	r.mu.Lock()
	w := waiter{id: r.id, done: make(chan error, 1)}
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	r.wakeUp()
	return w
}

// Checkpointed notes that the log, all of which was flushed, was moved into the
// database file. The writer calls it, having written nothing since.
func (r *Recorder) Checkpointed() error {
	r.mu.Lock()
	r.pos.renewable = true
	id := r.id
	r.mu.Unlock()
	return r.noteClean(id)
}

// noteClean keeps what the database file is like with all transactions in it. It is
// synced before another transaction is acknowledged, and so is the file's time, which
// SQLite may leave out.
func (r *Recorder) noteClean(id TXID) error {
	err := r.db.Sync()
	var now identity
	if err == nil {
		now, err = identify(r.o.Path, id)
	}
	if err == nil {
		err = r.clean.Overwrite(now.encode())
	}
	if err == nil {
		err = r.clean.Sync()
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// Close ends the recorder. The database's connections are closed by then. What was not flushed is recorded when it is started again.
func (r *Recorder) Close() error {
	close(r.quit)
	r.finished.Wait()
	r.mu.Lock()
	for _, n := range r.queue {
		if n.release != nil {
			n.release()
		}
	}
	r.queue = nil
	r.mu.Unlock()
	r.answer(errors.New("history: the recorder was closed"))
	return r.closeFiles()
}

func (r *Recorder) closeFiles() error {
	var errs []error
	for _, c := range []interface {
		io.Closer
		Sync() error
	}{r.clean, r.segmentFile()} {
		if f, ok := c.(*fsx.AppendFile); ok && f != nil {
			errs = append(errs, f.Sync(), f.Close())
		}
	}
	for _, f := range []*os.File{r.wal, r.db} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func (r *Recorder) segmentFile() *fsx.AppendFile {
	if r.folder.active == nil {
		return nil
	}
	return r.folder.active.out
}

func (r *Recorder) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
