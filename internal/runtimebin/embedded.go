//go:build embed_workerd

package runtimebin

import (
	_ "embed"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A string, so that it stays in the executable's read-only pages.
//
//go:embed workerd.zst
var blob string

func embedded() (string, bool) { return blob, true }

// forget gives back the memory that reading the blob has taken: its pages are
// read from the executable again should they be wanted again. Best effort.
func forget() {
	page := os.Getpagesize()
	start := uintptr(unsafe.Pointer(unsafe.StringData(blob))) //nolint:gosec // for its address only
	skip := (page - int(start%uintptr(page))) % page
	size := (len(blob) - skip) / page * page
	if size <= 0 {
		return
	}
	// Only whole pages of the blob itself, which nothing writes.
	pages := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.StringData(blob[skip:]))), size) //nolint:gosec // see above
	_ = unix.Madvise(pages, unix.MADV_DONTNEED)
}

func development() (string, error) { return "", errNoDevelopment }
