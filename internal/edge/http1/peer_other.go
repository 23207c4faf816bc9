//go:build unix && !linux

package http1

import (
	"errors"

	"golang.org/x/sys/unix"
)

// peerClosed reports whether the other end of a socket has closed it. It cannot
// see the end behind data that was not read yet.
func peerClosed(fd int) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == nil && n == 0 || errors.Is(err, unix.ECONNRESET)
}
