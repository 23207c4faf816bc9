package sandbox

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/netns"
)

// listenerFD is the descriptor over which the listener of Spec.Loopback is sent.
const listenerFD = 3

// loopback brings up the loopback device of a new network namespace, and when a
// port is asked for, sends a socket that listens on it to the other side of
// descriptor 3. A socket stays in the namespace in which it was made, whoever has
// it: that is how a process outside takes the connections made in here.
func loopback(s *Spec) error {
	if !s.Namespaces {
		return errors.New("it would be that of the machine: no namespace of its own")
	}
	if err := netns.LoopbackUp(); err != nil {
		return err
	}
	if s.Loopback == 1 {
		return nil
	}
	return sendListener(s.Loopback)
}

func sendListener(port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	const backlog = 128
	if err := unix.Listen(fd, backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	if err := unix.Sendmsg(listenerFD, []byte{1}, unix.UnixRights(fd), nil, 0); err != nil {
		return os.NewSyscallError("sendmsg", err)
	}
	// The program has no use for it.
	return os.NewSyscallError("close", unix.Close(listenerFD))
}
