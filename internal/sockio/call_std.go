//go:build !linux || race

package sockio

import (
	"errors"
	"syscall"
)

// These go through package syscall, which tells the race detector that what one
// end wrote happened before the other end read it. A raw call does not, and two
// ends in one test process would look like a race.

// Read is read(2) on a non-blocking descriptor, for callbacks of a
// [syscall.RawConn]. The error is EAGAIN when there is nothing to read yet.
func Read(fd uintptr, p []byte) (int, syscall.Errno) { return call(syscall.Read, fd, p) }

// writev writes some of the first buffer, which is not empty, and none of the second.
func writev(fd uintptr, p, _ []byte) (int, syscall.Errno) { return call(syscall.Write, fd, p) }

func call(fn func(int, []byte) (int, error), fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := fn(int(fd), p)
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
