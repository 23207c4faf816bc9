// Package cli is the command line. It starts a platform through package server
// and talks to a running one through package client only.
//
// Invariants:
//   - Exit code 0 is success, 1 a failure, 2 a wrong call.
//   - What a program may read goes to stdout, all else to stderr; an error is
//     one line "selvage: …" that says what to do.
//   - Nothing a worker wrote reaches a terminal with its control characters.
package cli
