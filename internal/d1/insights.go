package d1

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/d1/insights"
	"github.com/selvage-dev/selvage/internal/sqlite/native"
)

// flushInterval is how often counts of statements go to disk. What was counted since the
// last time is lost by kill -9.
const flushInterval = time.Minute

// maxLeft is how many closed databases may wait for a flush; one more asks for it.
const maxLeft = 128

// Caller is who runs queries: a request of a worker.
type Caller struct {
	Account, Script, Version string
	Ray                      string // "" when it is not known, and then nothing is counted by request
}

// observer counts what all databases do. It is separate from them, because they close
// when nobody uses them.
type observer struct {
	repeats *insights.Repeats
	loops   loops

	mu        sync.Mutex
	recorders map[uuid.UUID]*insights.Recorder // of open databases
	left      []left                           // of those that were closed since the last flush

	kick     chan struct{} // asks for a flush
	flushing sync.Mutex    // one flush at a time
	quit     chan struct{}
	done     chan struct{}
}

// left is what a database did that was closed since.
type left struct {
	id    uuid.UUID
	taken []insights.Taken
}

func newObserver(onLoop func(Loop)) *observer {
	return &observer{
		repeats: insights.NewRepeats(), loops: loops{on: onLoop},
		recorders: make(map[uuid.UUID]*insights.Recorder), kick: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// recorder returns the counts of a database that is being opened.
func (o *observer) recorder(id uuid.UUID) *insights.Recorder {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.recorders[id]
	if r == nil {
		r = insights.NewRecorder()
		o.recorders[id] = r
	}
	return r
}

// closed says that a database was closed: its counts go with the next flush.
func (o *observer) closed(id uuid.UUID, r *insights.Recorder) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.recorders[id] != r {
		return
	}
	delete(o.recorders, id)
	if taken := r.Take(); len(taken) > 0 {
		o.left = append(o.left, left{id, taken})
	}
	if len(o.left) >= maxLeft {
		select {
		case o.kick <- struct{}{}:
		default: // a flush is about to begin
		}
	}
}

// count notes a run of s, which was the i-th query of its call.
func (d *Database) count(s *native.Stmt, by *Caller, i int, start time.Time, m *Meta, rows int64) {
	if s.Explain || d.recorder == nil {
		return
	}
	st, _ := s.Note.(*insights.Statement)
	if st == nil || st.Gone() {
		st = d.recorder.Statement(s.SQL, !s.ReadOnly)
		s.Note = st
	}
	st.Record(start, m.Duration, m.RowsRead, m.RowsWritten, rows)
	// A batch is one way to the database, however often a statement is in it.
	if by == nil || by.Ray == "" || i > 0 {
		return
	}
	if n := d.observer.repeats.Statement(by.Ray, st); n > insights.Threshold {
		d.observer.loops.note(d.id, by, st.Text(), n)
	}
}

// admit counts the queries of a request against the limit of one.
func (d *Database) admit(by *Caller, n int) error {
	if by == nil || by.Ray == "" {
		if n > d.maxQueries {
			return tooManyQueries(d.maxQueries)
		}
		return nil
	}
	if d.observer.repeats.Queries(by.Ray, n) > d.maxQueries {
		return tooManyQueries(d.maxQueries)
	}
	return nil
}

func tooManyQueries(limit int) error {
	return fail(CodeLimit, "Too many API requests by single worker invocation: a request may run %d queries, those of its batches included. Read with one JOIN or IN (…) what you read in a loop, or raise d1.max_queries.", limit)
}

// observe writes counts to disk from time to time.
func (s *Service) observe() {
	o := s.observer
	defer close(o.done)
	t := time.NewTicker(flushInterval)
	defer t.Stop()
	for {
		select {
		case <-o.quit:
			return
		case <-t.C:
		case <-o.kick:
		}
		if err := s.flush(context.Background()); err != nil {
			s.o.Log.Error("counts of D1 statements were not written", "error", err)
		}
	}
}

// stopObserving writes what was counted and ends.
func (s *Service) stopObserving() error {
	close(s.observer.quit)
	<-s.observer.done
	return s.flush(context.Background())
}
