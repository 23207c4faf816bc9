//go:build unix

package ann

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps the first size bytes of f for reading.
func mapFile(f *os.File, size int) ([]byte, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// Vectors are read one here, one there; reading ahead would fetch what
	// nobody asks for. That it cannot be said is no failure.
	_ = unix.Madvise(b, unix.MADV_RANDOM)
	return b, nil
}

func unmap(b []byte) error { return os.NewSyscallError("munmap", unix.Munmap(b)) }
