package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/builds"
	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/certs"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/kv"
	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/ratelimit"
	"github.com/selvage-dev/selvage/internal/registry"
	"github.com/selvage-dev/selvage/internal/runtimebin"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/workers"
)

// Server is one platform. Its methods may be called from several goroutines,
// Start and Close once each.
type Server struct {
	o     Options
	cfg   atomic.Pointer[config.Config]
	level slog.LevelVar
	log   *slog.Logger
	start time.Time

	edgeListener, apiListener net.Listener
	tlsListener               net.Listener // nil without HTTPS

	registry  *prometheus.Registry
	store     *store.Store
	logs      *telemetry.Logs
	accounts  *accounts.Service
	program   runtimebin.Program
	isolation *supervise.Isolation
	bindings  *bindings.Server
	kv        *kv.Service
	d1        *d1.Service
	vectorize *vectorize.Service
	ai        *ai.Service
	images    *registry.Service
	instances *instances.Service
	workers   *workers.Service
	tails     *tail.Hub
	edge      *edge.Server
	certs     *certs.Manager // nil without HTTPS
	http      *http.Server
	cert      *tls.Certificate // the API's; nil without TLS

	pages      *pages.Service
	builds     *builds.Service
	files      *variants // contents of assets
	cache      *cache.Store
	rateLimits *ratelimit.Limiter

	state    atomic.Int32
	draining chan struct{} // closed when Close begins
	failed   chan error
	serving  sync.WaitGroup
	rate     rateMeter

	mu      sync.Mutex
	closers []closer // in the order of the start
}

type closer struct {
	name string
	fn   func(ctx context.Context) error
}

// States of a server.
const (
	stateStarting int32 = iota
	stateServing
	stateDraining
)

// New returns a platform that has done nothing yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		o:        o,
		registry: telemetry.NewRegistry(),
		draining: make(chan struct{}),
		failed:   make(chan error, 2),
	}
	s.cfg.Store(o.Config)
	s.level.Set(logLevel(o.Config))
	s.log = telemetry.NewLogger(o.Log, telemetry.LoggerOptions{Level: &s.level, Format: o.Config.Log.Format})
	return s
}

// Start starts every part and returns when the platform serves. After an error
// nothing of it runs. The start alone is bounded by ctx.
func (s *Server) Start(ctx context.Context) error {
	s.start = s.o.Now()
	for _, step := range []struct {
		name string
		fn   func(context.Context) error
	}{
		{"check the configuration", s.preflight},
		{"listen", s.listen},
		{"open the data directory", s.openStore},
		{"open the event log", s.openLogs},
		{"open the accounts", s.openAccounts},
		{"open the KV namespaces", s.openKV},
		{"open the D1 databases", s.openD1},
		{"open the vector indexes", s.openVectorize},
		{"open the models", s.openAI},
		{"open the registry of images", s.openImages},
		{"prepare workerd", s.openRuntime},
		{"confine the workers", s.openIsolation},
		{"open the containers", s.openInstances},
		{"open the caches", s.openCaches},
		{"open the workers", s.openWorkers},
		{"open the sites", s.openPages},
		{"open the builds", s.openBuilds},
		{"open the certificates", s.openTLS},
		{"open the edge", s.openEdge},
		{"open the API", s.openAPI},
		{"serve", s.serve},
	} {
		err := ctx.Err()
		if err == nil {
			err = step.fn(ctx)
		}
		if err != nil {
			return errors.Join(&StartError{Step: step.name, Err: err}, s.Close(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// StartError says at which step a start failed.
type StartError struct {
	Step string
	Err  error
}

// Error is the cause's text: the step is for the log.
func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// onClose adds what ends the part just started.
func (s *Server) onClose(name string, fn func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, closer{name, fn})
}

// Close drains: no new connection is taken, requests in flight finish for at
// most the drain timeout, then all parts end in the reverse order of their
// start. Requests that had to be cut off are logged and no error. The
// drain is cut short when ctx ends. A second call waits for nothing and returns nil.
func (s *Server) Close(ctx context.Context) error {
	switch s.state.Swap(stateDraining) {
	case stateDraining:
		return nil
	case stateServing:
		s.log.InfoContext(ctx, "stopping")
	}
	close(s.draining)
	drain, cancel := context.WithTimeoutCause(ctx, s.cfg.Load().DrainTimeout, errDrainTimeout)
	defer cancel()
	s.mu.Lock()
	closers := s.closers
	s.closers = nil
	s.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(closers) {
		err := c.fn(drain)
		switch {
		case err == nil:
		case drain.Err() != nil && (errors.Is(err, context.Cause(drain)) || errors.Is(err, drain.Err())):
			s.log.WarnContext(ctx, "cut off what did not finish in time", "part", c.name)
		default:
			errs = append(errs, fmt.Errorf("stop: %s: %w", c.name, err))
		}
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

var errDrainTimeout = errors.New("the drain timeout has passed")

// Failed delivers an error that makes the platform useless, such as a listener
// that died. The caller then closes it.
func (s *Server) Failed() <-chan error { return s.failed }

// Log is the platform's logger, which also feeds the event log once that is open.
func (s *Server) Log() *slog.Logger { return s.log }

// Info says how the platform is reached. The token is the operator's; an error
// says how to make a new one when it is gone.
func (s *Server) Info() (Info, error) {
	token, err := s.accounts.OperatorToken()
	info := s.info()
	info.Token = token
	return info, err
}

func (s *Server) info() Info {
	c, account := s.cfg.Load(), s.accounts.Account()
	scheme := "http://"
	if c.API.TLSCert != "" {
		scheme = "https://"
	}
	secure := ""
	if s.tlsListener != nil {
		secure = "https://" + reachable(s.tlsListener.Addr())
	}
	return Info{
		TLSURL:        secure,
		Ready:         s.state.Load() == stateServing,
		EdgeURL:       "http://" + reachable(s.edgeListener.Addr()),
		APIURL:        scheme + reachable(s.apiListener.Addr()),
		AccountID:     account.ID,
		Domain:        c.Domain,
		WorkersDomain: account.Subdomain + "." + workersZone(c),
		PagesDomain:   "pages." + c.Domain,
		PID:           os.Getpid(),
	}
}

// workersZone is the domain of all accounts' workers.
func workersZone(c *config.Config) string { return "workers." + c.Domain }

// ready is what /readyz asks.
func (s *Server) ready(ctx context.Context) error {
	switch s.state.Load() {
	case stateStarting:
		return errors.New("starting")
	case stateDraining:
		return errors.New("draining")
	}
	if err := s.store.DB.Read().PingContext(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// Healthy reports whether the platform serves; the service manager's watchdog
// asks.
func (s *Server) Healthy(ctx context.Context) bool { return s.ready(ctx) == nil }

// status describes the platform to the API.
func (s *Server) status(context.Context) api.Platform {
	info := s.info()
	total, perSecond := s.rate.read()
	return api.Platform{
		PID: info.PID, StartedAt: s.start, EdgeURL: info.EdgeURL, APIURL: info.APIURL, Domain: info.Domain,
		RSS: resident(), Requests: total, RequestsPerSecond: perSecond,
		Isolation: s.isolationStatus(), Containers: s.containerLayers(),
	}
}

// resident is the memory of this process, in bytes; where the system does not
// say, what Go has of it.
func resident() int64 {
	if n, ok := residentMemory(); ok {
		return n
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys) //nolint:gosec // far below 2^63
}
