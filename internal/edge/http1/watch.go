package http1

import (
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// Watch implements [wire.ResponseWriter].
func (x *exchange) Watch(who wire.Canceler) { x.c.Watch(x, who) }

// Watch sets or, with nil, removes who to tell when the client goes away.
func (c *conn) Watch(_ *exchange, who wire.Canceler) {
	w := &c.watch
	w.mu.Lock()
	w.who = who
	w.since = c.srv.clock.now.Load()
	bg := w.bg
	w.bg = nil
	w.mu.Unlock()
	if bg != nil {
		bg.stop(c)
	}
}

// checkClient looks, for a request that has been under way for a while, whether
// its client is still there. The janitor calls it.
func (c *conn) checkClient(now int64) {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.who == nil || now-w.since < int64(clientWatch) {
		return
	}
	w.since = now - int64(clientWatch) + int64(clientWatch)/2 // again in half that time
	if c.first.raw == nil {
		if w.bg == nil {
			w.bg = startBackgroundRead(c)
		}
		return
	}
	gone := false
	err := c.first.raw.Control(func(fd uintptr) { gone = peerClosed(int(fd)) })
	if err == nil && gone {
		w.who.Cancel(wire.ClientGone)
	}
}

// backgroundRead waits for the end of a connection that cannot be peeked at (a
// pipe) by reading from it.
type backgroundRead struct {
	done chan struct{}
	b    [1]byte
	n    int
}

func startBackgroundRead(c *conn) *backgroundRead {
	bg := &backgroundRead{done: make(chan struct{})}
	go func() {
		defer close(bg.done)
		var err error
		bg.n, err = c.nc.Read(bg.b[:])
		if bg.n > 0 || err == nil {
			return // a pipelined request: the client is there
		}
		c.watch.mu.Lock()
		defer c.watch.mu.Unlock()
		if c.watch.bg == bg && c.watch.who != nil {
			c.watch.who.Cancel(wire.ClientGone)
		}
	}()
	return bg
}

// stop ends the read and keeps the byte it may have got.
func (bg *backgroundRead) stop(c *conn) {
	_ = c.nc.SetReadDeadline(past())
	<-bg.done
	_ = c.nc.SetReadDeadline(time.Time{})
	if bg.n > 0 {
		if c.w == len(c.buf.b) {
			// The request's strings are views of the old buffer, which the
			// garbage collector keeps for them.
			old := c.buf.b
			c.buf = &buffer{make([]byte, 2*len(old))}
			c.w = copy(c.buf.b, old[c.r:c.w])
			c.r = 0
		}
		c.buf.b[c.w] = bg.b[0]
		c.w++
	}
}
