package cron

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Grace is how late a tick may still be run: after a restart, or when the machine
// slept. One that is later is missed.
const Grace = time.Minute

// maxSleep bounds one wait of the scheduler, because timers do not follow the
// wall clock when it is set.
const maxSleep = time.Minute

// Entry is one expression of a key.
type Entry struct {
	Expr *Expr
	// After is the last tick that was run, or when the entry was made: ticks up
	// to it are not run.
	After time.Time
}

// Tick is one minute at which one entry is due.
type Tick[K comparable] struct {
	Key  K
	Cron string // the entry's expression as it was written
	At   time.Time
}

// Scheduler calls fire at the minutes of any number of expressions, which are
// grouped by key. It is safe for concurrent use.
type Scheduler[K comparable] struct {
	fire func(due, missed []Tick[K])

	mu    sync.Mutex
	keys  map[K][]*item[K]
	queue queue[K]
	wake  chan struct{}
}

// item is one entry in the queue.
type item[K comparable] struct {
	key   K
	expr  *Expr
	at    time.Time
	index int // in the queue, -1 outside
}

// NewScheduler returns a scheduler without entries. Fire gets the ticks that are
// due, all at once so that they can be written down at the price of one, and those
// that were missed by more than Grace. It is called by the goroutine of Run, so it
// must not wait for what it starts.
func NewScheduler[K comparable](fire func(due, missed []Tick[K])) *Scheduler[K] {
	return &Scheduler[K]{fire: fire, keys: make(map[K][]*item[K]), wake: make(chan struct{}, 1)}
}

// Set replaces the entries of a key; none removes it.
func (s *Scheduler[K]) Set(key K, entries []Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.keys[key] {
		if it.index >= 0 {
			heap.Remove(&s.queue, it.index)
		}
	}
	delete(s.keys, key)
	oldest := time.Now().Add(-Grace)
	for _, e := range entries {
		from := e.After
		if from.Before(oldest) {
			from = oldest
		}
		at, ok := e.Expr.Next(from)
		if !ok {
			continue // Parse lets no such expression through
		}
		it := &item[K]{key: key, expr: e.Expr, at: at}
		s.keys[key] = append(s.keys[key], it)
		heap.Push(&s.queue, it)
	}
	s.nudge()
}

// Len returns the number of entries.
func (s *Scheduler[K]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

func (s *Scheduler[K]) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run fires ticks until ctx ends.
func (s *Scheduler[K]) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, missed, wait, more := s.take(time.Now())
		if len(due)+len(missed) > 0 {
			s.fire(due, missed)
			continue // it took a while
		}
		var tick <-chan time.Time // nil: nothing to wait for
		if more {
			timer.Reset(min(wait, maxSleep))
			tick = timer.C
		}
		select {
		case <-tick:
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

// take moves every entry that is due to its next minute, and says how long it is
// until the first of the others; more is false when there is none.
func (s *Scheduler[K]) take(now time.Time) (due, missed []Tick[K], wait time.Duration, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && !s.queue[0].at.After(now) {
		it := s.queue[0]
		tick := Tick[K]{Key: it.key, Cron: it.expr.String(), At: it.at}
		if now.Sub(it.at) < Grace {
			due = append(due, tick)
		} else {
			missed = append(missed, tick)
		}
		from := it.at
		if oldest := now.Add(-Grace); from.Before(oldest) {
			from = oldest
		}
		it.at, _ = it.expr.Next(from) // Parse saw that there always is one
		heap.Fix(&s.queue, 0)
	}
	if len(s.queue) == 0 {
		return due, missed, 0, false
	}
	return due, missed, s.queue[0].at.Sub(now), true
}

// queue implements heap.Interface, the earliest first.
type queue[K comparable] []*item[K]

func (q queue[K]) Len() int           { return len(q) }
func (q queue[K]) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue[K]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue[K]) Push(x any) {
	it := x.(*item[K]) //nolint:errcheck,forcetypeassert // only Set pushes
	it.index = len(*q)
	*q = append(*q, it)
}

func (q *queue[K]) Pop() any {
	old := *q
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	it.index = -1
	return it
}
