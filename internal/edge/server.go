package edge

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// Server is the edge. It is safe for concurrent use.
type Server struct {
	workers  Workers
	logs     Logs
	log      *slog.Logger
	trusted  []netip.Prefix
	suffixes []string

	http    *http1.Server
	metrics *metrics
	calls   sync.Pool // of *call
	copies  sync.Pool // of *copyBuffer
}

// New returns an edge that serves nothing yet. Metrics that cannot be registered
// are reported to o.Log.
func New(o Options) *Server {
	s := &Server{
		workers:  o.Workers,
		logs:     o.Logs,
		log:      o.Log,
		trusted:  slices.Clone(o.TrustedProxies),
		suffixes: make([]string, 0, len(o.CookieSuffixes)),
	}
	for _, suffix := range o.CookieSuffixes {
		s.suffixes = append(s.suffixes, strings.ToLower(strings.Trim(suffix, ".")))
	}
	s.http = http1.New(http1.Options{Handler: s, Limits: o.Limits, Log: o.Log})
	s.metrics = newMetrics(s.http)
	if o.Metrics != nil {
		if err := o.Metrics.Register(s.metrics); err != nil {
			o.Log.Error("cannot register the edge's metrics", "error", err) //nolint:sloglint // no context at construction
		}
	}
	return s
}

// Serve accepts connections from ln, until Shutdown (then the error is
// ErrServerClosed) or a lasting error of ln, which it closes.
func (s *Server) Serve(ln net.Listener) error { return s.http.Serve(ln) }

// ServeConn serves one connection, which need not be TCP, until it ends.
func (s *Server) ServeConn(c net.Conn) { s.http.ServeConn(c, nil) }

// ServeConnFrom is ServeConn for a connection whose own remote address says
// nothing: requests on it count as coming from addr. An invalid addr is left out
// of what the worker is told.
func (s *Server) ServeConnFrom(c net.Conn, addr netip.Addr) {
	p := &wire.Peer{Addr: addr.Unmap()}
	if addr.IsValid() {
		p.IP = p.Addr.String()
	}
	s.http.ServeConn(c, p)
}

// Shutdown stops accepting, closes idle connections at once and the others after
// their answer. When ctx ends first, what still runs (WebSockets too) is cut, and
// the error is ctx's cause.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }
