package server

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/workers"
)

// openPages makes the service of sites. It comes after the workers, which run
// their Functions.
func (s *Server) openPages(context.Context) error {
	c := s.cfg.Load()
	service, err := pages.New(pages.Options{ //nolint:contextcheck // what it reads at the start is not to be cut short
		Store: s.store, Log: s.log, Now: s.o.Now, Domain: c.Domain, URL: s.edgeURL, Functions: siteFunctions{s.workers},
		IssueTicket: func(t pages.Ticket) string { return s.accounts.IssueTicket(accounts.Ticket(t)) },
		VerifyTicket: func(token, action string) (pages.Ticket, error) {
			t, err := s.accounts.VerifyTicket(token, action)
			return pages.Ticket(t), err
		},
		HostOwner:  s.workers.HostOwner,
		RuleLimits: ruleLimits(c),
		Files:      s.files, MaxFileSize: int64(c.Limits.AssetSize),
	})
	if err != nil {
		return err
	}
	s.pages = service
	return nil
}

// edgeURL is the address of a host as visitors reach it: over HTTPS where there is
// that, with the port unless it is the scheme's own.
func (s *Server) edgeURL(host string) string {
	u, port, own := url.URL{Scheme: "http", Host: host}, portOf(s.edgeListener), 80
	if s.tlsListener != nil {
		u.Scheme, own = "https", 443
		if port = s.cfg.Load().TLS.PublicPort; port == 0 {
			port = portOf(s.tlsListener)
		}
	}
	if port != own {
		u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return u.String()
}

// referenced names the blobs that sites refer to.
func (s *Server) referenced(ctx context.Context, keep func(blob string)) error {
	return errors.Join(s.pages.Blobs(ctx, keep), s.images.Blobs(ctx, keep))
}

// siteFiles gives workers the files of sites.
type siteFiles struct{ s *Server }

// Site implements workers.Sites.
func (f siteFiles) Site(ctx context.Context, deployment string) (workers.Responder, error) {
	return f.s.pages.Site(ctx, deployment)
}

// Live implements workers.Sites.
func (f siteFiles) Live(ctx context.Context, version string) (bool, error) {
	return f.s.pages.Live(ctx, version)
}

// OfHost implements workers.Sites.
func (f siteFiles) OfHost(host string) (string, bool) {
	if f.s.pages == nil {
		return "", false // still starting
	}
	return f.s.pages.OfHost(host)
}

// siteFunctions runs the Functions of sites as versions of workers.
type siteFunctions struct{ workers *workers.Service }

// Create implements pages.Functions.
func (f siteFunctions) Create(ctx context.Context, spec *pages.FunctionsSpec) (string, error) {
	u, err := workers.DecodeMetadata(spec.Metadata)
	if err != nil {
		return "", refusedFunctions(err)
	}
	if err := f.workers.NameObjects(ctx, spec.Account, u); err != nil {
		return "", refusedFunctions(err)
	}
	for _, m := range spec.Modules {
		u.Modules = append(u.Modules, workers.UploadModule{Name: m.Name, ContentType: m.ContentType, Blob: m.Blob, Size: m.Size})
	}
	u.Site = spec.Deployment
	u.Origin = workers.Origin{Source: spec.Source}
	v, err := f.workers.CreateSiteVersion(ctx, spec.Account, spec.Project, u)
	if err != nil {
		return "", refusedFunctions(err)
	}
	return v.ID, nil
}

// refusedFunctions tells what whoever deploys can do something about from what
// they cannot.
func refusedFunctions(err error) error {
	if e, ok := errors.AsType[*workers.Error](err); ok && e.Status < 500 {
		return &pages.RefusedError{Text: e.Message, Err: err}
	}
	return err
}

// Delete implements pages.Functions.
func (f siteFunctions) Delete(ctx context.Context, account, project string, versions ...string) error {
	if len(versions) == 0 {
		return nil
	}
	return f.workers.DeleteSiteVersions(ctx, account, project, versions...)
}

// DeleteAll implements pages.Functions.
func (f siteFunctions) DeleteAll(ctx context.Context, account, project string) error {
	return f.workers.DeleteSiteVersions(ctx, account, project)
}

// edgeHosts gives the edge workers and sites by their hosts.
type edgeHosts struct {
	edgeWorkers

	pages *pages.Service
}

// Lookup implements edge.Workers.
func (h edgeHosts) Lookup(ctx context.Context, host string) (edge.Target, error) {
	if !h.pages.Owns(host) {
		return h.edgeWorkers.Lookup(ctx, host)
	}
	r, err := h.pages.Lookup(ctx, host)
	if errors.Is(err, pages.ErrNoRoute) {
		return edge.Target{}, edge.ErrNoRoute
	}
	if err != nil {
		return edge.Target{}, err
	}
	t := edge.Target{Account: r.Account, Script: workers.SiteScript(r.Project), Version: r.Deployment, Site: edgeSite{r}, NoIndex: r.Preview}
	if r.Version != "" {
		t.Version = r.Version // which is what its processes log with
		t.Worker = siteWorker{r.Version, h.service}
	}
	return t, nil
}

// edgeSite is the files of a site. It is one pointer wide, see edgeWorker.
type edgeSite struct{ route *pages.Route }

// Route implements edge.Site.
func (e edgeSite) Route(r *assets.Request, hasWorker bool) assets.Action {
	return e.route.Decide(r, hasWorker)
}

// Respond implements edge.Site.
func (e edgeSite) Respond(r *assets.Request) (assets.Response, error) { return e.route.Respond(r) }

// siteWorker is the Functions of a site.
type siteWorker struct {
	version string
	workers *workers.Service
}

// Acquire implements edge.Worker.
func (w siteWorker) Acquire(ctx context.Context) (edge.Instance, error) {
	r, err := w.workers.VersionRoute(ctx, w.version)
	if err != nil {
		return nil, err
	}
	in, err := r.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// sweepSites deletes the Functions of deployments that were never saved.
func (s *Server) sweepSites(ctx context.Context) {
	versions, err := s.workers.SiteVersions(ctx)
	if err == nil {
		for _, v := range versions {
			if time.Since(v.CreatedAt) < sweepEvery {
				continue
			}
			var has bool
			if has, err = s.pages.HasVersion(ctx, v.ID); err == nil && !has {
				err = s.workers.DeleteSiteVersions(ctx, v.Account, v.Script, v.ID)
			}
			if err != nil {
				break
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "sweep of the sites failed; it is tried again in an hour", "error", err)
	}
}
