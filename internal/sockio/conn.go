package sockio

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Conn is a stream connection. One goroutine may read while another writes; two
// must not do the same at the same time.
type Conn struct {
	net.Conn

	raw syscall.RawConn // nil: use Conn's own methods
	rd  transfer
	wr  transfer
}

// transfer is one direction's operation under way. The function run is made once,
// as a closure per call would allocate.
type transfer struct {
	run   func(fd uintptr) bool
	p     []byte
	more  []byte // what follows p in the same call, for writes
	n     int
	errno syscall.Errno
}

// Wrap returns c with faster reads and writes if c is a socket and the system
// has them, and otherwise with its own. Nothing else may read from or write to c
// while an operation of the Conn is under way.
func Wrap(c net.Conn) *Conn {
	w := &Conn{Conn: c}
	if !supported {
		return w
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return w
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return w
	}
	w.raw = raw
	w.rd.run = w.rd.read
	w.wr.run = w.wr.write
	return w
}

// SyscallConn gives access to the descriptor, if there is one.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if c.raw != nil {
		return c.raw, nil
	}
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// CloseWrite ends the writing side, if the connection can do that alone.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.Conn.Read(p)
	}
	t := &c.rd
	t.p = p
	err := c.raw.Read(t.run)
	t.p = nil
	switch {
	case err != nil:
		return 0, err
	case t.errno != 0:
		return 0, os.NewSyscallError("read", t.errno)
	case t.n == 0:
		return 0, io.EOF
	}
	return t.n, nil
}

func (t *transfer) read(fd uintptr) bool {
	t.n, t.errno = Read(fd, t.p)
	return t.errno != syscall.EAGAIN
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.Conn.Write(p)
	}
	return c.Write2(p, nil)
}

// Write2 writes p and then q, together where the system can. It returns how much
// of both was written.
func (c *Conn) Write2(p, q []byte) (int, error) {
	if c.raw == nil {
		n, err := (&net.Buffers{p, q}).WriteTo(c.Conn)
		return int(n), err
	}
	if len(p) == 0 {
		p, q = q, nil
	}
	t := &c.wr
	t.p, t.more, t.n = p, q, 0
	err := c.raw.Write(t.run)
	t.p, t.more = nil, nil
	if err == nil && t.errno != 0 {
		err = os.NewSyscallError("write", t.errno)
	}
	return t.n, err
}

func (t *transfer) write(fd uintptr) bool {
	for len(t.p)+len(t.more) > 0 {
		n, errno := writev(fd, t.p, t.more)
		if errno != 0 {
			t.errno = errno
			return errno != syscall.EAGAIN
		}
		t.n += n
		if n < len(t.p) {
			t.p = t.p[n:]
			continue
		}
		t.p, t.more = t.more[n-len(t.p):], nil
	}
	t.errno = 0
	return true
}

// SendFile writes head and then n bytes of f from offset, which f's own position
// does not matter for. The function progress is called whenever some went out: a
// caller with a bound on silence moves it on there. A file that ends early is
// io.ErrUnexpectedEOF.
func (c *Conn) SendFile(head []byte, f *os.File, offset, n int64, progress func()) error {
	if c.raw == nil {
		return c.copyFile(head, f, offset, n, progress)
	}
	return c.sendFile(head, f, offset, n, progress)
}

// copyPart is how much of a file is handed to the connection at a time, so that
// progress is seen.
const copyPart = 256 << 10

func (c *Conn) copyFile(head []byte, f *os.File, offset, n int64, progress func()) error {
	if _, err := c.Conn.Write(head); err != nil {
		return err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	for n > 0 {
		progress()
		copied, err := io.CopyN(c.Conn, f, min(n, copyPart)) // sendfile(2) where the system has it
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		n -= copied
	}
	return nil
}
