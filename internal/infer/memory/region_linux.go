package memory

import "golang.org/x/sys/unix"

// largePages asks for them. Where they are off, small ones do.
func largePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
