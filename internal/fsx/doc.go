// Package fsx writes files so that what was acknowledged is on disk after a
// crash, and nothing is ever seen half written. It is the only package that
// creates and renames files (the linter holds that).
//
// Invariants:
//   - A file that WriteFile or Commit put in place has either its old content
//     or its whole new content, whatever happens in between.
//   - When they return nil, content and directory entry are both synced.
//   - Temporary names start with "." and end in ".tmp", so that whoever owns a
//     directory can sweep what a crash left behind ([IsTemp]).
//   - Errors of a full or read-only file system satisfy errors.Is with
//     [ErrNoSpace] and [ErrReadOnly], so that a caller can print one line that
//     says so.
//
// The package functions work on the real file system. An [FS] made with
// [WithHook] does the same but asks the hook before every step: package fsxtest
// has hooks that fail or stop at the Nth one.
package fsx
