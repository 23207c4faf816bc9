package bindings

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// halfOpenIdle is how long the second direction of a tunnel may be silent once
// the first has ended. A worker that goes away looks the same as one that only
// finished sending, and a peer that never closes must not hold a slot for ever.
const halfOpenIdle = time.Minute

// tunnel copies bytes both ways until both ends are done, one fails or ctx ends.
// An end of file on one side is passed on to the other as such. What
// comes from down is read through downReader, which may hold bytes already. Both
// are closed on return.
func tunnel(ctx context.Context, down net.Conn, downReader io.Reader, up net.Conn) error {
	stop := context.AfterFunc(ctx, func() {
		hangUp(down, up)
	})
	defer stop()
	defer hangUp(down, up)

	var half atomic.Bool
	done := make(chan error, 2)
	go func() { done <- pipe(up, down, downReader, &half) }()
	go func() { done <- pipe(down, up, up, &half) }()

	err := <-done
	if err != nil {
		hangUp(down, up)
		return errors.Join(err, <-done)
	}
	half.Store(true)
	// Whichever side is still read wakes up by this deadline, or moves it on.
	deadline := time.Now().Add(halfOpenIdle)
	if err := errors.Join(down.SetReadDeadline(deadline), up.SetReadDeadline(deadline)); err != nil {
		hangUp(down, up)
	}
	return <-done
}

// pipe copies what r, the reading side of from, gives into to, and then tells to
// that no more will come.
func pipe(to, from net.Conn, r io.Reader, half *atomic.Bool) error {
	buf := make([]byte, copyBuffer)
	for {
		if half.Load() {
			if err := from.SetReadDeadline(time.Now().Add(halfOpenIdle)); err != nil {
				return err
			}
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			if c, ok := to.(interface{ CloseWrite() error }); ok {
				return c.CloseWrite()
			}
			return io.EOF
		}
		if err != nil {
			return err
		}
	}
}

// hangUp closes connections whose end nobody waits for: what Close could report
// has been seen by reads and writes, or does not matter any more.
func hangUp(cs ...io.Closer) {
	for _, c := range cs {
		_ = c.Close()
	}
}
