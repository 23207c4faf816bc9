package dockerapi

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Outbound is the way to the network that the worker itself has. It refuses what the
// worker may not reach.
type Outbound interface {
	Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	Lookup(ctx context.Context, host string) ([]netip.Addr, error)
}

// egressSettings are what the runtime says of connections that leave the container.
type egressSettings struct {
	// Port is where the runtime listens, on the loopback of its own network.
	Port int `json:"port"`
	DNS  struct {
		// AllowHostnames are patterns with "*" of the names that the object intercepts;
		// "*" alone when it intercepts addresses.
		AllowHostnames []string `json:"allowHostnames"`
	} `json:"dns"`
	Internet struct {
		Enabled bool `json:"enabled"`
	} `json:"internet"`
}

// intercepts reports whether the object intercepts anything, and names whether it
// does for a name.
func (s *egressSettings) intercepts() bool { return len(s.DNS.AllowHostnames) > 0 }

func (s *egressSettings) names(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range s.DNS.AllowHostnames {
		if glob(strings.ToLower(pattern), host) {
			return true
		}
	}
	return false
}

// addresses reports whether the object may intercept by address.
func (s *egressSettings) addresses() bool {
	return slices.Contains(s.DNS.AllowHostnames, "*")
}

// glob matches a pattern in which "*" stands for anything, in linear time for each
// part of the pattern.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = rest
	}
	return true
}
