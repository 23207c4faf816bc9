package edge

import (
	"net/netip"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// client is where a request comes from, as the worker is told.
type client struct {
	ip      string // "" when unknown
	scheme  string // "http" or "https"
	trusted bool   // the peer is a trusted proxy
}

// clientOf works out who sent r: the peer, or whom a trusted proxy names.
func (s *Server) clientOf(r *wire.Request) client {
	p := r.Peer
	c := client{ip: p.IP, scheme: "http"}
	if p.TLS {
		c.scheme = "https"
	}
	if p.Inside {
		c.setScheme(r.Field(wire.InternalProto))
	}
	trusted := *s.trusted.Load()
	if !contains(trusted, p.Addr) {
		return c
	}
	c.trusted = true
	c.setScheme(r.Field(wire.ForwardedProto))
	for i := len(r.Fields) - 1; i >= 0; i-- {
		if f := &r.Fields[i]; f.Known == wire.ForwardedFor {
			if c.walkHops(f.Value, trusted) {
				break
			}
		}
	}
	return c
}

// walkHops goes through a list of hops from the right, as long as they are
// trusted, and reports whether it found the end of the trusted ones.
func (c *client) walkHops(list string, trusted []netip.Prefix) bool {
	for list != "" {
		i := len(list) - 1
		for i >= 0 && list[i] != ',' {
			i--
		}
		addr, ok := parseHop(wire.TrimSpace(list[i+1:]))
		if !ok {
			return true // the proxy before it wrote nonsense: go no further
		}
		c.ip = addr.String()
		if !contains(trusted, addr) {
			return true
		}
		list = list[:max(i, 0)]
	}
	return false
}

// parseHop reads an address as proxies write it, some with a port.
func parseHop(hop string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(hop)
	if err != nil {
		ap, err := netip.ParseAddrPort(hop)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// setScheme believes a field that names one.
func (c *client) setScheme(proto string) {
	switch {
	case wire.Is(proto, "https"):
		c.scheme = "https"
	case wire.Is(proto, "http"):
		c.scheme = "http"
	}
}

// contains is false for an address that is not known.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
