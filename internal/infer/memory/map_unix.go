//go:build unix

package memory

import (
	"os"

	"golang.org/x/sys/unix"
)

// Map maps the first size bytes of f for reading. The caller ends it with [Unmap].
func Map(f *os.File, size int) ([]byte, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return b, nil
}

// Unmap ends what [Map] began. The bytes are dead afterwards.
func Unmap(b []byte) error { return os.NewSyscallError("munmap", unix.Munmap(b)) }
