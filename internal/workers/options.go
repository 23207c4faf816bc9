package workers

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/upstream"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// Doors opens the sockets through which a process reaches its bindings and the
// outside: egress.sock and cache.sock always, assets.sock when there is a Site,
// ratelimit.sock when there are RateLimits. They listen in
// dir before Open returns and are closed and removed by the Closer.
type Doors interface {
	Open(ctx context.Context, dir string, s DoorSpec) (io.Closer, error)
}

// DoorSpec says for whom doors are opened.
type DoorSpec struct {
	Account  string
	Script   string
	Version  string
	Site     Responder // nil: no assets
	Egress   EgressPolicy
	KV       []KVDoor      // one for each namespace that the version binds
	Services []ServiceDoor // one for each endpoint that its service bindings name
	// CacheZone names the cache that the version shares with others of the same
	// zone and with nobody else.
	CacheZone  string
	RateLimits []RateLimit
	D1         []D1Door // one for each database that the version binds

	VectorIndexes []VectorDoor // one for each vector index that the version binds
	AI            bool         // whether the version binds Workers AI

	Containers []string // the classes of its objects that have containers
}

// Runtime starts processes. See [Workerd].
type Runtime interface {
	// Start returns when the process answers. An error that is a
	// *workerd.StartError is the script's fault.
	Start(ctx context.Context, dir string, w *workerd.Worker, onLog func(workerd.LogLine)) (Process, error)
	// MaxCompatibilityDate returns the newest compatibility date it knows, as "2006-01-02".
	MaxCompatibilityDate(ctx context.Context) (string, error)
}

// Process is a running worker.
type Process interface {
	Lifecycle
	Eventer
	Started
	Meter
	Upstream() *upstream.Pool
	StartupTime() time.Duration
	Usage() (rssBytes int64, cpu time.Duration, err error)
}

// Lifecycle is the part of a Process that says whether it runs, and ends it.
type Lifecycle interface {
	Pid() int
	// Done is closed when the process has ended, for whatever reason.
	Done() <-chan struct{}
	// Err says why it ended, nil when it was asked to.
	Err() error
	// Stop ends the process: kindly first, by force when ctx is done.
	Stop(ctx context.Context) error
}

// Eventer is the part of a Process that no connection can ask.
type Eventer interface {
	// Dispatch runs an event; see [workerd.Process.Dispatch].
	Dispatch(ctx context.Context, ray string, e *workerd.Event) (workerd.Outcome, error)
	// Watch says whether a tail is open; see [workerd.Process.Watch].
	Watch(ctx context.Context, open bool) error
}

// Started is what a process says of its main module.
type Started interface {
	Handlers() []string
	// Exports returns the names of the exports other than the default one.
	Exports() []string
	// Entrypoints returns those of them that other workers can call.
	Entrypoints() []string
}

// Workerd makes a Runtime of a launcher.
func Workerd(l *workerd.Launcher) Runtime { return launcher{l} }

type launcher struct{ l *workerd.Launcher }

func (l launcher) Start(ctx context.Context, dir string, w *workerd.Worker, onLog func(workerd.LogLine)) (Process, error) {
	p, err := l.l.Start(ctx, dir, w, onLog)
	if err != nil {
		return nil, err // a nil *workerd.Process must not become a non-nil Process
	}
	return p, nil
}

func (l launcher) MaxCompatibilityDate(ctx context.Context) (string, error) {
	return l.l.MaxCompatibilityDate(ctx)
}

// Ticket is what an upload token says; it has the shape of the accounts
// service's ticket so that the server can convert one into the other.
type Ticket struct {
	Account string
	Object  string
	Action  string
	Expires time.Time
	Extra   map[string]any
}

// Actions of the tickets that this service issues.
const (
	ActionAssetUpload   = "assets.upload"
	ActionAssetComplete = "assets.complete"
)

// Options configures [New]. Zero values take the defaults that are named.
type Options struct {
	Store   *store.Store
	Runtime Runtime
	Doors   Doors
	Log     *slog.Logger
	// RunDir is the folder in which each process has its own; keep its path
	// short, unix sockets live below it.
	RunDir string
	// ObjectsDir is the folder of the data of Durable Objects; "objects" beside
	// the store's files.
	ObjectsDir string
	// Domain is the platform's domain: workers are at <worker>.<subdomain>.workers.<Domain>.
	Domain string
	// AccountBySubdomain and Subdomain map between an account and its subdomain.
	AccountBySubdomain func(subdomain string) (account string, ok bool)
	Subdomain          func(account string) string

	// Namespaces knows the KV namespaces; without it bindings to them are refused.
	Namespaces Namespaces
	// Databases knows the D1 databases; without it bindings to them are refused.
	Databases Databases
	// VectorIndexes knows the vector indexes; without it bindings to them are refused.
	VectorIndexes VectorIndexes
	// AI says that models can be bound; without it bindings to them are refused.
	AI bool

	// Containers says why no containers can be run here, nil when they can; without it
	// uploads that name some are refused.
	Containers func() error

	IssueTicket  func(Ticket) string
	VerifyTicket func(token, action string) (Ticket, error)

	// OnLog gets each line that a process writes. It must not block.
	OnLog func(account, script, version string, line workerd.LogLine)

	// Tails knows who watches which script; nil: nobody can. The caller closes it
	// before the service, and has it call Watch and DeliverTail.
	Tails *tail.Hub

	// OnRun gets each run of a scheduled handler when it has ended. It must not block.
	OnRun func(Run)

	// Sites gives the files of sites that another service keeps; nil: there are none.
	Sites Sites
	// Referenced calls keep with the id of each blob in Store that another service
	// refers to; nil: there is no other.
	Referenced func(ctx context.Context, keep func(blob string)) error

	// ForgetCache removes what a script has in its cache, named as [DoorSpec].CacheZone;
	// called when the script was deleted. Nil: there is no cache.
	ForgetCache func(zone string)

	// Files gives the contents of assets; nil serves blobs without precompressed variants.
	Files assets.Files
	// SingleAssetUploads asks wrangler to upload each asset in a request of its own.
	SingleAssetUploads bool

	IdleTimeout  time.Duration // a process without requests stops; 10 minutes
	DrainTimeout time.Duration // bound for requests in flight on a replaced process; 5 minutes
	StopTimeout  time.Duration // bound for a process to end by itself once asked; 5 seconds
	// HandoverTimeout bounds requests in flight on a process that has Durable
	// Objects open: what comes next waits for it; 10 seconds.
	HandoverTimeout time.Duration
	StartTimeout    time.Duration // what the Runtime gives a process to answer; 30 seconds
	MaxProcesses    int           // 200; the least recently used idle one makes room
	// WorkerProcesses bounds the processes of one version that is hot and has no
	// objects open; the number of CPUs. With 1 it never gets another.
	WorkerProcesses int
	ScalePeriod     time.Duration // how often a version is judged; 500 ms
	MaxStarts       int           // processes starting at the same time; the number of CPUs, at least 2
	MaxHosts        int           // hostnames in the cache; 8192

	// ScheduledTimeout bounds one run of a scheduled handler; 15 minutes.
	ScheduledTimeout time.Duration

	CPULimit         time.Duration // of JavaScript that runs without a break, where the worker names none; 30 seconds
	MemoryLimit      int64         // bytes, of what a process takes beyond the runtime itself; 128 MiB
	SubrequestsLimit int           // of one request, where the worker names none, to the outside and of bindings each; 10,000

	MaxScriptSize   int64             // bytes of all modules of a version; 64 MiB
	MaxSourceMaps   int64             // bytes of all its source maps; 128 MiB
	MaxModules      int               // 1000
	MaxBindings     int               // 1000
	MaxBindingSize  int64             // bytes of one text or JSON binding or secret; 1 MiB
	MaxAssets       int               // files in a manifest; 100000
	MaxAssetSize    int64             // bytes of one asset; 25 MiB
	RuleLimits      assets.RuleLimits // of _headers and _redirects; as the original has them
	SessionLifetime time.Duration     // of an asset upload session; 1 hour
	RetryWindow     time.Duration     // an identical upload within it is a retry; 10 minutes
	BlobGrace       time.Duration     // an unreferenced blob is kept that long; 24 hours
}
