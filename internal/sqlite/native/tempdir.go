package native

// #include "glue.h"
import "C"

import "sync"

var tempDir sync.Once //nolint:gochecknoglobals // of SQLite, which has one for the process

// SetTempDir names the folder for what does not fit in memory: sorters, temporary tables
// that statements make for themselves. SQLite removes the name of such a file once it
// is open. The first call counts, and comes before any connection is opened: SQLite
// reads the name without a lock (https://sqlite.org/c3ref/temp_directory.html). A folder
// that is gone later makes SQLite fall back to that of the system.
func SetTempDir(path string) {
	tempDir.Do(func() { C.nat_temp_dir(C.CString(path)) })
}
