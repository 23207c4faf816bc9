package vectorize

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/uuid"
)

const (
	// The largest number of mutations that share a commit.
	maxGroup = 256
	// The size from which on a group takes no further mutation.
	groupBytes = 32 << 20
)

// writer commits the mutations of one index, one group after the other.
type writer struct {
	x        *Index
	log      *log
	queue    chan *job
	quit     chan struct{}
	quitOnce sync.Once
	finished chan struct{}
}

// job is a mutation that waits.
type job struct {
	mutation

	done chan error // buffered, one value
}

func startWriter(x *Index, l *log) *writer {
	w := &writer{x: x, log: l, queue: make(chan *job, maxGroup), quit: make(chan struct{}), finished: make(chan struct{})}
	go w.run()
	return w
}

// stop ends the writer after the group it is at.
func (w *writer) stop() {
	w.quitOnce.Do(func() { close(w.quit) })
	<-w.finished
}

// mutate commits m and returns its id when it is on disk and visible.
func (x *Index) mutate(ctx context.Context, m mutation) (uuid.UUID, error) { //nolint:gocritic // it is copied into the job
	j := &job{mutation: m, done: make(chan error, 1)}
	j.id = uuid.New()
	select {
	case x.writer.queue <- j:
	case <-ctx.Done():
		return uuid.Nil, fmt.Errorf("vectorize: waiting for the writer: %w", context.Cause(ctx))
	case <-x.writer.finished:
		return uuid.Nil, ErrClosed
	}
	// From here on the outcome counts, whoever still waits for it.
	select {
	case err := <-j.done:
		return j.id, err
	case <-x.writer.finished:
	}
	select {
	case err := <-j.done:
		return j.id, err
	default:
		return uuid.Nil, ErrClosed
	}
}

func (w *writer) run() {
	defer close(w.finished)
	if w.x.flush.reached(w.x.mem) {
		w.freeze() // the log was long
	}
	for {
		select {
		case j := <-w.queue:
			w.commit(w.gather(j))
		case <-w.quit:
			return
		}
	}
}

// gather takes what waits already into the group of first.
func (w *writer) gather(first *job) []*job {
	group := []*job{first}
	size := first.size()
	for len(group) < maxGroup && size < groupBytes {
		select {
		case j := <-w.queue:
			group = append(group, j)
			size += j.size()
		default:
			return group
		}
	}
	return group
}

// commit numbers the mutations, refuses those that the state forbids, writes the
// rest in one frame and applies them.
func (w *writer) commit(group []*job) {
	x := w.x
	pending := newPending(x)
	taken := group[:0:0]
	frame := make([]*mutation, 0, len(group))
	for _, j := range group {
		if err := pending.admit(&j.mutation); err != nil {
			j.done <- err
			continue
		}
		j.seq = x.seq + 1 + uint64(len(frame))
		j.time = pending.time
		j.metadata.Since = j.seq
		taken = append(taken, j)
		frame = append(frame, &j.mutation)
	}
	if len(frame) == 0 {
		return
	}
	if err := w.log.commit(frame); err != nil {
		x.lg.Error("mutations could not be written", "index", x.name, "error", err)
		for _, j := range taken {
			j.done <- w.failure(err)
		}
		return
	}
	found := x.locate(frame)
	x.mu.Lock()
	x.found = found
	x.owned = make(map[*segment]bool)
	var err error
	for _, m := range frame {
		err = errors.Join(err, x.apply(m))
	}
	x.found = nil
	full := x.flush.reached(x.mem)
	x.mu.Unlock()
	if err != nil {
		x.lg.Error("what is in memory is not what the log says", "index", x.name, "error", err)
		w.log.broken = err
		err = w.failure(err)
	}
	for _, j := range taken {
		j.done <- err
	}
	if full {
		w.freeze()
	}
}

func (w *writer) failure(err error) error {
	if w.log.broken == nil {
		return err // a full disk, as the doors know it
	}
	return &Error{
		Code: CodeReadOnly, Status: http.StatusInternalServerError, Err: err,
		Message: "The disk failed to keep a mutation of this index, so it takes no more until the platform is restarted. Queries are answered. The platform's log has the cause.",
	}
}
