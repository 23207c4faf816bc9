package builds

import (
	"errors"
	"fmt"
	"time"
)

// Status is how far a build is.
type Status string

// The statuses.
const (
	Queued     Status = "queued"
	Running    Status = "running"
	Succeeded  Status = "success"
	Failed     Status = "failure"
	Canceled   Status = "canceled"
	Superseded Status = "superseded"
	Skipped    Status = "skipped"
)

// Open reports whether the build has something before it.
func (s Status) Open() bool { return s == Queued || s == Running }

// Build is one commit that was pushed to a branch.
type Build struct {
	ID        string // UUID
	Account   string
	ProjectID string
	Project   string
	Branch    string
	Commit    string
	Status    Status
	Attempts  int
	CreatedAt time.Time

	document
}

// document is the part of a build that is stored as JSON. Fields are only ever
// added.
type document struct {
	Message   string    `json:"message,omitempty"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Reason says in one sentence why it did not succeed.
	Reason string  `json:"reason,omitempty"`
	Stages []Stage `json:"stages,omitempty"`
	// Deployment is the id of what was deployed, URL where it answers.
	Deployment string `json:"deployment,omitempty"`
	URL        string `json:"url,omitempty"`
	Log        []Line `json:"log,omitempty"`
}

// Stage is a step of a build.
type Stage struct {
	Name      string    `json:"name"` // queued, clone_repo, install, build, deploy
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Status    Status    `json:"status"`
}

// Line is one line of a log.
type Line struct {
	Time time.Time `json:"ts"`
	Text string    `json:"line"`
}

// Codes of errors, beside those of sites.
const (
	CodeBuildNotFound = 8000060 // no such build
	CodeBuildEnded    = 8000061 // the build cannot be canceled any more
)

// ErrClosed says that the service is closing.
var ErrClosed = errors.New("builds: the service is closed")

// Error is an error that the API may show.
type Error struct {
	Code    int
	Status  int // HTTP
	Message string
	Err     error
}

// Error returns the public message with its code and the private cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s [code: %d]: %v", e.Message, e.Code, e.Err)
	}
	return fmt.Sprintf("%s [code: %d]", e.Message, e.Code)
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

// failure is why a build has failed, for whoever pushed.
type failure struct{ text string }

func (f *failure) Error() string { return f.text }

func failf(format string, args ...any) error { return &failure{fmt.Sprintf(format, args...)} }
