package http1

import (
	"io"
	"sync/atomic"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// body reads what follows the head and its prefix. Only one goroutine at a time
// reads it.
type body struct {
	c       *conn
	open    bool // there is something to read
	chunked bool
	remain  int64 // of a body of known length
	dec     Chunked
	got     int64 // bytes of the body so far
	waited  int64 // nanoseconds spent waiting for it
	err     error

	expect  atomic.Bool // the client waits for 100
	started atomic.Bool // somebody reads
	failed  atomic.Bool // and got an error that is not the end
	aborted atomic.Bool

	// head is the buffer that the request's strings are views of, once the
	// chunked body has a buffer of its own.
	head *buffer
}

func (b *body) begin(c *conn) {
	b.c = c
	b.open, b.chunked = false, false
	b.remain, b.got, b.waited = 0, 0, 0
	b.err = nil
	b.expect.Store(false)
	b.started.Store(false)
	b.failed.Store(false)
	b.aborted.Store(false)
}

func (b *body) releaseHead() {
	b.c.srv.buffers.put(b.head)
	b.head = nil
}

// Read implements [wire.Body].
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n := 0
	if !b.started.Swap(true) {
		b.err = b.goOn()
	}
	switch {
	case b.err != nil:
	case b.chunked:
		n, b.err = b.readChunked(p)
	default:
		n, b.err = b.readPlain(p)
	}
	if b.err != nil && b.err != io.EOF { //nolint:errorlint // ours, never wrapped
		b.failed.Store(true)
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// goOn tells a client that waits to send the body.
func (b *body) goOn() error {
	if !b.expect.Swap(false) {
		return nil
	}
	return b.c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// Trailers implements [wire.Body].
func (b *body) Trailers() []wire.Field {
	if !b.chunked {
		return nil
	}
	return b.dec.Trailers()
}

// Abort implements [wire.Body].
func (b *body) Abort() {
	b.aborted.Store(true)
	_ = b.c.nc.SetReadDeadline(past())
}

func (b *body) readPlain(p []byte) (int, error) {
	if b.remain == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.remain {
		p = p[:b.remain]
	}
	n, err := b.fill(p)
	b.remain -= int64(n)
	return n, err
}

func (b *body) readChunked(p []byte) (int, error) {
	c := b.c
	if b.head == nil {
		// The head must stay: the request's strings are views of it.
		b.head = c.buf
		c.buf = c.srv.buffers.get(max(midBuffer, c.w-c.r))
		c.w = copy(c.buf.b, b.head.b[c.r:c.w])
		c.r = 0
	}
	total := 0
	for {
		n, data, f := b.dec.Next(c.buf.b[c.r:min(c.w, c.r+len(p)-total)])
		c.r += n
		total += copy(p[total:], data)
		b.got += int64(len(data))
		if f != wire.NoFault {
			return total, f.Err()
		}
		if lim := c.srv.limits.Load().BodyBytes; lim > 0 && b.got > lim {
			return total, wire.BodyTooLarge.Err()
		}
		switch {
		case b.dec.Done():
			return total, io.EOF
		case total == len(p):
			return total, nil
		case n > 0:
			continue
		case total > 0: // do not keep waiting what is there
			return total, nil
		}
		c.r, c.w = 0, 0
		if n, err := b.fillBuffer(); err != nil {
			return n, err
		}
	}
}

func (b *body) fillBuffer() (int, error) {
	n, err := b.fill(b.c.buf.b)
	b.got -= int64(n) // framing; the data is counted when it is decoded
	b.c.w = n
	return 0, err
}

// fill reads from the connection within the limits on slow bodies.
func (b *body) fill(p []byte) (int, error) {
	c, lim := b.c, b.c.srv.limits.Load()
	before := c.srv.clock.now.Load()
	c.rd.arm(&c.srv.clock, lim.BodyTimeout)
	n, err := c.nc.Read(p)
	late := c.rd.disarm()
	b.got += int64(n)
	b.waited += c.srv.clock.now.Load() - before
	if n > 0 {
		if late || b.tooSlow() {
			return n, wire.BodyTimeout.Err()
		}
		return n, nil
	}
	switch {
	case late:
		return 0, wire.BodyTimeout.Err()
	case err == nil:
		return 0, io.ErrNoProgress
	case b.aborted.Load():
		return 0, io.ErrClosedPipe
	}
	return 0, wire.ClientGone.Err()
}

// tooSlow compares the body's average rate with the least that is allowed. Time
// during which the worker did not take more does not count.
func (b *body) tooSlow() bool {
	lim := b.c.srv.limits.Load()
	if lim.BodyRate <= 0 || b.waited <= int64(lim.BodyGrace) {
		return false
	}
	const second = 1e9
	return float64(b.got) < float64(lim.BodyRate)*float64(b.waited)/second
}

// drain reads the rest of the body, if it is short, and reports whether the
// connection is at the start of the next request.
func (b *body) drain() bool {
	if !b.open {
		return true
	}
	if b.expect.Load() || b.err != nil || b.remain > drainBytes {
		return b.err == io.EOF //nolint:errorlint // ours, never wrapped
	}
	scratch := b.c.srv.buffers.get(midBuffer)
	defer b.c.srv.buffers.put(scratch)
	for total := 0; total <= drainBytes; {
		n, err := b.Read(scratch.b)
		if err != nil {
			return err == io.EOF //nolint:errorlint // ours, never wrapped
		}
		total += n
	}
	return false
}
