package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// edgeWorkers gives the edge the workers service in the edge's own terms.
type edgeWorkers struct{ service *workers.Service }

// Lookup implements edge.Workers.
func (w edgeWorkers) Lookup(ctx context.Context, host string) (edge.Target, error) {
	r, err := w.service.Lookup(ctx, host)
	if errors.Is(err, workers.ErrNoRoute) {
		return edge.Target{}, edge.ErrNoRoute
	}
	if err != nil {
		return edge.Target{}, err
	}
	if r.Zoned() {
		return edge.Target{Account: r.Account, Paths: edgePaths{r}}, nil
	}
	return edgeTarget(r), nil
}

// edgePaths is one pointer wide, see edgeWorker.
type edgePaths struct{ route *workers.Route }

// ByURL implements edge.Paths.
func (e edgePaths) ByURL(ctx context.Context, u edge.URL) (edge.Target, error) {
	r, err := e.route.ByURL(ctx, workers.URL(u))
	if errors.Is(err, workers.ErrNoPath) {
		return edge.Target{}, edge.ErrNoPath
	}
	if err != nil {
		return edge.Target{}, err
	}
	return edgeTarget(r), nil
}

func edgeTarget(r *workers.Route) edge.Target {
	t := edge.Target{Account: r.Account, Script: r.Script, Version: r.Version}
	if r.Site != nil { // a nil *assets.Site must not become a non-nil Site
		t.Site = r.Site
	}
	if r.Code {
		t.Worker = edgeWorker{r}
	}
	t.Cache = (*edge.CacheScope)(r.Cache)
	if r.Gradual() {
		t.Shares = edgeShares{r}
	}
	return t
}

// edgeShares is one pointer wide too, see edgeWorker.
type edgeShares struct{ route *workers.Route }

// Pick implements edge.Shares.
func (e edgeShares) Pick(key, override string) edge.Target {
	return edgeTarget(e.route.Pick(key, override))
}

// edgeWorker is one pointer wide, so that it becomes an interface without
// allocating.
type edgeWorker struct{ route *workers.Route }

// Acquire implements edge.Worker.
func (w edgeWorker) Acquire(ctx context.Context) (edge.Instance, error) {
	in, err := w.route.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// accountsWithHosts drops the cached routes when the subdomain changes: the
// services do not know each other.
type accountsWithHosts struct {
	*accounts.Service

	workers *workers.Service
}

// SetSubdomain implements api.Accounts.
func (a accountsWithHosts) SetSubdomain(ctx context.Context, name string) error {
	if err := a.Service.SetSubdomain(ctx, name); err != nil {
		return err
	}
	a.workers.ForgetHosts()
	return nil
}

// drainingLogs ends followers when the platform begins to stop: they would
// otherwise hold the API's drain up to its bound.
type drainingLogs struct {
	*telemetry.Logs

	draining <-chan struct{}
}

// Follow implements api.Logs.
func (l drainingLogs) Follow(ctx context.Context, f telemetry.Filter, yield func(telemetry.Event) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	return l.Logs.Follow(ctx, f, yield)
}

func (s *Server) accountBySubdomain(subdomain string) (account string, ok bool) {
	a := s.accounts.Account()
	return a.ID, a.Subdomain == subdomain
}

func (s *Server) subdomainOf(account string) string {
	if a := s.accounts.Account(); a.ID == account {
		return a.Subdomain
	}
	return ""
}

func (s *Server) issueTicket(t workers.Ticket) string {
	return s.accounts.IssueTicket(accounts.Ticket(t))
}

func (s *Server) verifyTicket(token, action string) (workers.Ticket, error) {
	t, err := s.accounts.VerifyTicket(token, action)
	return workers.Ticket(t), err
}

// workerZone is what a worker's outgoing requests name as their origin.
func (s *Server) workerZone(account string) string {
	sub := s.subdomainOf(account)
	if sub == "" {
		return ""
	}
	return sub + "." + workersZone(s.cfg.Load())
}

// ownHost reports whether a hostname is the platform's: such requests stay inside.
func (s *Server) ownHost(host string) bool {
	c := s.cfg.Load()
	return strings.HasSuffix(host, "."+workersZone(c)) || strings.HasSuffix(host, ".pages."+c.Domain) || s.workers.OwnsHost(host) || s.workers.IsCloudHost(host)
}

// dialEdge opens a connection into the edge without the network.
func (s *Server) dialEdge(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.state.Load() == stateDraining {
		return nil, errors.New("the platform is stopping")
	}
	ours, theirs := net.Pipe()
	go s.edge.ServeConnFrom(theirs, netip.Addr{})
	return ours, nil
}

// workerLog keeps a line that a worker's process wrote.
func (s *Server) workerLog(account, script, version string, line workerd.LogLine) {
	s.tailLine(account, script, version, &line)
	kind := telemetry.KindRuntime
	switch line.Kind {
	case workerd.Console:
		kind = telemetry.KindConsole
	case workerd.Exception:
		kind = telemetry.KindException
	case workerd.Runtime:
	case workerd.Began, workerd.Finished:
		return // nothing was said
	}
	s.logs.Append(&telemetry.Event{
		Time: line.Time, Kind: kind, Level: line.Level, Ray: line.Ray,
		Account: account, Script: script, Version: version, Message: line.Message, Stack: line.Stack,
	})
}
