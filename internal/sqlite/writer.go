package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
)

// writer gives callers their turns on the one writing connection.
//
//	caller:  queue ──► turn (gets the transaction) ──► fn ──► ran ──► result
//	writer:  BEGIN ── SAVEPOINT … RELEASE | ROLLBACK TO ── (next caller) ── COMMIT
type writer struct {
	conn     *sql.Conn
	path     string
	maxBatch int

	commits  atomic.Int64
	queue    chan *write
	quit     chan struct{} // closed by stop
	quitOnce sync.Once
	finished chan struct{} // closed when run has returned
}

// write is one call of DB.Write.
type write struct {
	turn   chan *sql.Tx  // unbuffered: a send succeeds only while the caller waits
	gone   chan struct{} // closed by a caller whose context ended before its turn
	ran    chan bool     // buffered, one value: whether the function returned nil
	result chan error    // buffered, one value
}

func startWriter(conn *sql.Conn, path string, maxBatch int) *writer {
	w := &writer{
		conn:     conn,
		path:     path,
		maxBatch: maxBatch,
		queue:    make(chan *write),
		quit:     make(chan struct{}),
		finished: make(chan struct{}),
	}
	go w.run()
	return w
}

// stop ends the writer after the batch it is at.
func (w *writer) stop() {
	w.quitOnce.Do(func() { close(w.quit) })
	<-w.finished
}

func (w *writer) do(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("sqlite: write %s: %w", w.path, err)
	}
	req := &write{
		turn:   make(chan *sql.Tx),
		gone:   make(chan struct{}),
		ran:    make(chan bool, 1),
		result: make(chan error, 1),
	}
	select {
	case w.queue <- req:
	case <-ctx.Done():
		return fmt.Errorf("sqlite: write %s: waiting for the writer: %w", w.path, context.Cause(ctx))
	case <-w.finished:
		return ErrClosed
	}
	var tx *sql.Tx
	select {
	case tx = <-req.turn:
	case err := <-req.result: // no transaction could be started
		return err
	case <-ctx.Done():
		close(req.gone)
		return fmt.Errorf("sqlite: write %s: waiting for the writer: %w", w.path, context.Cause(ctx))
	}
	err := runPart(tx, fn, req.ran)
	if result := <-req.result; err == nil {
		err = result
	}
	return err
}

// runPart calls fn and reports the outcome even when fn panics or ends the
// goroutine: the writer waits for it.
func runPart(tx *sql.Tx, fn func(*sql.Tx) error, ran chan<- bool) (err error) {
	keep := false
	defer func() { ran <- keep }()
	err = fn(tx)
	keep = err == nil
	return err
}

func (w *writer) run() {
	defer close(w.finished)
	for {
		select {
		case <-w.quit:
			return
		case first := <-w.queue:
			w.batch(first)
		}
	}
}

// batch runs first and all who wait by then in one transaction.
func (w *writer) batch(first *write) {
	tx, err := w.conn.BeginTx(context.Background(), nil)
	if err != nil {
		first.result <- fmt.Errorf("sqlite: begin on %s: %w", w.path, classify(w.path, err))
		return
	}
	var parts []*write // those whose part is in the transaction
	req := first
	for req != nil {
		kept, err := w.part(tx, req)
		if err != nil {
			// The transaction is lost: SQLite rolls it back by itself on a full
			// disk, an I/O error or lack of memory.
			w.abandon(tx, parts, err)
			return
		}
		if kept {
			parts = append(parts, req)
		}
		req = w.next(len(parts))
	}
	if len(parts) == 0 {
		w.abandon(tx, nil, nil)
		return
	}
	if err := tx.Commit(); err != nil {
		err = fmt.Errorf("sqlite: commit to %s: %w", w.path, classify(w.path, err))
		for _, p := range parts {
			p.result <- err
		}
		return
	}
	w.commits.Add(1)
	for _, p := range parts {
		p.result <- nil
	}
}

// next returns a caller that waits already, or nil. Nobody is waited for: while
// a commit syncs, the next batch gathers by itself.
func (w *writer) next(have int) *write {
	if have >= w.maxBatch {
		return nil
	}
	select {
	case req := <-w.queue:
		return req
	default:
		return nil
	}
}

// part gives req its turn inside a savepoint. An error means that the whole
// transaction is lost; req has its result then, and also when its part was
// undone.
func (w *writer) part(tx *sql.Tx, req *write) (kept bool, err error) {
	ctx := context.Background()
	if _, err := tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		err = fmt.Errorf("sqlite: savepoint in %s: %w", w.path, classify(w.path, err))
		req.result <- err
		return false, err
	}
	select {
	case req.turn <- tx:
	case <-req.gone:
		return false, w.undo(ctx, tx)
	}
	if keep := <-req.ran; !keep {
		// The caller has its own error (or panic); it hears of the loss of the
		// transaction only through the others.
		err := w.undo(ctx, tx)
		req.result <- err
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "RELEASE part"); err != nil {
		err = fmt.Errorf("sqlite: the transaction on %s ended before its commit: %w", w.path, classify(w.path, err))
		req.result <- err
		return false, err
	}
	return true, nil
}

func (w *writer) undo(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO part; RELEASE part"); err != nil {
		return fmt.Errorf("sqlite: the transaction on %s was lost to another write's failure: %w", w.path, classify(w.path, err))
	}
	return nil
}

// abandon rolls back and tells all whose parts were in the transaction.
func (w *writer) abandon(tx *sql.Tx, parts []*write, cause error) {
	// "No transaction is active" and "already done" are the state we want here.
	// Should the rollback fail otherwise, the next BEGIN fails and says so.
	_ = tx.Rollback()
	for _, p := range parts {
		p.result <- cause
	}
}
