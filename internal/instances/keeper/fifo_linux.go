package keeper

import (
	"errors"
	"os"
	"time"
)

// startGrace bounds how long a process that waits at its FIFO takes to notice.
const startGrace = 10 * time.Second

// waitReadable reads the byte by which the other side of a FIFO says that it goes
// on, or returns when that has ended instead.
func waitReadable(f *os.File, ended <-chan struct{}) error {
	if err := f.SetReadDeadline(time.Now().Add(startGrace)); err != nil {
		return err
	}
	got := make(chan error, 1)
	go func() {
		var b [1]byte
		for {
			n, err := f.Read(b[:])
			// Until the other side has opened it, a FIFO reads as if it had ended.
			if n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
				time.Sleep(time.Millisecond / 4)
				continue
			}
			got <- err
			return
		}
	}()
	select {
	case err := <-got:
		return err
	case <-ended:
		_ = f.SetReadDeadline(time.Unix(1, 0))
		if err := <-got; err == nil {
			return nil // it began, and was quick
		}
		return errors.New("the container ended before its program began")
	}
}
