package faultvfs

/*
#cgo CFLAGS: -O2 -std=gnu11 -Wall
#cgo linux LDFLAGS: -Wl,--unresolved-symbols=ignore-in-object-files
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"unsafe"

	_ "github.com/mattn/go-sqlite3" // the library that is patched
)

// The patch is one for the process, and so is who watches.
var watcher struct { //nolint:gochecknoglobals // see above
	once sync.Once
	err  error
	mu   sync.RWMutex
	on   func(path string, done bool)
}

// Install patches SQLite: from now on files that are opened with part in their path are
// watched. Later calls change nothing.
func Install(part string) error {
	watcher.once.Do(func() {
		p := C.CString(part)
		defer C.free(unsafe.Pointer(p))
		if C.faultvfs_install(p) != 0 {
			watcher.err = errors.New("faultvfs: SQLite's default file system is not the one that is known")
		}
	})
	return watcher.err
}

// Watch has fn called before and after each sync of a watched file, by the goroutine
// that syncs; nil ends it. A transaction that does not fit into SQLite's cache may sync
// in the middle of a statement, where no Go can be called: watch small ones.
func Watch(fn func(path string, done bool)) {
	watcher.mu.Lock()
	defer watcher.mu.Unlock()
	watcher.on = fn
	on := C.int(0)
	if fn != nil {
		on = 1
	}
	C.faultvfs_watch(on)
}

// Fill makes all writes to watched files fail as on a full disk, until Drain.
func Fill() { C.faultvfs_full(1) }

// Drain ends what Fill began.
func Drain() { C.faultvfs_full(0) }

// Frozen runs fn while no watched file is written to. It keeps its thread until fn
// returns, as the lock belongs to one.
func Frozen(fn func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.faultvfs_freeze(1)
	defer C.faultvfs_freeze(0)
	fn()
}

//export faultvfsSync
func faultvfsSync(path *C.char, done C.int) {
	watcher.mu.RLock()
	fn := watcher.on
	watcher.mu.RUnlock()
	if fn != nil {
		fn(C.GoString(path), done != 0)
	}
}
