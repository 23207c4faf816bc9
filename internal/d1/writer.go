package d1

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// maxGroup is the largest number of calls that share a commit. It bounds how long
// the first of them waits.
const maxGroup = 256

// writer runs the writing calls of one database, one after the other, on the one
// connection that writes.
type writer struct {
	d        *Database
	c        *native.Conn
	wal      *native.WAL
	tidied   tidied
	queue    chan *write
	quit     chan struct{}
	quitOnce sync.Once
	finished chan struct{}
}

// write is one call that waits.
type write struct {
	ctx     context.Context //nolint:containedctx // a call that waits in a queue
	by      *Caller
	queries []Query
	state   bool // may set pragmas: runs alone, and they are taken back
	sink    Sink
	// run, when it is set, stands in for queries: it runs alone, in a transaction.
	run  func(c *native.Conn) error
	bare bool       // run makes its own transaction
	done chan error // buffered, one value
}

func newWriter(d *Database, c *native.Conn) *writer {
	return &writer{d: d, c: c, queue: make(chan *write, maxGroup), quit: make(chan struct{}), finished: make(chan struct{})}
}

// stop ends the writer after the group it is at. Readers are closed already.
func (w *writer) stop() {
	w.quitOnce.Do(func() { close(w.quit) })
	<-w.finished
}

func (w *writer) do(ctx context.Context, by *Caller, queries []Query, state bool, sink Sink) error {
	return w.submit(&write{ctx: ctx, by: by, queries: queries, state: state, sink: sink, done: make(chan error, 1)})
}

// exclusive runs fn alone in a transaction, which an error undoes.
func (w *writer) exclusive(ctx context.Context, fn func(c *native.Conn) error) error {
	return w.submit(&write{ctx: ctx, state: true, run: fn, done: make(chan error, 1)})
}

func (w *writer) submit(job *write) error {
	ctx := job.ctx
	select {
	case w.queue <- job:
	case <-ctx.Done():
		return fmt.Errorf("d1: waiting for the writer: %w", context.Cause(ctx))
	case <-w.finished:
		return ErrClosed
	}
	select {
	case err := <-job.done:
		return err
	case <-w.finished:
	}
	select {
	case err := <-job.done: // the last group
		return err
	default:
		return ErrClosed
	}
}

func (w *writer) run() {
	defer close(w.finished)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-w.quit:
			return
		case first := <-w.queue:
			w.group(w.gather(first))
			w.tidy()
		case <-look.C:
			w.look()
		}
	}
}

// gather takes all who wait already. Nobody is waited for: while a commit syncs,
// the next group gathers by itself.
func (w *writer) gather(first *write) []*write {
	jobs := []*write{first}
	for len(jobs) < maxGroup {
		select {
		case job := <-w.queue:
			jobs = append(jobs, job)
		default:
			return jobs
		}
	}
	return jobs
}

// group runs jobs in one transaction, as far as that is possible, and answers them.
func (w *writer) group(jobs []*write) {
	for len(jobs) > 0 {
		job := jobs[0]
		if err := context.Cause(job.ctx); err != nil {
			job.done <- fmt.Errorf("d1: waiting for the writer: %w", err)
			jobs = jobs[1:]
			continue
		}
		n := 0
		for n < len(jobs) && !jobs[n].state {
			n++
		}
		if n < 2 {
			job.done <- w.alone(job)
			jobs = jobs[1:]
			continue
		}
		w.together(jobs[:n])
		jobs = jobs[n:]
	}
}

// together runs jobs in one transaction. When it is lost, each runs alone.
func (w *writer) together(jobs []*write) {
	if err := w.begin(); err != nil {
		w.eachAlone(jobs)
		return
	}
	failed := make([]error, len(jobs))
	for i, job := range jobs {
		failed[i] = w.part(job)
		if !w.c.InTransaction() {
			// SQLite rolled all of it back: the disk is full, or a statement asked for it.
			w.eachAlone(jobs)
			return
		}
	}
	if err := w.c.Exec("COMMIT"); err != nil {
		w.rollBack() // a foreign key that one of them deferred, or the disk
		w.eachAlone(jobs)
		return
	}
	w.committed()
	for i, job := range jobs {
		job.done <- failed[i]
	}
}

func (w *writer) eachAlone(jobs []*write) {
	for _, job := range jobs {
		job.sink.Reset()
		job.done <- w.alone(job)
	}
}

// part runs a job inside the open transaction; its failure undoes it alone, also
// when it is one text of several statements, or an INSERT OR FAIL, which keeps the rows
// before the one that failed.
func (w *writer) part(job *write) error {
	if err := w.c.Exec("SAVEPOINT part"); err != nil {
		return fmt.Errorf("d1: %w", err)
	}
	err := w.queries(job)
	if !w.c.InTransaction() {
		return err
	}
	end := "RELEASE part"
	if err != nil {
		end = "ROLLBACK TO part; RELEASE part"
	}
	if err2 := w.c.Exec(end); err == nil && err2 != nil {
		return fmt.Errorf("d1: %w", err2)
	}
	return err
}

// alone runs a job in a transaction of its own.
func (w *writer) alone(job *write) error {
	if job.state {
		defer func() {
			if err := w.c.ResetState(); err != nil {
				w.d.log.Error("a database's connection could not be reset", "database", w.d.id, "error", err)
			}
		}()
	}
	if err := w.begin(); err != nil {
		return err
	}
	if job.bare {
		w.rollBack() // it was looked for changes from outside
		err := job.run(w.c)
		w.committed()
		return err
	}
	if err := w.queries(job); err != nil {
		w.rollBack()
		return err
	}
	if err := w.c.Exec("COMMIT"); err != nil {
		w.rollBack()
		return &QueryError{Index: max(0, len(job.queries)-1), Err: err}
	}
	w.committed()
	return nil
}

func (w *writer) queries(job *write) error {
	if job.run != nil {
		return job.run(w.c)
	}
	for i := range job.queries {
		if err := w.d.runQuery(w.c, job.by, i, &job.queries[i], job.sink); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) rollBack() {
	if !w.c.InTransaction() {
		return
	}
	if err := w.c.Exec("ROLLBACK"); err != nil {
		w.d.log.Error("a transaction could not be rolled back", "database", w.d.id, "error", err)
	}
}

// committed notes that the database has a new state.
func (w *writer) committed() {
	w.number()
	w.readSize()
}

// readSize keeps how large the database is. Asking costs about a microsecond.
func (w *writer) readSize() {
	size, err := w.c.Size()
	if err != nil {
		w.d.log.Error("the size of a database cannot be read", "database", w.d.id, "error", err)
		return
	}
	w.d.size.Store(size)
}
