package pages

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/store"
)

// Functions keeps and runs the code of deployments.
type Functions interface {
	// Create makes a version of it, which has answered when Create returns. The
	// error is a [*RefusedError] when the code or a binding is at fault.
	Create(ctx context.Context, f *FunctionsSpec) (version string, err error)
	// Delete removes versions; those that are not there are no error.
	Delete(ctx context.Context, account, project string, versions ...string) error
	// DeleteAll removes what the project has.
	DeleteAll(ctx context.Context, account, project string) error
}

// FunctionsSpec is the code of a deployment.
type FunctionsSpec struct {
	Account, Project, Deployment string
	// Metadata is that of a Worker's upload: main module, bindings with secrets in
	// the open, compatibility.
	Metadata json.RawMessage
	Modules  []Module
	Source   string // the tool that deploys
}

// Module is one part of the code, which is a blob already.
type Module struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Blob        string `json:"blob"`
	Size        int64  `json:"size"` // bytes
}

// RefusedError says why code was refused, for whoever deployed it.
type RefusedError struct {
	Text string
	Err  error
}

// Error returns the text.
func (e *RefusedError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Ticket is what an upload token says; it has the shape of the accounts
// service's ticket so that the server can convert one into the other.
type Ticket struct {
	Account string
	Object  string // a project's id
	Action  string
	Expires time.Time
	Extra   map[string]any
}

// ActionUpload is the action of the tickets that this service issues.
const ActionUpload = "pages.upload"

// Options configures [New]. Zero values take the defaults that are named.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Domain is the platform's: projects are at <project>.pages.<Domain>.
	Domain string
	// URL makes the URL of a host: the scheme and port at which visitors come in.
	URL       func(host string) string
	Functions Functions

	IssueTicket  func(Ticket) string
	VerifyTicket func(token, action string) (Ticket, error)

	// HostOwner names the worker that has a host, "" for none; nil: none has any.
	HostOwner func(ctx context.Context, host string) (worker string, err error)

	// Files gives the contents of assets.
	Files assets.Files

	RuleLimits   assets.RuleLimits // of _headers and _redirects; as the original has them
	MaxFiles     int               // of one deployment; 20000
	MaxFileSize  int64             // bytes; 25 MiB
	MaxProjects  int               // of an account; 1000
	TokenLife    time.Duration     // of an upload token; 30 minutes
	BlobGrace    time.Duration     // what the sweep of blobs keeps anyhow; 24 hours
	PreserveTime time.Duration     // how long assets of replaced deployments are still served; 7 days
	// MaxEntries bounds the files of all sites that are in memory; 500000.
	MaxEntries int
}

func (o *Options) setDefaults() error {
	if o.Store == nil || o.Files == nil || o.Functions == nil || o.IssueTicket == nil || o.VerifyTicket == nil || o.Domain == "" {
		return errors.New("pages: options Store, Files, Functions, IssueTicket, VerifyTicket and Domain are needed")
	}
	setDefault(&o.MaxFiles, 20_000)
	setDefault(&o.MaxFileSize, 25<<20)
	setDefault(&o.MaxProjects, 1000)
	setDefault(&o.TokenLife, 30*time.Minute)
	setDefault(&o.BlobGrace, 24*time.Hour)
	setDefault(&o.PreserveTime, 7*24*time.Hour)
	setDefault(&o.MaxEntries, 500_000)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.URL == nil {
		o.URL = func(host string) string { return "http://" + host }
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
