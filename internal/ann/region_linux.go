package ann

import (
	"os"

	"golang.org/x/sys/unix"
)

func newRegion(size int) (region, error) {
	if size == 0 {
		return region{}, nil
	}
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return region{}, os.NewSyscallError("mmap", err)
	}
	// Where large pages are off, small ones do.
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	return region{bytes: b}, nil
}
