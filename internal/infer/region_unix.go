//go:build unix

package infer

import (
	"os"

	"golang.org/x/sys/unix"
)

func newRegion(size int) (*region, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	largePages(b)
	return &region{bytes: b}, nil
}

// free gives the memory back. What was taken is dead afterwards.
func (r *region) free() error {
	if r == nil || r.bytes == nil {
		return nil
	}
	b := r.bytes
	r.bytes = nil
	return os.NewSyscallError("munmap", unix.Munmap(b))
}
