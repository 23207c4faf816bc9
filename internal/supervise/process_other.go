//go:build unix && !linux

package supervise

import (
	"errors"
	"syscall"
	"time"
)

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// waitExit cannot be had here from the standard library or x/sys: only Linux
// waits for an exit without reaping. So between the reaping and the signal that
// ends the rest of the group there is a moment in which the id is free; the
// signal then goes nowhere, as ids are not reused at once.
func waitExit(int) bool { return false }

func usage(int) (rssBytes int64, cpu time.Duration, err error) {
	return 0, 0, errors.ErrUnsupported
}

// ownTree has no equal here; who asks for it is told by what it then finds itself in.
func ownTree(*syscall.SysProcAttr) {}
