package d1

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	maxLoops     = 1024             // remembered between two flushes
	loopPause    = 10 * time.Second // between two that are told of one statement in one worker
	loopPatience = 10 * time.Minute // after which a request that has not ended has no route
)

// Loop says that one request ran the same statement again and again: the N+1
// queries that one with a JOIN would answer.
type Loop struct {
	Caller

	Database  uuid.UUID
	Statement string // its normal form
	Route     string // method and path of the request; "" until it has ended
	Calls     int
	At        time.Time // when it was noticed
}

// loops holds the requests that were noticed since the last flush. Only they pay for it.
type loops struct {
	on func(Loop) // nil when nobody wants to know

	waiting atomic.Int64 // loops whose route is not known
	mu      sync.Mutex
	seen    map[loopKey]*loop
	told    map[toldKey]time.Time
}

type loopKey struct {
	database       uuid.UUID
	ray, statement string
}

type toldKey struct {
	database          uuid.UUID
	script, statement string
}

type loop struct {
	Loop

	stored bool // counted as a request already
	routed bool
}

// note says that the statement was called n times, more than is sensible.
func (l *loops) note(database uuid.UUID, by *Caller, statement string, n int) {
	now := time.Now()
	l.mu.Lock()
	key := loopKey{database, by.Ray, statement}
	if old := l.seen[key]; old != nil {
		old.Calls = max(old.Calls, n)
		l.mu.Unlock()
		return
	}
	if len(l.seen) >= maxLoops {
		l.mu.Unlock()
		return
	}
	if l.seen == nil {
		l.seen, l.told = make(map[loopKey]*loop), make(map[toldKey]time.Time)
	}
	found := &loop{Loop: Loop{Caller: *by, Database: database, Statement: statement, Calls: n, At: now}}
	l.seen[key] = found
	l.waiting.Add(1)
	told := toldKey{database, by.Script, statement}
	tell := l.on != nil && now.Sub(l.told[told]) >= loopPause
	if tell {
		l.told[told] = now
	}
	event := found.Loop
	l.mu.Unlock()
	if tell {
		l.on(event)
	}
}

// ended notes the route of a request that has ended.
func (l *loops) ended(ray, route string) {
	if l.waiting.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, p := range l.seen {
		if key.ray == ray && !p.routed {
			p.Route, p.routed = route, true
			l.waiting.Add(-1)
		}
	}
}

// storable is a loop as it is to be stored.
type storable struct {
	Loop

	first bool // it was not stored before
}

// take returns what there is to store and forgets those that are complete.
func (l *loops) take(now time.Time) []storable {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []storable
	for key, p := range l.seen {
		out = append(out, storable{p.Loop, !p.stored})
		p.stored = true
		if old := now.Sub(p.At) > loopPatience; p.routed || old {
			if !p.routed {
				l.waiting.Add(-1)
			}
			delete(l.seen, key)
		}
	}
	for key, at := range l.told {
		if now.Sub(at) > loopPause {
			delete(l.told, key)
		}
	}
	return out
}

// RequestEnded tells the service how a request was called, which only the edge knows.
// It costs one atomic load unless a loop was noticed.
func (s *Service) RequestEnded(ray, method, path string) {
	if s.observer.loops.waiting.Load() == 0 {
		return
	}
	s.observer.loops.ended(ray, method+" "+clipTo(path, 200))
}
