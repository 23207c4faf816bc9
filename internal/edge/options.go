package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/upstream"
)

// ErrNoRoute is what Workers.Lookup returns (wrapped or not) for a host that
// nothing is routed to.
var ErrNoRoute = errors.New("edge: no worker is routed to this host")

// ErrNoPath is what ByURL returns (wrapped or not) for a URL that a zone has no
// worker for.
var ErrNoPath = errors.New("edge: no worker of the zone answers this URL")

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = http1.ErrServerClosed

// Workers says who answers for a host.
type Workers interface {
	// Lookup returns the target for a host in lower case without port. It must
	// be quick: it is called for every request.
	Lookup(ctx context.Context, host string) (Target, error)
}

// Target is the version that answers for a host.
type Target struct {
	Account, Script, Version string
	Site                     Site   // nil without static assets
	Worker                   Worker // nil without code
	// Cache says where the worker's answers are kept; nil when they are not. It
	// needs Options.Cache.
	Cache *CacheScope
	// NoIndex asks search engines not to list what Worker answers. Site says so of
	// its own answers by itself.
	NoIndex bool
	// Paths, when not nil, says who answers a URL of the host; the other fields
	// are empty then.
	Paths Paths
	// Shares, when not nil, says which version answers a request; the other
	// fields are those of the primary version then.
	Shares Shares
}

// CacheScope is where the answers of a version are kept.
type CacheScope struct {
	Zone string
	// Version keeps the versions of a worker apart; empty when they share.
	Version string
}

// Paths finds the worker for a URL of a host on which several may answer.
type Paths interface {
	// ByURL returns the target of one request; target is the path with the query.
	// Inside says that one of the platform's workers asks. The strings are views
	// that must not be kept.
	ByURL(ctx context.Context, u URL) (Target, error)
}

// URL is where a request goes.
type URL struct {
	Scheme       string // "http" or "https"
	Host, Target string // the host as looked up; path and query
	Inside       bool   // one of the platform's own workers asks
}

// Shares divides the requests of a gradual deployment among its versions.
type Shares interface {
	// Pick returns the target of one request. Key is what the visitor wants to
	// stay by, override the id of the version they ask for; both may be empty.
	// The strings are views that must not be kept.
	Pick(key, override string) Target
}

// Site is a version's static assets: an [assets.Site].
type Site interface {
	Route(r *assets.Request, hasWorker bool) assets.Action
	Respond(r *assets.Request) (assets.Response, error)
}

// Worker is the code of a version.
type Worker interface {
	// Acquire returns a running process for one request, starting one if need
	// be. The error is the platform's: a worker that does not start, a shutdown.
	Acquire(ctx context.Context) (Instance, error)
}

// Instance is a running process, kept from being stopped until Release.
type Instance interface {
	Upstream() *upstream.Pool
	// Tunnel says that the request has become a WebSocket. It is to be closed
	// when hangup ends; done says that it has ended, and comes before Release.
	Tunnel() (hangup context.Context, done func())
	Release()
	// Ended says how a request ended that was sent at a time and whose connection
	// broke: one of the outcomes of telemetry, OutcomeUnknown when the process
	// was ended on account of another request, and "" when no limit ended it.
	// With read, the process had read the request.
	Ended(sent time.Time, read bool) string
}

// Logs takes events. Append copies the event.
type Logs interface {
	Append(e *telemetry.Event)
}

// Limits bound what one client can take.
type Limits = http1.Limits

// Options of New. Workers, Logs and Log are compulsory.
type Options struct {
	Workers Workers
	Logs    Logs
	Log     *slog.Logger
	Tails   *tail.Hub             // those who watch a script; nil: nobody can
	Metrics prometheus.Registerer // nil: metrics are counted but not shown
	Limits  Limits

	// Cache keeps the answers of workers whose Target has a CacheScope.
	Cache *cache.Store

	// TLS is how the edge speaks HTTPS; nil: not at all.
	TLS *TLS

	// TrustedProxies are the addresses whose X-Forwarded-* are believed.
	TrustedProxies []netip.Prefix
	// CookieSuffixes are the domains under which different tenants have their
	// hosts: no worker may set a cookie for one of them or for a parent.
	CookieSuffixes []string
}
