package builds

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/selvage-dev/selvage/internal/bundle/site"
	"github.com/selvage-dev/selvage/internal/gitrepo"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// Sites are what builds are made for.
type Sites interface {
	// Site returns a project, nil when the account has none of this name.
	Site(ctx context.Context, account, project string) (*Site, error)
	// Deploy makes a deployment of the files in one step. What it says on the way
	// goes to log. A deployment that is refused for what is in it is a [*RefusedError].
	// If it is kept all the same, as one that has failed, Deployed says its id.
	Deploy(ctx context.Context, s *Site, q *Deploy, log func(line string)) (Deployed, error)
	// DeployFailed records that there is none: Files are nil.
	DeployFailed(ctx context.Context, s *Site, q *Deploy) (Deployed, error)
}

// Site is a project as its builds see it.
type Site struct {
	ID, Account, Name string
	// Branch is the one whose deployments are for production.
	Branch string
	// Command builds it with a shell; empty: its files are there already.
	Command string
	// Root is the folder in the repository in which the command runs, Output the one
	// below Root whose files are the site. Empty: the folder above.
	Root, Output string
	// Production and Preview are variables for the command.
	Production, Preview Environment
	// URL is where production answers.
	URL string
}

// Environment is what counts for the builds of a branch, unless a wrangler file says otherwise.
type Environment struct {
	// Vars are variables for the command.
	Vars map[string]string
	// Date and Flags are the compatibility settings of the code.
	Date  string
	Flags []string
}

// Deploy is what a build has made.
type Deploy struct {
	Branch, Commit, Message string
	// Log and Stages are those of the build so far.
	Log    []Line
	Stages []Stage
	// Files are slash-separated paths in Dir.
	Files []string
	Dir   *os.Root
	// Site has the code and the settings of the commit; nil: there are none.
	Site *site.Packed
}

// Deployed is a deployment.
type Deployed struct{ ID, URL string }

// RefusedError says why a deployment is refused.
type RefusedError struct {
	Text string
	Err  error
}

// Error returns the text.
func (e *RefusedError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Repos is what builds need of the repositories: a [*gitrepo.Store].
type Repos interface {
	Ensure(ctx context.Context, id, branch string) error
	Exists(id string) bool
	Advertise(ctx context.Context, id string, v gitrepo.Service, protocol string, w io.Writer) error
	Upload(ctx context.Context, id, protocol string, in io.Reader, w io.Writer) error
	Receive(ctx context.Context, id string, note json.RawMessage, in io.Reader, w io.Writer, record func(context.Context, []gitrepo.Change) error) (*gitrepo.Push, error)
	Commits
	Upkeep
}

// Commits reads what was pushed.
type Commits interface {
	Message(ctx context.Context, id, commit string) (string, error)
	Checkout(ctx context.Context, id, commit, dest string, b gitrepo.Bounds) (gitrepo.Tree, error)
}

// Upkeep is what is done when nobody pushes.
type Upkeep interface {
	Interrupted(ctx context.Context) ([]gitrepo.Interrupted, error)
	Recorded(id string) error
	IDs() ([]string, error)
	Remove(ctx context.Context, id string) error
	Collect(ctx context.Context, id string) error
}

// Options configures [New]. Zero values take the defaults that are named.
type Options struct {
	Store *store.Store
	Repos Repos
	Sites Sites
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
	// Dir is the folder in which builds run. It is emptied at the start.
	Dir string

	// Isolation confines the commands.
	Isolation *supervise.Isolation
	// Dial opens connections for builds, which reach the network through a proxy
	// only; nil: they reach nothing.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Program is this platform's own, which puts code together in the sandbox; empty:
	// commits that have code are refused. MaxCode bounds that code, in bytes; 64 MiB.
	Program string
	MaxCode int64
	// Path are the folders of programs; /usr/local/bin, /usr/bin, /bin.
	Path []string
	// FirstUser is the first of Concurrent user ids that nobody else has, for builds
	// on a platform that runs as root; 65520.
	FirstUser int

	Concurrent int           // builds that run at the same time; 1
	Timeout    time.Duration // of one build; 20 minutes
	Grace      time.Duration // between SIGTERM and SIGKILL; 5 seconds
	Memory     int64         // bytes of all processes of a build together; 2 GiB
	Processes  int           // and threads of a build; 512
	Disk       int64         // bytes that a build may write; 4 GiB
	MaxLog     int           // bytes that are kept of a log; 1 MiB
	MaxFiles   int           // of one site; 20000
	MaxSource  int           // files of a commit; 200000
}

const (
	// The most builds that one push makes.
	maxPushed = 20
	// How many builds of a project are remembered.
	keepBuilds = 200
	// For how many lock files of a project the dependencies are kept.
	keepCaches = 3
)

func (o *Options) setDefaults() error {
	if o.Store == nil || o.Repos == nil || o.Sites == nil || !filepath.IsAbs(o.Dir) {
		return errors.New("builds: options Store, Repos, Sites and an absolute Dir are needed")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Path) == 0 {
		o.Path = []string{"/usr/local/bin", "/usr/bin", "/bin"}
	}
	const (
		mib    = 1 << 20
		unused = 65520 // up to 65533 no distribution gives them to anybody
	)
	setDefault(&o.FirstUser, unused)
	setDefault(&o.Concurrent, 1)
	setDefault(&o.Timeout, 20*time.Minute)
	setDefault(&o.Grace, 5*time.Second)
	setDefault(&o.Memory, 2<<30)
	setDefault(&o.Processes, 512)
	setDefault(&o.Disk, 4<<30)
	setDefault(&o.MaxLog, mib)
	setDefault(&o.MaxFiles, 20_000)
	setDefault(&o.MaxSource, 200_000)
	setDefault(&o.MaxCode, 64<<20)
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
