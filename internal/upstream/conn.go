package upstream

import (
	"bufio"
	"errors"
	"net"
	"syscall"
	"time"
)

// maxKeptBuf is the largest scratch buffer that goes back to the pool with its
// connection.
const maxKeptBuf = 64 << 10

// Conn is one connection to the worker with the buffers of its exchanges.
type Conn struct {
	net.Conn

	// Reader buffers what the worker sends; read the answer only through it.
	Reader *bufio.Reader
	// Buf is scratch space for the request head. Append to Buf[:0] and store
	// the grown slice back, so that the next exchange finds the space.
	Buf []byte
	// Reused says that an earlier exchange already used this connection, so
	// that it may turn out to be closed by the worker.
	Reused bool

	idleSince time.Time

	raw   syscall.RawConn
	check func(fd uintptr) bool // made once: a closure per Get would allocate
	quiet bool                  // what the last check found
}

func (c *Conn) watch() error {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return errors.New("connection has no file descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	c.raw = raw
	c.check = func(fd uintptr) bool {
		var b [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			c.quiet = errors.Is(err, syscall.EAGAIN)
			return true // never wait for the socket to become readable
		}
	}
	return nil
}

// alive reports whether an idle connection is still open and silent. It asks the
// kernel with one peek that does not block: end of file, an error and bytes that
// nobody asked for all mean "not usable".
func (c *Conn) alive() bool {
	if time.Since(c.idleSince) >= idleTimeout {
		return false
	}
	c.quiet = false
	return c.raw.Read(c.check) == nil && c.quiet
}
