package ai

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/admit"
	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// route returns the server that runs a model and what the server calls it; nil: none
// does. A full name goes before what names begin with, and of these the longest.
func (s *Service) route(model string) (u *upstream, theirs string) {
	best := -1
	for _, r := range s.o.Routes {
		prefix, open := strings.CutSuffix(r.Model, "*")
		weight := len(prefix)
		switch {
		case !open && r.Model == model:
			weight = len(model) + 1
		case !open || !strings.HasPrefix(model, prefix):
			continue
		}
		if weight > best {
			best, u, theirs = weight, s.upstreams[r.Upstream], r.Theirs
		}
	}
	if theirs == "" {
		theirs = model
	}
	return u, theirs
}

// ownRoutes are the names of models that only a route knows.
func (s *Service) ownRoutes() []string {
	var names []string
	for _, r := range s.o.Routes {
		if _, listed := s.catalogue.Find(r.Model); !listed && !strings.HasSuffix(r.Model, "*") {
			names = append(names, r.Model)
		}
	}
	return names
}

// localSlots is how many runs of one model of this process are let in at once: enough to
// keep its batches full, few enough that nobody waits behind a whole crowd of another.
const localSlots = 64

// TextSlots is the same for models that write text: as many as are written at once.
const TextSlots = 32

// Waiting is how many wait for a model of this process.
func (s *Service) Waiting(model string) int {
	s.mu.Lock()
	q := s.queues[model]
	s.mu.Unlock()
	if q == nil {
		return 0
	}
	_, waiting := q.Load()
	return waiting
}

// queueOf is the queue of a model of this process, which lets so many run at once.
func (s *Service) queueOf(model string, slots int) *admit.Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[model]
	if q == nil {
		q = admit.New(slots, s.o.Queue)
		s.queues[model] = q
	}
	return q
}

// wait takes a slot of a queue for a caller.
func wait(ctx context.Context, q *admit.Queue, caller *Caller) (release func(), err error) {
	release, err = q.Acquire(ctx, caller.subject())
	if errors.Is(err, admit.ErrFull) {
		return nil, busy()
	}
	return release, err
}

// busy is the error for a queue that is full.
func busy() *fault.Error {
	e := fault.New(fault.CodeCapacity, "Out of capacity: as many requests as may wait for this model do so already")
	e.RetryAfter = time.Second
	return e
}
