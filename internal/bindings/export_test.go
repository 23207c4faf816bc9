package bindings

import (
	"context"
	"net"
)

// SetDial replaces how s opens sockets to the network, after the check of the
// resolved addresses and before the one on the socket.
func SetDial(s *Server, dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	s.newDial = func(*dialer) dialFunc { return dial }
}

// Control is the check on the socket, for a version without rules.
func Control(s *Server, network, address string) error {
	d := newDialer(s.o.Resolver, &policy{classes: s.classes, own: s.own}, s.o.Limits.DialTimeout)
	return d.control(context.Background(), network, address, nil)
}

// Scripts is how many scripts s counts requests for.
func Scripts(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.scripts)
}
