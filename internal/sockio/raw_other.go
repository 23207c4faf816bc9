//go:build !linux

package sockio

import (
	"errors"
	"os"
	"syscall"
)

const supported = false

// Read is read(2) on a non-blocking descriptor, for callbacks of a
// [syscall.RawConn]. The error is EAGAIN when there is nothing to read yet.
func Read(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err == nil {
			return n, 0
		}
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			return 0, syscall.EIO
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

func writev(uintptr, []byte, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

func (c *Conn) sendFile([]byte, *os.File, int64, int64, func()) error { return errors.ErrUnsupported }
