package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// Tunnel implements [wire.ResponseWriter]. Each direction ends by itself: the end
// of one is passed on by closing the other side for writing. When hangup ends
// the client is told that the service restarts, between two frames, and what it
// still sends goes to the worker until it closes too.
func (x *exchange) Tunnel(hangup context.Context, other net.Conn, buffered []byte) (in, out int64, err error) {
	c, o := x.c, &x.out
	o.tunnelled = true
	o.buf = append(o.buf, buffered...)
	if err := x.Flush(); err != nil {
		return 0, 0, err
	}
	early := c.buf.b[c.r:c.w]
	c.r = c.w
	done := make(chan error, 1)
	go func() {
		var err error
		if len(early) > 0 {
			_, err = other.Write(early)
			in += int64(len(early))
		}
		if err == nil {
			var n int64
			n, err = c.srv.relay(other, c.nc, nil)
			in += n
		}
		c.endDirection(other, c.nc, err)
		done <- err
	}()
	n, err := c.relayFrames(hangup, other, buffered)
	c.endDirection(c.nc, other, err)
	inErr := <-done
	if err == nil {
		err = inErr
	}
	return in, int64(len(buffered)) + n, err
}

// endDirection passes the end of a direction on, or, after an error, ends both.
func (c *conn) endDirection(dst, src net.Conn, err error) {
	if err == nil && closeWrite(dst) {
		return
	}
	_ = dst.Close()
	_ = src.Close()
}

// relay copies from src to dst until src ends. While it waits for src it holds no
// buffer, if src's kind allows that: most tunnels are silent most of the time.
// Writes are bounded in time when dst is the connection of guard.
func (s *Server) relay(dst, src net.Conn, guard *conn) (total int64, err error) {
	var r lazyReader
	r.init(&s.buffers, src, midBuffer)
	for {
		n, err := r.read()
		if n > 0 {
			if guard != nil {
				err = guard.write(r.buf.b[:n])
			} else {
				_, err = dst.Write(r.buf.b[:n])
			}
			total += int64(n)
		}
		s.buffers.put(r.buf)
		r.buf = nil
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, wire.ClientGone.Err()
		}
	}
}

// relayFrames is relay from the worker to the client, until hangup ends.
func (c *conn) relayFrames(hangup context.Context, src net.Conn, begun []byte) (total int64, err error) {
	var f frames
	f.next(begun)
	// A read that waits then returns.
	stop := context.AfterFunc(hangup, func() { _ = src.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var r lazyReader
	r.init(&c.srv.buffers, src, midBuffer)
	for waited := false; ; {
		n, err := r.read()
		if n > 0 {
			f.next(r.buf.b[:n])
			err = c.write(r.buf.b[:n])
			total += int64(n)
		}
		c.srv.buffers.put(r.buf)
		r.buf = nil
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && !f.between() && !waited:
			waited = true
			_ = src.SetReadDeadline(time.Now().Add(hangupPatience))
			continue
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return total, wire.ClientGone.Err()
		}
		if f.between() && hangup.Err() != nil {
			return total, c.write([]byte(hangupFrame))
		}
		if err != nil {
			return total, wire.ClientGone.Err() // a frame that never ended
		}
	}
}
