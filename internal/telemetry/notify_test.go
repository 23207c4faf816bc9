package telemetry_test

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/telemetry"
)

// manager listens as a service manager does.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func receive(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestNotify(t *testing.T) {
	for _, socket := range []string{filepath.Join(t.TempDir(), "n"), "@selvage-test-" + strconv.FormatInt(time.Now().UnixNano(), 36)} {
		c := manager(t, socket)
		n := telemetry.NewNotifier(env(map[string]string{"NOTIFY_SOCKET": socket}))
		if err := n.Ready(t.Context(), "serving\nSTOPPING=1"); err != nil {
			t.Fatal(err)
		}
		if got, want := receive(t, c), "READY=1\nSTATUS=serving STOPPING=1"; got != want {
			t.Errorf("ready sends %q, want %q", got, want)
		}
		if err := n.Reloading(t.Context()); err != nil {
			t.Fatal(err)
		}
		usec, ok := strings.CutPrefix(receive(t, c), "RELOADING=1\nMONOTONIC_USEC=")
		if v, err := strconv.ParseInt(usec, 10, 64); !ok || err != nil || v <= 0 {
			t.Errorf("reloading sends the time %q", usec)
		}
		if err := n.Stopping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, c); got != "STOPPING=1" {
			t.Errorf("stopping sends %q", got)
		}
	}
}

func TestWatchdog(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "n")
	c := manager(t, socket)
	n := telemetry.NewNotifier(env(map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": "7"}))
	if err := n.Watchdog(t.Context(), 8, func() bool { return true }); err != nil { // another process is meant
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Watchdog(ctx, 7, func() bool { return true }) }()
	if got := receive(t, c); got != "WATCHDOG=1" {
		t.Errorf("watchdog sends %q", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNotifyWithoutManager(t *testing.T) {
	n := telemetry.NewNotifier(env(nil))
	if err := n.Ready(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if err := n.Watchdog(t.Context(), 1, func() bool { return true }); err != nil {
		t.Error(err)
	}
	n = telemetry.NewNotifier(env(map[string]string{"NOTIFY_SOCKET": "relative"}))
	if err := n.Stopping(t.Context()); err == nil {
		t.Error("a socket that is no path is taken")
	}
}
