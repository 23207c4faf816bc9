package http1

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// Other serves connections that agreed on another protocol than HTTP/1.1 in their handshake, each until it ends.
type Other func(tc *tls.Conn, peer wire.Peer)

// ServeTLS is Serve for encrypted connections. The handshake is the connection's own business, within the time that
// a head may take; connections that agree on "h2" in it are given to h2. They count as the others do, and
// when they are cut short h2 sees them closed.
func (s *Server) ServeTLS(ln net.Listener, conf *tls.Config, h2 Other) error {
	return s.accept(ln, func(nc net.Conn) { s.startTLS(nc, conf, h2) })
}

func (s *Server) startTLS(nc net.Conn, conf *tls.Config, h2 Other) {
	peer := peerOf(nc)
	peer.TLS = true
	tc := tls.Server(nc, conf)
	c, ok := s.open(tc, peer, true)
	if !ok {
		s.refused.Add(1)
		_ = nc.Close() // Before a handshake there is no way to say why.
		return
	}
	go c.serveTLS(tc, h2)
}

func (c *conn) serveTLS(tc *tls.Conn, h2 Other) {
	ctx, cancel := context.WithTimeout(c.srv.ctx, c.srv.limits.Load().HeadTimeout)
	err := tc.HandshakeContext(ctx)
	cancel()
	if err != nil {
		c.srv.log.Debug("handshake failed", "client", c.peer.IP, "error", err)
		c.end()
		return
	}
	if tc.ConnectionState().NegotiatedProtocol != "h2" {
		c.serve()
		return
	}
	defer c.end()
	if c.state.CompareAndSwap(waiting, busy) {
		h2(tc, c.peer)
	}
}
