package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Notifier tells the service manager how the service is, after sd_notify(3): a
// datagram of NAME=value lines to the socket in NOTIFY_SOCKET. Without that
// variable every method does nothing and returns nil.
type Notifier struct {
	socket   string
	watchdog time.Duration
	pid      string // WATCHDOG_PID
}

// NewNotifier reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID with getenv.
func NewNotifier(getenv func(string) string) *Notifier {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET"), pid: getenv("WATCHDOG_PID")}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

// Ready says that start-up, or a reload, is complete.
func (n *Notifier) Ready(ctx context.Context, status string) error {
	return n.send(ctx, "READY=1\nSTATUS="+oneLine(status))
}

// Stopping says that shutdown has begun.
func (n *Notifier) Stopping(ctx context.Context) error {
	return n.send(ctx, "STOPPING=1")
}

// Reloading says that a reload has begun; Ready ends it. The
// monotonic time with it is what Type=notify-reload wants.
func (n *Notifier) Reloading(ctx context.Context) error {
	usec, err := monotonicUsec()
	if err != nil {
		return fmt.Errorf("read the monotonic clock: %w", err)
	}
	return n.send(ctx, "RELOADING=1\nMONOTONIC_USEC="+strconv.FormatInt(usec, 10))
}

// Watchdog sends keep-alives at half the interval the service manager asked
// for, as long as healthy answers true, until ctx ends. It returns at once when
// none was asked for or another process is meant (pid is this process's).
func (n *Notifier) Watchdog(ctx context.Context, pid int, healthy func() bool) error {
	if n.socket == "" || n.watchdog <= 0 || (n.pid != "" && n.pid != strconv.Itoa(pid)) {
		return nil
	}
	tick := time.NewTicker(n.watchdog / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if !healthy() {
				continue
			}
			if err := n.send(ctx, "WATCHDOG=1"); err != nil {
				return err
			}
		}
	}
}

func (n *Notifier) send(ctx context.Context, state string) (err error) {
	if n.socket == "" {
		return nil
	}
	if n.socket[0] != '/' && n.socket[0] != '@' {
		return fmt.Errorf("notify the service manager: NOTIFY_SOCKET %q is neither a path nor an abstract name", n.socket)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unixgram", n.socket) // net takes a leading @ as the abstract namespace
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// oneLine keeps a status from adding lines, and so variables, of its own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}
