//go:build linux || darwin

package fsx

import (
	"os"

	"golang.org/x/sys/unix"
)

// errWouldBlock is what flock says when somebody else has the lock.
const errWouldBlock = unix.EWOULDBLOCK

// flock belongs to the open file, not to the process: closing another
// descriptor of the same file does not drop it, as it would with fcntl locks.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			return err
		}
	}
}

// unlock frees the lock whoever else has the file open by inheritance.
func unlock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }
