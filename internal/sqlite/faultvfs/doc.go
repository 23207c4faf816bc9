// Package faultvfs lets tests see and disturb what SQLite does to files: it is told of
// every sync, and makes writes fail as on a full disk. Only tests import it.
//
// It patches the file system layer of SQLite in place (https://sqlite.org/vfs.html), for
// the whole process and for good, so tests that use it do not run beside one another.
package faultvfs
