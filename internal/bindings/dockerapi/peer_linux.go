package dockerapi

import (
	"context"
	"net"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/netns"
)

type peerKey struct{}

// ConnContext is to be the ConnContext of the http.Server that the Handler is on. It
// notes which process connected: the one that has the folder of the socket.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return ctx
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return context.WithValue(ctx, peerKey{}, pid)
}

// callersNetwork returns the network namespace of the process that asks. It must be
// one of its own: in the machine's everybody could connect to the gateway.
func callersNetwork(ctx context.Context) (*netns.NS, error) {
	pid, _ := ctx.Value(peerKey{}).(int)
	if pid <= 0 {
		return nil, instances.Fail(instances.CodeUnavailable, "it is not known which process asks")
	}
	ns, err := netns.Of(pid)
	if err != nil {
		return nil, err
	}
	own, err := netns.Own()
	if err != nil {
		_ = ns.Close() // nothing was written
		return nil, err
	}
	defer func() { _ = own.Close() }()
	if own.Same(ns) {
		_ = ns.Close() // as above
		return nil, instances.Fail(instances.CodeUnavailable, "workers are not isolated on this machine, so their containers could be reached by everybody; see selvage doctor")
	}
	return ns, nil
}
