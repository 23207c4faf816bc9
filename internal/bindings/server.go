package bindings

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/ratelimit"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// Names of the sockets in a process's private folder.
const (
	EgressSocket = workerd.EgressSocket
	AssetsSocket = workerd.AssetsSocket
)

// Fields that the runtime, this door and the edge speak with among themselves.
const (
	// ProtoHeader carries the scheme of the URL, "http" or "https". It is the
	// forwardedProtoHeader of the runtime's outbound service.
	ProtoHeader = workerd.HeaderProto
	// DepthHeader carries how many requests to the platform's own hostnames lie
	// above this one.
	DepthHeader = "selvage-depth"
	// ErrorHeader marks answers that come from this door and not from an origin.
	ErrorHeader = "selvage-error"
)

// ownAddrsKeep is how long the list of this machine's addresses is good for.
const ownAddrsKeep = 5 * time.Second

// Options configures [New].
type Options struct {
	Log *slog.Logger
	// Resolver looks up the names that workers fetch; nil means the system's.
	Resolver Resolver
	// LocalHost reports whether this platform's edge serves the host (lower case,
	// no port). It counts only together with DialLocal. It is called for every
	// request and must not block for long.
	LocalHost func(host string) bool
	// DialLocal opens a connection into the edge, on which the edge trusts
	// [ProtoHeader] and [DepthHeader]; on all others it must remove them.
	DialLocal func(ctx context.Context) (net.Conn, error)
	// WorkerZone returns the value of the CF-Worker field for an account's requests
	// to the network, such as "me.workers.example.org"; "" or nil adds no field.
	WorkerZone func(account string) string
	// Allow holds the rules that apply to every worker on this platform.
	Allow []workers.EgressRule
	// RootCAs verifies origins; nil means the system's roots.
	RootCAs *x509.CertPool
	// OwnAddrs lists this machine's addresses; nil asks its network interfaces.
	OwnAddrs func() ([]netip.Addr, error)
	// KV holds the namespaces of [workers.DoorSpec].KV; nil when no version has any.
	KV KV
	// D1 holds the databases of [workers.DoorSpec].D1; nil when no version has any.
	D1 D1
	// Vectorize holds the indexes of [workers.DoorSpec].VectorIndexes; nil when no version has any.
	Vectorize Vectorize
	// Instances runs the containers of versions with [workers.DoorSpec].Containers; nil
	// when none has any.
	Instances *instances.Service
	// AI runs the models of versions with [workers.DoorSpec].AI; nil when none has it.
	AI     AI
	Limits Limits
	// Cache keeps what workers cache; nil leaves the Cache API and the cache
	// options of fetch out.
	Cache *cache.Store
	// Tails are told of the calls of service bindings; nil: nobody watches.
	Tails *tail.Hub
	// RateLimits counts for the rate limiting bindings; needed when a version has any.
	RateLimits *ratelimit.Limiter
}

// Limits bounds what workers may cost here. Zero fields take the defaults.
type Limits struct {
	HeaderBytes         int           // of a request from a worker; 128 KiB
	ResponseHeaderBytes int64         // of an origin's answer; 128 KiB
	DialTimeout         time.Duration // name look-up and TCP together; 10 s
	TLSTimeout          time.Duration // TLS handshake; 10 s
	IdleTimeout         time.Duration // an idle pooled connection; 90 s
	HeaderTimeout       time.Duration // a worker's request header; 30 s
	CloseTimeout        time.Duration // Close waits that long for handlers; 5 s
	MaxConcurrent       int           // outbound requests and tunnels of a script; 1024
	MaxLocal            int           // of those, to the platform's own hostnames; 256
	MaxDepth            int           // of requests to own hostnames inside each other; 16
	MaxIdle             int           // idle pooled connections of a version; 64
}

func (l *Limits) fill() {
	setDefault(&l.HeaderBytes, 128<<10)
	setDefault(&l.ResponseHeaderBytes, 128<<10)
	setDefault(&l.DialTimeout, 10*time.Second)
	setDefault(&l.TLSTimeout, 10*time.Second)
	setDefault(&l.IdleTimeout, 90*time.Second)
	setDefault(&l.HeaderTimeout, 30*time.Second)
	setDefault(&l.CloseTimeout, 5*time.Second)
	setDefault(&l.MaxConcurrent, 1024)
	setDefault(&l.MaxLocal, 256)
	setDefault(&l.MaxDepth, 16)
	setDefault(&l.MaxIdle, 64)
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Server makes the doors of running workers. It is safe for concurrent use, and
// a prometheus.Collector.
type Server struct {
	o       Options
	classes *classifier
	own     *ownAddrs
	metrics *metrics
	buffers buffers
	// newDial overrides how sockets are dialled, in tests.
	newDial func(*dialer) dialFunc

	mu      sync.Mutex
	scripts map[scriptKey]*script
}

var _ prometheus.Collector = (*Server)(nil)

// New returns a Server without doors.
func New(o Options) *Server {
	o.Limits.fill()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Resolver == nil {
		o.Resolver = &net.Resolver{}
	}
	if o.OwnAddrs == nil {
		o.OwnAddrs = interfaceAddrs
	}
	return &Server{
		o:       o,
		classes: newClassifier(),
		own:     &ownAddrs{list: o.OwnAddrs, keep: ownAddrsKeep},
		metrics: newMetrics(),
		scripts: make(map[scriptKey]*script),
	}
}

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) { s.metrics.Describe(ch) }

// Collect implements prometheus.Collector.
func (s *Server) Collect(ch chan<- prometheus.Metric) { s.metrics.Collect(ch) }

// Open makes the sockets of one version in dir, which belongs to the version's
// process alone, and answers them until the Closer is closed. A socket that an
// earlier process left there is replaced. Only Open itself is bound by ctx.
//
// Close is for when the process is gone: it cuts what is in flight, waits for
// its handlers (at most [Limits].CloseTimeout) and removes the sockets. It is
// safe to call again.
func (s *Server) Open(ctx context.Context, dir string, spec workers.DoorSpec) (io.Closer, error) {
	p, err := s.policy(spec.Egress)
	if err != nil {
		return nil, fmt.Errorf("open doors of %s/%s: %w", spec.Account, spec.Script, err)
	}
	d := newDoor(s.o.Limits.CloseTimeout) //nolint:contextcheck // the door outlives the call that opens it
	e := newEgress(s, spec, p)
	d.onClose = append(d.onClose, e.close)
	if err := d.listen(ctx, filepath.Join(dir, EgressSocket), s.httpServer(e)); err != nil {
		hangUp(d)
		return nil, err
	}
	if spec.Site != nil {
		a := &assetsHandler{site: spec.Site, log: e.log, metrics: s.metrics}
		if err := d.listen(ctx, filepath.Join(dir, AssetsSocket), s.httpServer(a)); err != nil {
			hangUp(d)
			return nil, err
		}
	}
	if err := s.listenServices(ctx, d, dir, spec.Services, e.log); err != nil {
		hangUp(d)
		return nil, err
	}
	for _, k := range spec.KV {
		h := &kvHandler{kv: s.o.KV, account: spec.Account, namespace: k.Namespace, log: e.log, metrics: s.metrics.kv}
		if err := d.listenLean(ctx, filepath.Join(dir, k.Socket), e.log, h.serveExchange); err != nil {
			hangUp(d)
			return nil, err
		}
	}
	if err := s.openServices(ctx, d, e, dir, spec); err != nil {
		hangUp(d)
		return nil, err
	}
	return d, nil
}

// openServices makes the sockets of the services that a version names.
func (s *Server) openServices(ctx context.Context, d *door, e *egress, dir string, spec workers.DoorSpec) error {
	if s.o.Cache != nil {
		h := &cacheHandler{store: s.o.Cache, zone: spec.CacheZone, slots: &slots{max: s.o.Limits.MaxConcurrent}, log: e.log, buffers: &s.buffers}
		if err := d.listen(ctx, filepath.Join(dir, CacheSocket), s.httpServer(h)); err != nil {
			return err
		}
	}
	if len(spec.RateLimits) > 0 && s.o.RateLimits != nil {
		h := newRateLimitHandler(s.o.RateLimits, spec)
		if err := d.listen(ctx, filepath.Join(dir, RateLimitSocket), s.httpServer(h)); err != nil {
			return err
		}
	}
	for _, k := range spec.D1 {
		h := &d1Handler{d1: s.o.D1, database: k.Database, caller: callerOf(&spec), log: e.log, metrics: s.metrics.d1}
		if err := d.listen(ctx, filepath.Join(dir, k.Socket), s.httpServer(h)); err != nil {
			return err
		}
	}
	if err := s.listenAI(ctx, d, e, dir, &spec); err != nil {
		return err
	}
	if err := s.listenContainers(ctx, d, e, dir, &spec); err != nil {
		return err
	}
	return s.listenVectorize(ctx, d, e, dir, spec)
}

// policy puts the platform's rules and a version's together.
func (s *Server) policy(ep workers.EgressPolicy) (*policy, error) {
	p := &policy{classes: s.classes, own: s.own}
	for _, list := range [][]workers.EgressRule{s.o.Allow, ep.Allow} {
		for _, er := range list {
			r, err := newRule(er.Prefix, er.FromPort, er.ToPort)
			if err != nil {
				return nil, err
			}
			p.rules = append(p.rules, r)
		}
	}
	return p, nil
}

type scriptKey struct{ account, script string }

// script counts what all running versions of one script have in flight.
type script struct {
	key  scriptKey
	refs int // doors; under Server.mu

	all, local slots
}

// script returns the shared counters of a script, and how to give them back.
func (s *Server) script(key scriptKey) (sc *script, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc = s.scripts[key]
	if sc == nil {
		sc = &script{key: key, all: slots{max: s.o.Limits.MaxConcurrent}, local: slots{max: s.o.Limits.MaxLocal}}
		s.scripts[key] = sc
	}
	sc.refs++
	return sc, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		sc.refs--
		if sc.refs == 0 {
			delete(s.scripts, key)
		}
	}
}

// slots is a bound that refuses rather than waits: to wait for a slot that an
// outer request holds would never end.
type slots struct {
	max int

	mu   sync.Mutex
	used int
}

func (s *slots) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.max {
		return false
	}
	s.used++
	return true
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
}
