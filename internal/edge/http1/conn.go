package http1

import (
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/sockio"
)

// States of a connection: see the package comment.
const (
	waiting int32 = iota
	busy
	closed
)

// conn is one client connection.
type conn struct {
	srv     *Server
	nc      *sockio.Conn
	peer    wire.Peer
	counted bool // in the server's perIP

	state  atomic.Int32
	rd, wr deadline

	// buf holds what was read; buf.b[r:w] is not yet used. nil while waiting.
	buf   *buffer
	r, w  int
	first lazyReader // for the first bytes of a request

	watch watch
}

func newConn(s *Server, nc net.Conn, peer wire.Peer) *conn {
	c := &conn{srv: s, nc: sockio.Wrap(nc), peer: peer}
	c.first.init(&s.buffers, c.nc, minBuffer)
	return c
}

// serve runs the connection to its end.
func (c *conn) serve() {
	defer c.end()
	first := true
	for c.await(first) {
		first = false
		x := c.srv.exchange()
		again := c.exchange(x)
		x.release()
		if !again {
			return
		}
		c.state.Store(waiting)
		if c.srv.draining.Load() {
			return
		}
	}
}

// end closes the connection and takes it out of the server's.
func (c *conn) end() {
	c.state.Store(closed)
	_ = c.nc.Close()
	c.srv.buffers.put(c.buf)
	c.buf = nil
	c.srv.closed(c)
}

// await waits for the first bytes of a request.
//
//nolint:revive // first only picks the timeout
func (c *conn) await(first bool) bool {
	if c.r < c.w { // pipelined
		return c.state.CompareAndSwap(waiting, busy)
	}
	c.srv.buffers.put(c.buf)
	c.buf, c.r, c.w = nil, 0, 0

	timeout := c.srv.limits.Load().IdleTimeout
	if first {
		timeout = c.srv.limits.Load().HeadTimeout
	}
	c.rd.arm(&c.srv.clock, timeout)
	n, err := c.first.read()
	c.buf, c.first.buf = c.first.buf, nil
	if c.rd.disarm() || err != nil {
		return false
	}
	c.w = n
	return c.state.CompareAndSwap(waiting, busy)
}

// exchange reads one request, has it answered, and reports whether the
// connection can go on.
func (c *conn) exchange(x *exchange) bool {
	x.begin(c)
	if f := c.readHead(x); f != wire.NoFault {
		if f != wire.ClientGone {
			c.reject(x, f)
		}
		return false
	}
	if !c.handle(x) {
		return false
	}
	return c.finish(x)
}

// readHead reads and parses a request head.
func (c *conn) readHead(x *exchange) wire.Fault {
	lim := c.srv.limits.Load()
	c.rd.arm(&c.srv.clock, lim.HeadTimeout)
	for {
		end, f := x.scan.next(c.buf.b[c.r:c.w], lim.head())
		if f != wire.NoFault {
			_ = c.rd.disarm() // the fault is enough
			return f
		}
		if end > 0 {
			_ = c.rd.disarm() // it is complete: in time enough
			head := c.buf.b[c.r : c.r+end]
			c.r += end
			if f := parseRequest(head, &x.req, &x.head); f != wire.NoFault {
				return f
			}
			return c.setBody(x)
		}
		c.makeRoom()
		n, err := c.nc.Read(c.buf.b[c.w:])
		c.w += n
		if n == 0 && err != nil {
			if c.rd.disarm() {
				return wire.HeadTimeout
			}
			return wire.ClientGone
		}
	}
}

// makeRoom makes place for more of a head.
func (c *conn) makeRoom() {
	if c.w < len(c.buf.b) {
		return
	}
	old := c.buf
	if c.r == 0 {
		// The scanner refuses a head before it fills the largest buffer.
		c.buf = c.srv.buffers.get(min(4*len(old.b), c.srv.limits.Load().HeadBytes+1))
	}
	copy(c.buf.b, old.b[c.r:c.w])
	c.w -= c.r
	c.r = 0
	if c.buf != old {
		c.srv.buffers.put(old)
	}
}

// setBody sets up what follows the head.
func (c *conn) setBody(x *exchange) wire.Fault {
	r := &x.req
	lim := c.srv.limits.Load().BodyBytes
	switch {
	case r.Length == 0:
		return wire.NoFault
	case r.Length > 0:
		if lim > 0 && r.Length > lim {
			return wire.BodyTooLarge
		}
		n := int(min(r.Length, int64(c.w-c.r)))
		r.Prefix = c.buf.b[c.r : c.r+n : c.r+n]
		c.r += n
		x.body.got = int64(n)
		x.body.remain = r.Length - int64(n)
		if x.body.remain == 0 {
			return wire.NoFault
		}
	default:
		x.body.chunked = true
		x.body.dec.Reset()
	}
	x.body.open = true
	// A client that sends without waiting does not wait.
	x.body.expect.Store(x.head.expect && c.r == c.w && len(r.Prefix) == 0)
	r.Body = &x.body
	return wire.NoFault
}

// handle runs the handler and reports whether it returned. A handler that
// panics must not take the other connections with it.
func (c *conn) handle(x *exchange) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			c.Watch(x, nil)
			c.srv.log.Error("panic while answering a request", "panic", v, "stack", string(debug.Stack()))
			if !x.out.started {
				c.reject(x, wire.NoFault)
			}
		}
	}()
	c.srv.handler.ServeRequest(c.srv.ctx, x, &x.req)
	return true
}

// reject answers a request that was not understood and ends the connection.
func (c *conn) reject(x *exchange, f wire.Fault) {
	x.out.keepAlive = false
	c.srv.handler.RejectRequest(x, &x.req, f)
	c.linger()
}

// finish brings the connection to the start of the next request, if it may.
func (c *conn) finish(x *exchange) bool {
	if x.body.aborted.Load() {
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	if !x.out.done || x.out.err != nil || x.out.tunnelled {
		return false
	}
	if !x.out.keepAlive {
		c.linger()
		return false
	}
	if x.body.drain() {
		return true
	}
	c.linger()
	return false
}

// Bounds on what is read from a client that is no longer listened to.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
	drainBytes  = 256 << 10
)

// linger closes for writing and gives the client time to read the answer before
// the reset that closing with unread input would send.
func (c *conn) linger() {
	if !closeWrite(c.nc) {
		return
	}
	if c.buf == nil {
		c.buf = c.srv.buffers.get(minBuffer)
	}
	if c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	for total := 0; total < lingerBytes; {
		n, err := c.nc.Read(c.buf.b)
		if err != nil {
			return
		}
		total += n
	}
}

func closeWrite(nc net.Conn) bool {
	cw, ok := nc.(interface{ CloseWrite() error })
	return ok && cw.CloseWrite() == nil
}

// closeIfIdle closes a connection that waits for a request.
func (c *conn) closeIfIdle() {
	if c.state.CompareAndSwap(waiting, closed) {
		_ = c.nc.Close()
	}
}

// cut ends the connection whatever it does.
func (c *conn) cut(cause wire.Fault) {
	c.watch.cancel(cause)
	_ = c.nc.Close()
}

// write sends b within the write timeout.
func (c *conn) write(b []byte) error {
	c.wr.arm(&c.srv.clock, c.srv.limits.Load().WriteTimeout)
	_, err := c.nc.Write(b)
	return c.wrote(err)
}

func (c *conn) wrote(err error) error {
	if c.wr.disarm() {
		return wire.WriteTimeout.Err()
	}
	if err != nil {
		return wire.ClientGone.Err()
	}
	return nil
}

// watch is who to tell when the client goes away.
type watch struct {
	mu    sync.Mutex
	who   wire.Canceler
	since int64 // in the coarse clock's time
	bg    *backgroundRead
}

func (w *watch) cancel(cause wire.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.who != nil {
		w.who.Cancel(cause)
	}
}
