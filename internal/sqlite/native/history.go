package native

/*
#include <stdlib.h>
#include "history.h"
*/
import "C"

import "unsafe"

// WAL is the watch of a writing connection over the write-ahead log: it counts
// commits, and no checkpoint happens unless it is asked for, not even when the
// connection is closed. It is used by the goroutine that uses the connection.
type WAL struct {
	k *Conn
	w *C.nat_wal
}

// WatchWAL begins the watch. The caller ends it with Close before it closes the
// connection.
func (k *Conn) WatchWAL() (*WAL, error) {
	var rc C.int
	w := C.nat_watch(k.c, &rc)
	if w == nil {
		return nil, k.lastError(int(rc))
	}
	return &WAL{k: k, w: w}, nil
}

// Close ends the watch.
func (w *WAL) Close() { C.nat_unwatch(w.k.c, w.w) }

// Commits counts the transactions of this connection that wrote to the log, and
// says how many frames the log had after the last.
func (w *WAL) Commits() (n int64, frames int) { return int64(w.w.commits), int(w.w.frames) }

// DataVersion changes whenever another connection has committed
// (https://sqlite.org/pragma.html#pragma_data_version).
func (w *WAL) DataVersion() (int64, error) {
	var v C.int64_t
	if rc := C.nat_data_version(w.k.c, w.w, &v); rc != 0 {
		return 0, w.k.lastError(int(rc))
	}
	return int64(v), nil
}

// Checkpoint moves the log into the database file and empties it. Readers that are
// in the way are not waited for; complete says whether all of the log was moved.
// The next write may then begin the log anew.
func (w *WAL) Checkpoint() (complete bool, err error) {
	var frames, moved C.int
	rc := C.nat_checkpoint(w.k.c, &frames, &moved)
	if rc&0xff != 0 && rc&0xff != CodeBusy {
		return false, w.k.lastError(int(rc))
	}
	return frames >= 0 && frames == moved, nil
}

// Replace makes the database equal to the one in the file at path, of the same
// page size, as one transaction. None may be open.
func (k *Conn) Replace(path string) error {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	k.c.trusted = 1 // the schema is read anew
	defer func() { k.c.trusted = 0 }()
	if rc := C.nat_replace(k.c, name); rc != 0 {
		return k.lastError(int(rc))
	}
	return k.Exec("SELECT 1") // only at the end of a statement does SQLite tell of a commit
}
