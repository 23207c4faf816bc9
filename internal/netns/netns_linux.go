package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

const ownPath = "/proc/thread-self/ns/net"

// NS is one network namespace. It is safe for concurrent use.
type NS struct{ file *os.File }

// New makes a namespace in which nothing but a loopback device is, which is up.
// Whoever is in it may listen on every port. The caller Closes it.
func New() (*NS, error) {
	var n *NS
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		f, err := os.Open(ownPath)
		if err != nil {
			return err
		}
		if err := errors.Join(LoopbackUp(), AllowLowPorts()); err != nil {
			return errors.Join(err, f.Close())
		}
		n = &NS{f}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("netns: make a network namespace: %w", err)
	}
	return n, nil
}

// Of returns the namespace that a process is in. The caller Closes it.
func Of(pid int) (*NS, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return nil, fmt.Errorf("netns: of process %d: %w", pid, err)
	}
	return &NS{f}, nil
}

// Own returns the namespace that this process is in. The caller Closes it.
func Own() (*NS, error) { return Of(os.Getpid()) }

// Same reports whether both are one namespace.
func (n *NS) Same(other *NS) bool {
	a, err := n.file.Stat()
	if err != nil {
		return false
	}
	b, err := other.file.Stat()
	return err == nil && os.SameFile(a, b)
}

// File is the descriptor that holds the namespace. It stays the NS's.
func (n *NS) File() *os.File { return n.file }

// Close lets go of the namespace. Sockets in it live on.
func (n *NS) Close() error { return n.file.Close() }

// Do runs fn on a thread that is in the namespace. Sockets that fn makes, and not
// those that other goroutines make for it, are in it: a net.Dialer given one
// address, a net.Listener.
func (n *NS) Do(fn func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netns: enter: %w", os.NewSyscallError("setns", err))
		}
		return fn()
	})
}

// onThread runs fn on a thread of its own and puts that back into this process's
// namespace. One that does not get back is thrown away: a goroutine that ends
// locked takes its thread along.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(ownPath)
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = fn()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- errors.Join(err, home.Close())
	}()
	return <-done
}

// LoopbackUp brings up the loopback device of the namespace that the caller is in.
func LoopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return os.NewSyscallError("ioctl", err)
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	return os.NewSyscallError("ioctl", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req))
}

// AllowLowPorts lets every user of the namespace that the caller is in listen on ports
// below 1024: root of a user namespace
// has no rights over a network namespace that was made outside of it.
func AllowLowPorts() error {
	f, err := os.OpenFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("0")
	return errors.Join(err, f.Close())
}

// At returns the namespace that a path below /proc leads to. The caller Closes it.
func At(path string) (*NS, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's, of a process of its own
	if err != nil {
		return nil, fmt.Errorf("netns: %w", err)
	}
	return &NS{f}, nil
}
