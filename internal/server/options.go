package server

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/workers"
)

// Options configure New.
type Options struct {
	Config  *config.Config
	Version string // of this release
	Commit  string
	// Log takes the process log. Nothing is logged without it.
	Log io.Writer
	// Helper is the program that confines worker processes; see [supervise.Probe].
	// Without one, workers run with all that this user may do.
	Helper string
	// Now is the clock; time.Now without it.
	Now func() time.Time
}

// Info is how a running platform is reached. It is what "selvage up --json"
// prints and what platform.json in the data directory holds, but for the token.
type Info struct {
	Ready         bool   `json:"ready"`
	EdgeURL       string `json:"edge_url"`
	TLSURL        string `json:"tls_url,omitempty"` // the edge's HTTPS
	APIURL        string `json:"api_url"`           // without /client/v4
	AccountID     string `json:"account_id"`
	Token         string `json:"token,omitempty"`
	Domain        string `json:"domain"`
	WorkersDomain string `json:"workers_domain"` // <worker>.<workers_domain>
	PagesDomain   string `json:"pages_domain"`
	PID           int    `json:"pid"`
}

// edgeLimits translates the configuration; there 0 is no limit for a body.
func edgeLimits(c *config.Config) edge.Limits {
	l := edge.Limits{
		HeadBytes:    int(c.Limits.HeaderSize),
		BodyBytes:    int64(c.Limits.BodySize),
		HeadTimeout:  c.Limits.HeaderTimeout,
		IdleTimeout:  c.Limits.IdleTimeout,
		BodyTimeout:  c.Limits.StallTimeout,
		WriteTimeout: c.Limits.StallTimeout,
		Conns:        c.Limits.Connections,
	}
	if l.BodyBytes == 0 {
		l.BodyBytes = -1
	}
	return l
}

func ruleLimits(c *config.Config) assets.RuleLimits {
	return assets.RuleLimits{HeaderRules: c.Limits.HeaderRules, StaticRedirects: c.Limits.StaticRedirects, DynamicRedirects: c.Limits.DynamicRedirects}
}

func egressRules(c *config.Config) []workers.EgressRule {
	rules := make([]workers.EgressRule, len(c.EgressAllow))
	for i, r := range c.EgressAllow {
		rules[i] = workers.EgressRule{Prefix: r.Prefix, FromPort: r.FromPort, ToPort: r.ToPort}
	}
	return rules
}

// logLevel of a validated configuration.
func logLevel(c *config.Config) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// reachable is the address of a listener as a client on this machine dials it.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	ip := tcp.AddrPort().Addr().Unmap()
	switch {
	case ip == netip.IPv6Unspecified(): // listens on both families
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip.IsUnspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(tcp.Port))
}
