package http1

import (
	"io"
	"net"
	"syscall"

	"github.com/selvage-dev/selvage/internal/sockio"
)

// lazyReader reads from a connection into a buffer that it takes only when there
// is something to read, if the kind of connection allows that: most connections
// are silent most of the time, and a buffer each would be most of their memory.
type lazyReader struct {
	pool *buffers
	src  net.Conn
	size int
	raw  syscall.RawConn // nil if src has none
	// ready is readReady, made once: a closure per read would allocate.
	ready func(fd uintptr) bool

	// buf holds what the last read found; the caller gives it back.
	buf *buffer
	n   int
	err error
}

func (r *lazyReader) init(pool *buffers, src net.Conn, size int) {
	*r = lazyReader{pool: pool, src: src, size: size}
	if sc, ok := src.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			r.raw = raw
			r.ready = r.readReady
		}
	}
}

// read fills r.buf with at least a byte, or returns an error.
func (r *lazyReader) read() (int, error) {
	if r.raw == nil {
		r.buf = r.pool.get(r.size)
		n, err := r.src.Read(r.buf.b)
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
	if err := r.raw.Read(r.ready); err != nil {
		return 0, err
	}
	return r.n, r.err
}

// readReady is called by the poller: once, and whenever there may be something to
// read, until it returns true.
func (r *lazyReader) readReady(fd uintptr) bool {
	b := r.pool.get(r.size)
	n, errno := sockio.Read(fd, b.b)
	if n > 0 {
		r.buf, r.n, r.err = b, n, nil
		return true
	}
	r.pool.put(b)
	if errno == syscall.EAGAIN {
		return false
	}
	r.n, r.err = 0, io.EOF
	if errno != 0 {
		r.err = errno
	}
	return true
}
