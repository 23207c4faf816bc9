package keeper

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// How long a process that waits at its FIFO takes at most to notice that it may go on.
	startGrace = 10 * time.Second
	startPause = time.Millisecond / 4
)

// openGate lets a process go on that waits in the opening of a FIFO for somebody to
// read: it writes one byte when it does. That its program has ended meanwhile is no
// error; that it ended without writing is.
func openGate(path string, ended <-chan struct{}) error {
	// Until the other side has opened it, a FIFO reads as if it had ended.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the FIFO at which the container waits: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	for end := time.Now().Add(startGrace); ; time.Sleep(startPause) {
		last := false
		select {
		case <-ended:
			last = true // what it wrote is there to be read
		default:
		}
		var b [1]byte
		n, err := unix.Read(fd, b[:])
		switch {
		case n == 1:
			return nil
		case err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("read the FIFO at which the container waits: %w", err)
		case last:
			return errors.New("the container ended before its program began")
		case time.Now().After(end):
			return errors.New("the container does not begin")
		}
	}
}
