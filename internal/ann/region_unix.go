//go:build unix && !linux

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
	return region{bytes: b}, os.NewSyscallError("mmap", err)
}
