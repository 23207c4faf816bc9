package instances

import (
	"context"
	"io"
	"time"
)

// Applications is what this service needs to know of what was deployed: which
// container belongs to a class of Durable Objects. It is asked at each start of a
// container, so an answer counts from then on and what runs goes on as it is.
type Applications interface {
	// Application returns what an object of a class of a script runs; object is its id,
	// or empty when no object asks. The error is an
	// *[Error] with [CodeNoApplication] when there is none: it is created after the
	// upload of its script, so a start in between finds nothing.
	Application(ctx context.Context, account, script, class, object string) (Application, error)
}

// Application is what the objects of one class run.
type Application struct {
	ID   string // names it in metrics and logs
	Name string
	// Version tells rollouts apart; it is kept with each instance.
	Version string
	// Image is run when a class does not name one in its start.
	Image Image
	// Images are the others that a class may start, by the name that it gives.
	Images map[string]Image
	Limits Limits
	// MaxInstances bounds how many run at the same time; 0 is the default of the
	// service.
	MaxInstances int
	Health       Health
}

// Image is one in the account's part of the registry.
type Image struct {
	Repository string // without the registry's host and the account
	Digest     string // of the manifest: "sha256:…"
}

// Limits of one instance; a zero field takes what instance type "lite" has.
type Limits struct {
	MilliCPU int64 // thousandths of a processor
	Memory   int64 // bytes
	Disk     int64 // bytes that it may write beside its image
}

// Health says when an instance takes requests.
type Health struct {
	// Command is that of the image's HEALTHCHECK, as Docker has it: CMD or CMD-SHELL
	// and its arguments. Empty: the image's own, when it has one.
	Command []string
	// Path is asked with GET on Port and must answer below 400; empty: it is not.
	Path string
	Port int

	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration
	Retries     int
}

// Images is where images lie.
type Images interface {
	// Manifest returns a manifest by its digest.
	Manifest(ctx context.Context, account, repository, digest string) (mediaType string, body []byte, err error)
	// Blob opens a config or a layer by its digest; the caller closes it.
	Blob(ctx context.Context, account, repository, digest string) (io.ReadCloser, error)
}
