package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/runtimebin"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// startGrace is how much longer a start may take as a whole than the process in
// it: what the launcher says of a process that never answers must arrive first.
const startGrace = 5 * time.Second

// V8 holds the heap to limits.memory exactly. What else a process takes, buffers above
// all, is bounded at withGarbage times that, for it cannot be told from garbage: a
// healthy worker with answers of 10 KiB at 8,000 a second holds 230 MiB steadily, as the
// runtime frees buffers no sooner.
const withGarbage = 4

// Timeouts of the API's listener. Answers have none: log streams last.
const (
	apiHeaderTimeout = 10 * time.Second
	apiIdleTimeout   = 2 * time.Minute
	apiHeaderBytes   = 64 << 10
)

func (s *Server) openStore(context.Context) error {
	c := s.cfg.Load()
	st, err := store.Open(c.Data) //nolint:contextcheck // migrations are not to be cut short
	switch {
	case errors.Is(err, store.ErrLocked):
		running := &RunningError{Dir: c.Data}
		if info, ok := ReadRunFile(c.Data); ok {
			running.PID = info.PID
		} else if locked, ok := errors.AsType[*fsx.LockedError](err); ok {
			running.PID = locked.PID
		}
		return running
	case err != nil:
		return err
	}
	s.store = st
	s.onClose("store", func(context.Context) error { return st.Close() }) //nolint:contextcheck // nor is the checkpoint
	return nil
}

func (s *Server) openLogs(context.Context) error {
	c := s.cfg.Load()
	logs, err := telemetry.OpenLogs(filepath.Join(s.store.Dir, "logs"), telemetry.LogOptions{
		MaxBytes: int64(c.Log.MaxSize), MaxAge: c.Log.MaxAge, Log: s.log, Registerer: s.registry,
	})
	if err != nil {
		return err
	}
	s.logs = logs
	bare := s.log
	s.log = slog.New(logs.Handler(bare.Handler()))
	s.onClose("event log", func(context.Context) error {
		s.log = bare
		return logs.Close()
	})
	return nil
}

func (s *Server) openAccounts(ctx context.Context) error {
	a, err := accounts.New(ctx, s.store, accounts.Options{Subdomain: s.cfg.Load().Subdomain, Now: s.o.Now, Log: s.log})
	if err != nil {
		return err
	}
	s.accounts = a
	s.onClose("accounts", func(context.Context) error { return a.Close() })
	return nil
}

func (s *Server) openRuntime(ctx context.Context) error {
	var err error
	s.program, err = runtimebin.Find(ctx, s.store.Dir, s.cfg.Load().Workerd)
	if err == nil {
		s.log.DebugContext(ctx, "workerd found", "path", s.program.Path, "workerd_version", s.program.Version, "origin", s.program.Origin)
	}
	return err
}

func (s *Server) openWorkers(ctx context.Context) error {
	c := s.cfg.Load()
	s.tails = s.newTails() //nolint:contextcheck // it outlives the start
	s.bindings = bindings.New(bindings.Options{
		Log:        s.log,
		LocalHost:  s.ownHost,
		DialLocal:  s.dialEdge,
		WorkerZone: s.workerZone,
		Allow:      egressRules(c),
		KV:         s.kv,
		Cache:      s.cache,
		RateLimits: s.rateLimits,
		D1:         d1Databases{s.d1},
		Tails:      s.tails,
		Vectorize:  s.vectorize,
		AI:         s.ai,
		Instances:  s.instances,
	})
	if err := s.registry.Register(s.bindings); err != nil {
		return fmt.Errorf("register the metrics of the bindings: %w", err)
	}
	dir, release, err := runDir(s.store.Dir)
	if err != nil {
		return err
	}
	s.onClose("run folder", func(context.Context) error { return release() })
	s.files = newVariants(s.store, s.log) //nolint:contextcheck // it outlives the start
	s.onClose("compressed assets", func(context.Context) error { return s.files.close() })
	w, err := workers.New(workers.Options{ //nolint:contextcheck // it outlives the start
		Store: s.store,
		Runtime: workers.Workerd(&workerd.Launcher{
			Binary: s.program.Path, Log: s.log, StartTimeout: c.Limits.StartTimeout, Isolation: s.isolation,
			V8Flags: []string{workerd.HeapLimit(int64(c.Limits.Memory))},
		}),
		Doors:              s.bindings,
		Log:                s.log,
		RunDir:             dir,
		Domain:             c.Domain,
		AccountBySubdomain: s.accountBySubdomain,
		Subdomain:          s.subdomainOf,
		Namespaces:         s.kv,
		Databases:          s.d1,
		VectorIndexes:      s.vectorize,
		AI:                 true,
		Containers:         s.instances.Unavailable,
		IssueTicket:        s.issueTicket,
		VerifyTicket:       s.verifyTicket,
		OnLog:              s.workerLog,
		OnRun:              s.scheduledRun,
		Tails:              s.tails,
		Files:              s.files,
		Sites:              siteFiles{s},
		Referenced:         s.referenced,
		IdleTimeout:        c.IdleStop,
		DrainTimeout:       c.DeployDrain,
		HandoverTimeout:    c.ObjectHandover,
		ForgetCache:        s.cache.DeleteZone,
		StartTimeout:       c.Limits.StartTimeout + startGrace,
		MaxProcesses:       c.MaxProcesses,
		CPULimit:           c.Limits.CPU,
		MemoryLimit:        withGarbage * int64(c.Limits.Memory),
		SubrequestsLimit:   c.Limits.Subrequests,
		WorkerProcesses:    c.WorkerProcesses,
		MaxScriptSize:      int64(c.Limits.ScriptSize),
		MaxAssets:          c.Limits.AssetCount,
		MaxAssetSize:       int64(c.Limits.AssetSize),
		RuleLimits:         ruleLimits(c),
	})
	if err != nil {
		return err
	}
	s.workers = w
	if err := s.registry.Register(w.Collector()); err != nil {
		return errors.Join(fmt.Errorf("register the metrics of the workers: %w", err), w.Close(ctx))
	}
	s.onClose("workers", func(ctx context.Context) error { return w.Close(ctx) })
	s.onClose("tails", func(context.Context) error { s.tails.Close(); return nil })
	return w.ConsumeAll(ctx)
}

func (s *Server) openEdge(context.Context) error {
	c := s.cfg.Load()
	s.edge = edge.New(edge.Options{
		Workers:        s.hosts(),
		TLS:            s.edgeTLS(),
		Logs:           accessLogs{s.logs, s.d1},
		Tails:          s.tails,
		Log:            s.log,
		Metrics:        s.registry,
		Cache:          s.cache,
		Limits:         edgeLimits(c),
		TrustedProxies: c.TrustedProxies,
		CookieSuffixes: []string{s.accounts.Account().Subdomain + "." + workersZone(c), workersZone(c), "pages." + c.Domain, c.Domain},
	})
	s.edge.SetResponseTimeout(c.Limits.Response)
	s.edge.SetRequestsPerMinute(c.Limits.Burst)
	s.rate.count = s.edge.Requests
	s.onClose("doors", s.drainDoors)
	return nil
}

// drainDoors stops edge and API at the same time: one that takes the whole
// drain timeout must not leave the other none of it.
func (s *Server) drainDoors(ctx context.Context) error {
	s.tails.EndTails() // their readers stay as long as they are let
	var g errgroup.Group
	g.Go(func() error { return s.edge.Shutdown(ctx) })
	if s.http != nil {
		g.Go(func() error {
			if err := s.http.Shutdown(ctx); err != nil {
				return errors.Join(err, s.http.Close())
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *Server) openAPI(context.Context) error {
	c := s.cfg.Load()
	edgeURL := &url.URL{Scheme: "http", Host: reachable(s.edgeListener.Addr())}
	s.http = &http.Server{
		Handler: api.New(api.Options{
			Accounts:      accountsWithHosts{s.accounts, s.workers},
			Workers:       s.workers,
			KV:            s.kv,
			D1:            s.d1,
			Pages:         s.pages,
			Certificates:  s.certificates(),
			Builds:        s.builds,
			Vectorize:     s.vectorize,
			AI:            s.ai,
			Images:        s.images,
			Logs:          drainingLogs{s.logs, s.draining},
			Tails:         s.tails,
			Log:           s.log,
			Registry:      s.registry,
			EdgeURL:       func() *url.URL { return edgeURL },
			Status:        s.status,
			Ready:         s.ready,
			Version:       api.Build{Version: s.o.Version, Commit: s.o.Commit, Workerd: s.program.Version, Go: runtime.Version()},
			OpenMetrics:   c.API.MetricsOpen,
			MaxScriptSize: int64(c.Limits.ScriptSize),
			StallTimeout:  c.Limits.StallTimeout,
		}),
		ReadHeaderTimeout: apiHeaderTimeout,
		IdleTimeout:       apiIdleTimeout,
		MaxHeaderBytes:    apiHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if s.cert != nil {
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*s.cert}, MinVersion: tls.VersionTLS12}
	}
	return nil
}

// loadCert returns nil when the API speaks plain HTTP.
func loadCert(c *config.Config) (*tls.Certificate, error) {
	if c.API.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.API.TLSCert, c.API.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load the API's certificate (api.tls_cert, api.tls_key): %w", err)
	}
	return &cert, nil
}

// serve begins to answer and makes sure that both listeners do.
func (s *Server) serve(ctx context.Context) error {
	s.serving.Go(func() { s.report("edge", s.edge.Serve(s.edgeListener), edge.ErrServerClosed) })
	if s.tlsListener != nil {
		s.serving.Go(func() { s.report("edge (HTTPS)", s.edge.ServeTLS(s.tlsListener), edge.ErrServerClosed) }) //nolint:contextcheck // connections outlive the start
	}
	s.serving.Go(func() {
		var err error
		if s.cert != nil {
			err = s.http.ServeTLS(s.apiListener, "", "")
		} else {
			err = s.http.Serve(s.apiListener)
		}
		s.report("API", err, http.ErrServerClosed)
	})
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		domains := make(chan struct{})
		go func() {
			defer close(domains)
			s.watchDomains(background)
		}()
		s.housekeeping(background)
		<-domains
	}()
	s.onClose("housekeeping", func(context.Context) error {
		stop()
		<-idle
		return nil
	})
	s.state.Store(stateServing)
	if err := s.answers(ctx); err != nil {
		return err
	}
	if err := s.writeRunFile(); err != nil {
		return err
	}
	s.onClose("platform.json", func(context.Context) error { return s.removeRunFile() })
	info := s.info()
	s.log.InfoContext(ctx, "the platform serves", "edge", info.EdgeURL, "api", info.APIURL, "workers_domain", info.WorkersDomain, "data", s.store.Dir)
	return nil
}

// report passes on why a listener ended, unless that was asked for.
func (s *Server) report(door string, err, wanted error) {
	if err == nil || errors.Is(err, wanted) || s.state.Load() == stateDraining {
		return
	}
	s.failed <- fmt.Errorf("the %s has stopped listening: %w", door, err)
}
