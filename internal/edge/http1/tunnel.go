package http1

import (
	"errors"
	"io"
	"net"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// Tunnel implements [wire.ResponseWriter]. Each direction ends by itself: the end
// of one is passed on by closing the other side for writing.
func (x *exchange) Tunnel(other net.Conn, buffered []byte) (in, out int64, err error) {
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
	n, err := c.srv.relay(c.nc, other, c)
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
