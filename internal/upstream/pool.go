// Package upstream is the HTTP/1.1 client side of one unix socket whose other
// end is always a workerd of ours: a bounded stack of idle connections with
// their buffers, and nothing else. The caller writes the request head into
// [Conn.Buf], reads the answer from [Conn.Reader] on its own goroutine (there is
// no hand-over to another one) and gives the connection back with [Pool.Put]
// when the exchange ended cleanly.
package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/sockio"
)

const (
	// At most this many connections of one pool lie idle. More than this many
	// requests at once still each get a connection; the surplus is closed when
	// they end.
	maxIdle = 256

	// How long a connection may lie idle. The runtime closes its
	// end after 15 idle seconds, so ours must be shorter
	// (TestIdleTimeoutIsBelowWorkerds in internal/workers/workerd).
	idleTimeout = 5 * time.Second

	readerSize = 16 << 10
	bufSize    = 4 << 10
)

// ErrClosed is returned by [Pool.Get] after [Pool.Close].
var ErrClosed = errors.New("upstream: pool is closed")

// Pool keeps idle connections to one unix socket. It is safe for concurrent
// use. Get and Put of a warm pool allocate nothing.
type Pool struct {
	path   string
	dialer net.Dialer

	mu     sync.Mutex
	idle   []*Conn // a stack: the last one in is the first one out
	reap   *time.Timer
	closed bool
}

// New returns a pool of connections to the unix socket at socketPath. Nothing
// is dialled yet.
func New(socketPath string) *Pool {
	return &Pool{path: socketPath}
}

// Get returns an idle connection or dials a new one. A connection that the other
// side has closed meanwhile is found out here and thrown away. One that dies
// between Get and the first answer cannot be: when Conn.Reused is set, a request
// of which no answer was read and which may safely be sent twice should be tried
// again on another connection.
//
// The connection belongs to the caller, who either gives it to Put or closes it.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	for {
		c, err := p.pop()
		if err != nil {
			return nil, err
		}
		if c == nil {
			return p.Dial(ctx)
		}
		if c.alive() {
			c.Reused = true
			return c, nil
		}
		_ = c.Close()
	}
}

// Dial returns a fresh connection, whatever lies idle: what a retry needs.
func (p *Pool) Dial(ctx context.Context) (*Conn, error) {
	nc, err := p.dialer.DialContext(ctx, "unix", p.path)
	if err != nil {
		return nil, fmt.Errorf("upstream: dial worker: %w", err)
	}
	c, err := newConn(nc)
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("upstream: dial worker: %w", err)
	}
	return c, nil
}

// Put gives back a connection after a complete exchange: the request was written
// to its end, the answer was read to its end, no side said "Connection: close",
// and no deadline is set. The caller must not touch c afterwards.
func (p *Pool) Put(c *Conn) {
	if c.Reader.Buffered() != 0 || cap(c.Buf) > maxKeptBuf {
		// Bytes that nobody asked for: whatever they are, the next exchange
		// must not read them as its answer. (A huge Buf: do not hoard it.)
		_ = c.Close()
		return
	}
	c.Buf = c.Buf[:0]
	c.idleSince = time.Now()

	p.mu.Lock()
	if p.closed || len(p.idle) >= maxIdle {
		p.mu.Unlock()
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if len(p.idle) == 1 {
		if p.reap == nil {
			p.reap = time.AfterFunc(idleTimeout, p.expire)
		} else {
			p.reap.Reset(idleTimeout)
		}
	}
	p.mu.Unlock()
}

// Idle returns how many connections lie idle.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// Close closes the idle connections; those in use are closed when they are put
// back. It may be called more than once.
func (p *Pool) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.reap != nil {
		p.reap.Stop()
	}
	p.mu.Unlock()
	closeAll(idle)
}

// pop takes the youngest idle connection; nil when there is none.
func (p *Pool) pop() (*Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	n := len(p.idle)
	if n == 0 {
		return nil, nil // "none idle" is no error
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c, nil
}

// expire closes the connections that lay idle for too long: the bottom of the
// stack, which a steady load never touches.
func (p *Pool) expire() {
	limit := time.Now().Add(-idleTimeout)
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && !p.idle[n].idleSince.After(limit) {
		n++
	}
	var old []*Conn
	if n > 0 {
		old = append(old, p.idle[:n]...)
		rest := copy(p.idle, p.idle[n:])
		clear(p.idle[rest:])
		p.idle = p.idle[:rest]
	}
	if len(p.idle) > 0 && !p.closed {
		p.reap.Reset(time.Until(p.idle[0].idleSince.Add(idleTimeout)))
	}
	p.mu.Unlock()
	closeAll(old)
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

func newConn(nc net.Conn) (*Conn, error) {
	nc = sockio.Wrap(nc)
	c := &Conn{
		Conn:   nc,
		Reader: bufio.NewReaderSize(nc, readerSize),
		Buf:    make([]byte, 0, bufSize),
	}
	if err := c.watch(); err != nil {
		return nil, err
	}
	return c, nil
}
