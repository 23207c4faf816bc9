package edge

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/edge/http2"
	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/ratelimit"
	"github.com/selvage-dev/selvage/internal/tail"
)

// Server is the edge. It is safe for concurrent use.
type Server struct {
	workers  Workers
	logs     Logs
	tails    *tail.Hub
	log      *slog.Logger
	trusted  atomic.Pointer[[]netip.Prefix]
	suffixes []string
	cache    *cache.Store
	response atomic.Int64 // a time.Duration; see SetResponseTimeout
	burst    atomic.Int64 // see SetRequestsPerMinute
	bursts   *ratelimit.Limiter

	http    *http1.Server
	http2   *http2.Server // nil without TLS
	tls     *TLS
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
		tails:    o.Tails,
		log:      o.Log,
		cache:    o.Cache,
		bursts:   ratelimit.New(ratelimit.Options{}),
		suffixes: make([]string, 0, len(o.CookieSuffixes)),
	}
	for _, suffix := range o.CookieSuffixes {
		s.suffixes = append(s.suffixes, strings.ToLower(strings.Trim(suffix, ".")))
	}
	s.SetTrustedProxies(o.TrustedProxies)
	s.http = http1.New(http1.Options{Handler: s, Limits: o.Limits, Log: o.Log})
	if s.tls = o.TLS; s.tls != nil {
		s.http2 = http2.New(http2.Options{Handler: s, Limits: s.http.Limits, Log: o.Log})
	}
	s.metrics = newMetrics(s.http)
	if o.Metrics != nil {
		if err := o.Metrics.Register(s.metrics); err != nil {
			o.Log.Error("cannot register the edge's metrics", "error", err)
		}
	}
	return s
}

// Serve accepts connections from ln, until Shutdown (then the error is
// ErrServerClosed) or a lasting error of ln, which it closes.
func (s *Server) Serve(ln net.Listener) error { return s.http.Serve(ln) }

// ServeConn serves one connection, which need not be TCP, until it ends.
func (s *Server) ServeConn(c net.Conn) { s.http.ServeConn(c, nil) }

// ServeConnFrom serves one connection that comes from inside the platform, for
// instance from a worker that fetches one of the platform's own hosts. Requests
// on it count as coming from addr; an invalid one is left out of what the worker
// is told. On such a connection, and on no other, the fields selvage-proto (the
// scheme of the URL) and selvage-depth (passed on to the worker) are believed.
func (s *Server) ServeConnFrom(c net.Conn, addr netip.Addr) {
	p := &wire.Peer{Addr: addr.Unmap(), Inside: true}
	if addr.IsValid() {
		p.IP = p.Addr.String()
	}
	s.http.ServeConn(c, p)
}

// SetLimits changes the limits while the edge runs.
func (s *Server) SetLimits(l Limits) { s.http.SetLimits(l) }

// SetResponseTimeout bounds the time until a worker's answer begins; 0 does not.
func (s *Server) SetResponseTimeout(d time.Duration) { s.response.Store(int64(d)) }

// SetRequestsPerMinute bounds the requests that one worker takes in a minute, from
// all its visitors; 0 does not.
func (s *Server) SetRequestsPerMinute(n int) { s.burst.Store(int64(n)) }

// SetTrustedProxies changes the trusted proxies while the edge runs.
func (s *Server) SetTrustedProxies(prefixes []netip.Prefix) {
	prefixes = slices.Clone(prefixes)
	s.trusted.Store(&prefixes)
}

// Requests returns how many requests were answered since the start.
func (s *Server) Requests() uint64 { return s.metrics.answered() }

// Shutdown stops accepting, closes idle connections at once and the others after
// their answer. When ctx ends first, what still runs (WebSockets too) is cut, and
// the error is ctx's cause.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.http2 == nil {
		return s.http.Shutdown(ctx)
	}
	// Both at once: each waits for what runs. What HTTP/2 leaves when ctx ends, the other cuts.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.http2.Shutdown(ctx) // ctx's error, which the other returns
	}()
	err := s.http.Shutdown(ctx)
	<-ended
	return err
}
