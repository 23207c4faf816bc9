package http1

import (
	"errors"
	"io"
	"net"
	"syscall"

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
// guard, if not nil, bounds the writes.
func (s *Server) relay(dst, src net.Conn, guard *conn) (total int64, err error) {
	var raw syscall.RawConn
	if sc, ok := src.(syscall.Conn); ok {
		raw, _ = sc.SyscallConn()
	}
	r := lazyReader{s: s, src: src, raw: raw}
	r.ready = r.readReady
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
			return total, wire.ClientGone
		}
	}
}

// lazyReader takes a buffer only when there is something to read.
type lazyReader struct {
	s     *Server
	src   net.Conn
	raw   syscall.RawConn
	ready func(fd uintptr) bool
	buf   *buffer
	n     int
	err   error
}

func (r *lazyReader) read() (int, error) {
	if r.raw == nil {
		r.buf = r.s.buffers.get(midBuffer)
		return r.src.Read(r.buf.b)
	}
	if err := r.raw.Read(r.ready); err != nil {
		return 0, err
	}
	return r.n, r.err
}

func (r *lazyReader) readReady(fd uintptr) bool {
	b := r.s.buffers.get(midBuffer)
	for {
		n, err := syscall.Read(int(fd), b.b)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if n > 0 {
			r.buf, r.n, r.err = b, n, nil
			return true
		}
		r.s.buffers.put(b)
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		r.n, r.err = 0, err
		if err == nil {
			r.err = io.EOF
		}
		return true
	}
}
