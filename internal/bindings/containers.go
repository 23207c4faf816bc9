package bindings

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/selvage-dev/selvage/internal/bindings/dockerapi"
	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/workers"
)

// containersEnd bounds how long the door waits for the end of its containers.
const containersEnd = 30 * time.Second

// listenContainers makes the socket by which a process has the containers of its
// objects run. They end with the door.
func (s *Server) listenContainers(ctx context.Context, d *door, e *egress, dir string, spec *workers.DoorSpec) error {
	if len(spec.Containers) == 0 {
		return nil
	}
	if s.o.Instances == nil {
		return errors.New("there is no service of containers")
	}
	owner := s.o.Instances.NewOwner(spec.Account, spec.Script, spec.Containers)
	h := dockerapi.New(owner, containerOutbound{e, s.o.Resolver}, s.o.Log)
	srv := s.httpServer(h)
	srv.ConnContext = dockerapi.ConnContext
	ready, cancel := context.WithCancel(d.base())
	go owner.Ready(ready) //nolint:contextcheck // the door outlives the call that opens it; the first start waits for less
	d.busy = owner.Busy
	d.onClose = append(d.onClose, func() { //nolint:contextcheck // it runs when that call is over
		cancel()
		h.Close()
		endOwner(owner, s)
	})
	return d.listen(ctx, filepath.Join(dir, workers.ContainersSocket), srv)
}

func endOwner(owner *instances.Owner, s *Server) {
	ctx, cancel := context.WithTimeout(context.Background(), containersEnd)
	defer cancel()
	if err := owner.Close(ctx); err != nil {
		s.o.Log.Warn("containers of a worker did not end", "error", err)
	}
}

// containerOutbound is the way out that the worker has, by the same rules.
type containerOutbound struct {
	e        *egress
	resolver Resolver
}

// Dial implements [dockerapi.Outbound].
func (o containerOutbound) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return o.e.dialer.dialTarget(ctx, target{addr: to.Addr(), port: to.Port()})
}

// Lookup implements [dockerapi.Outbound].
func (o containerOutbound) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return o.resolver.LookupNetIP(ctx, "ip", host+".")
}
