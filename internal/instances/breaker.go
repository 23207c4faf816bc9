package instances

import (
	"sync"
	"time"
)

// Numbers of a breaker.
const (
	breakerWindow   = 10               // seconds that are looked at
	breakerLeast    = 20               // failures in them, so that few requests open nothing
	breakerShare    = 2                // opens when a failure is at least one in so many
	breakerFirst    = time.Second      // how long it is open at first
	breakerLongest  = 30 * time.Second // it doubles up to this
	breakerPatience = 10 * time.Second // a probe that says nothing for so long has failed
)

// breaker keeps requests away from an application that fails most of them.
//
//	closed ──(failures: many, and most)──▶ open ──(time)──▶ half open ──(a probe succeeds)──▶ closed
//	                                        ▲                   │
//	                                        └──(the probe fails)┘
//
// It keeps no time of its own: moments are arguments.
type breaker struct {
	mu      sync.Mutex
	buckets [breakerWindow]bucket
	open    time.Duration // 0: closed
	until   time.Time     // open: no request before
	probe   time.Time     // half open: when the probe was let through; zero: none is
}

// bucket counts what happened in one second.
type bucket struct {
	second   int64
	ok, fail int
}

// allow reports whether a request may go.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open == 0:
		return true
	case now.Before(b.until):
		return false
	case !b.probe.IsZero() && now.Sub(b.probe) < breakerPatience:
		return false // somebody finds out already
	}
	b.probe = now
	return true
}

// record notes how a request ended.
func (b *breaker) record(now time.Time, ok bool) { //nolint:revive // that is what is recorded
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open > 0 {
		if b.probe.IsZero() {
			return // it began before
		}
		b.probe = time.Time{}
		if ok {
			b.open, b.buckets = 0, [breakerWindow]bucket{}
			return
		}
		b.open = min(2*b.open, breakerLongest)
		b.until = now.Add(b.open)
		return
	}
	second := now.Unix()
	at := &b.buckets[second%breakerWindow]
	if at.second != second {
		*at = bucket{second: second}
	}
	if ok {
		at.ok++
		return
	}
	at.fail++
	succeeded, failed := 0, 0
	for i := range b.buckets {
		if second-b.buckets[i].second < breakerWindow {
			succeeded += b.buckets[i].ok
			failed += b.buckets[i].fail
		}
	}
	if failed >= breakerLeast && failed*breakerShare >= succeeded+failed {
		b.open = breakerFirst
		b.until = now.Add(b.open)
	}
}

// breakerOf returns the breaker of an application.
func (s *Service) breakerOf(application string) *breaker {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.breakers[application]
	if b == nil {
		b = new(breaker)
		s.breakers[application] = b
	}
	return b
}

// Succeeded and Failed tell how a request to the instance ended: a failure is an
// answer of 500 and above, or a port that was open and no longer is.
func (in *Instance) Succeeded() { in.o.s.breakerOf(in.app.ID).record(time.Now(), true) }

// Failed is described at Succeeded.
func (in *Instance) Failed() {
	b := in.o.s.breakerOf(in.app.ID)
	before := b.isOpen()
	b.record(time.Now(), false)
	if !before && b.isOpen() {
		in.o.s.o.Log.Warn("an application of containers fails most requests: they are kept away for a moment", "script", in.o.script, "class", in.request.Class)
	}
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open > 0
}

// unbroken returns nil when requests may go to the instance's application.
func (in *Instance) unbroken() error {
	if !in.o.s.breakerOf(in.app.ID).allow(time.Now()) {
		return Fail(CodeUnavailable, "most requests to the containers of %s fail; they are kept away for a moment", in.app.Name)
	}
	return nil
}
