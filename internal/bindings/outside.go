package bindings

import (
	"context"
	"net"

	"github.com/selvage-dev/selvage/internal/workers"
)

// Dialer returns how a process that is no worker reaches the network: by the rules
// for a worker that has none of its own. The address that is dialled is checked,
// not the one that a name had before.
func (s *Server) Dialer() (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	p, err := s.policy(workers.EgressPolicy{})
	if err != nil {
		return nil, err
	}
	return newDialer(s.o.Resolver, p, s.o.Limits.DialTimeout).DialContext, nil
}
