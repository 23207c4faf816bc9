//go:build linux && !race

package sockio

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2) on a non-blocking descriptor, for callbacks of a
// [syscall.RawConn]. The error is EAGAIN when there is nothing to read yet.
func Read(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // read(2)
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// writev is writev(2) of one or two buffers, the first not empty.
func writev(fd uintptr, p, q []byte) (int, syscall.Errno) {
	vec := [2]unix.Iovec{{Base: unsafe.SliceData(p)}, {Base: unsafe.SliceData(q)}} //nolint:gosec // writev(2)
	vec[0].SetLen(len(p))
	vec[1].SetLen(len(q))
	count := uintptr(2)
	if len(q) == 0 {
		count = 1
	}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vec[0])), count) //nolint:gosec // writev(2)
		runtime.KeepAlive(p)
		runtime.KeepAlive(q)
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}
