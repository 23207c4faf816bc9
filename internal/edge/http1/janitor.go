package http1

import (
	"sync/atomic"
	"time"
)

// clock is a coarse monotonic clock: reading it costs one load.
type clock struct {
	base time.Time
	now  atomic.Int64 // nanoseconds since base, at the last tick; never 0
}

// start sets the clock going; only while nobody reads it.
func (c *clock) start() {
	if c.base.IsZero() {
		c.base = time.Now()
	}
	c.tick()
}

func (c *clock) tick() int64 {
	now := int64(time.Since(c.base)) + 1
	c.now.Store(now)
	return now
}

// watchConns runs as long as there are connections: it moves the clock and makes
// fail what is late.
func (s *Server) watchConns() {
	tick := s.limits.Load().tick()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var conns []*conn
	for range ticker.C {
		now := s.clock.tick()
		if t := s.limits.Load().tick(); t != tick { // the limits were changed
			tick = t
			ticker.Reset(tick)
		}
		s.mu.Lock()
		if len(s.conns) == 0 {
			s.janitor = false
			s.mu.Unlock()
			return
		}
		conns = s.snapshot(conns[:0])
		s.mu.Unlock()
		for _, c := range conns {
			c.check(now)
		}
		clear(conns)
	}
}

// fired in a deadline says that the janitor made the operation fail.
const fired = -1

// deadline is when one kind of operation on a connection must be over, in the
// coarse clock's time; 0 when none is under way.
type deadline struct{ at atomic.Int64 }

// arm starts an operation that may take d; d <= 0 means any time.
func (l *deadline) arm(c *clock, d time.Duration) {
	if d > 0 {
		l.at.Store(c.now.Load() + int64(d))
	}
}

// disarm ends the operation and reports whether it was late.
func (l *deadline) disarm() bool { return l.at.Swap(0) == fired }

// late reports whether the operation under way is late, once.
func (l *deadline) late(now int64) bool {
	at := l.at.Load()
	return at > 0 && now > at && l.at.CompareAndSwap(at, fired)
}

// past is a time that makes a blocked read or write fail at once.
func past() time.Time { return time.Unix(1, 0) }

// check is called by the janitor, on its goroutine.
func (c *conn) check(now int64) {
	if c.rd.late(now) {
		_ = c.nc.SetReadDeadline(past())
	}
	if c.wr.late(now) {
		_ = c.nc.SetWriteDeadline(past())
	}
	c.checkClient(now)
}
