//go:build unix

package vectorize

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps the file at path for reading. The caller unmaps it.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // a path of ours
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	return b, os.NewSyscallError("mmap", err)
}

func unmapFile(b []byte) error {
	if b == nil {
		return nil
	}
	return os.NewSyscallError("munmap", unix.Munmap(b))
}
