//go:build unix

package memory

import (
	"os"

	"golang.org/x/sys/unix"
)

// New returns size bytes, zeroed. Each Take begins at a multiple of 64.
func New(size int) (*Region, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	largePages(b)
	return &Region{bytes: b}, nil
}

// Free gives the memory back. What was taken is dead afterwards.
func (r *Region) Free() error {
	if r == nil || r.bytes == nil {
		return nil
	}
	b := r.bytes
	r.bytes = nil
	return os.NewSyscallError("munmap", unix.Munmap(b))
}
