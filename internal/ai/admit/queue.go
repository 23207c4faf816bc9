// Package admit decides who may use an engine next.
package admit

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrFull is the error of Acquire when as many wait as may wait.
var ErrFull = errors.New("admit: the queue is full")

// Queue lets a bounded number of jobs run and a bounded number wait. Those who wait are
// served in turn by subject, a worker or a token, so that who sends a thousand jobs
// waits for them and nobody else does. It is safe for concurrent use.
type Queue struct {
	slots, most int

	mu      sync.Mutex
	running int
	waiting int
	lines   []*line // of subjects with somebody who waits; the first is next
}

// line is the jobs of one subject in the order they came.
type line struct {
	subject string
	jobs    []*job
}

type job struct{ granted chan struct{} }

// New returns a queue in which slots jobs run and most wait.
func New(slots, most int) *Queue { return &Queue{slots: slots, most: most} }

// Acquire waits for a slot. The caller gives it back with release, once.
func (q *Queue) Acquire(ctx context.Context, subject string) (release func(), err error) {
	q.mu.Lock()
	if q.running < q.slots && q.waiting == 0 {
		q.running++
		q.mu.Unlock()
		return q.release, nil
	}
	if q.waiting >= q.most {
		q.mu.Unlock()
		return nil, ErrFull
	}
	j := &job{granted: make(chan struct{})}
	i := slices.IndexFunc(q.lines, func(l *line) bool { return l.subject == subject })
	if i < 0 {
		i = len(q.lines)
		q.lines = append(q.lines, &line{subject: subject})
	}
	q.lines[i].jobs = append(q.lines[i].jobs, j)
	q.waiting++
	q.mu.Unlock()
	select {
	case <-j.granted:
		return q.release, nil
	case <-ctx.Done():
	}
	if !q.leave(j) { // the slot came at the same moment
		q.release()
	}
	return nil, context.Cause(ctx)
}

// leave takes a job out of its line; false: it has a slot already.
func (q *Queue) leave(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, l := range q.lines {
		k := slices.Index(l.jobs, j)
		if k < 0 {
			continue
		}
		l.jobs = slices.Delete(l.jobs, k, k+1)
		q.waiting--
		if len(l.jobs) == 0 {
			q.lines = slices.Delete(q.lines, i, i+1)
		}
		return true
	}
	return false
}

// release passes the slot to the first job of the subject whose turn it is.
func (q *Queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) == 0 {
		q.running--
		return
	}
	l := q.lines[0]
	q.lines = q.lines[1:]
	next := l.jobs[0]
	l.jobs = l.jobs[1:]
	q.waiting--
	if len(l.jobs) > 0 {
		q.lines = append(q.lines, l)
	}
	close(next.granted)
}

// Load says how many run and wait.
func (q *Queue) Load() (running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.running, q.waiting
}
