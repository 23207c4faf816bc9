//go:build unix

package builds

import (
	"io/fs"
	"syscall"
)

// blocks is what a file takes on disk, in bytes: a sparse file takes little.
func blocks(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		const block = 512 // always, stat(2)
		return st.Blocks * block
	}
	return info.Size()
}
