// Package driver is what runs containers, as the service sees it. Implementations
// run the tests of package drivertest.
//
// The life of a container:
//
//	Create ──▶ created ──Start──▶ running ──(its process ends)──▶ ended
//	              │                  │                              │
//	              └──────────────────┴────────────Remove────────────┴──▶ gone
//
// Invariants of every driver:
//
//   - A container sees nothing of the machine but what its [Spec] names, has a
//     network of its own in which only loopback is, and no rights over the machine.
//   - Its limits are those of the Spec, or the driver says which are not ([Limit]).
//   - When the platform ends, however it ends, its containers do too. What remains of
//     them on disk or in the kernel is gone at the latest when the driver is opened again.
package driver

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/selvage-dev/selvage/internal/netns"
)

// Errors that drivers return, wrapped.
var (
	// ErrNotRunning answers what only a running container can do.
	ErrNotRunning = errors.New("the container is not running")
	// ErrUnsupported answers what the driver cannot do.
	ErrUnsupported = errors.New("not supported by this driver")
)

// StartError says that what the image or the user names cannot be run: the same
// again fails again. Its text is for the user.
type StartError struct{ Text string }

// Error returns the text.
func (e *StartError) Error() string { return e.Text }

// Driver runs containers. It is safe for concurrent use.
type Driver interface {
	// Name is what the driver is called in the configuration.
	Name() string
	// Shift is the first of the 65536 user ids on this machine that are the users of
	// containers: files of an image belong to them.
	Shift() int
	// Ready makes ready what the first container needs, so that it does not wait.
	Ready(ctx context.Context) error
	// Create makes a container and its network; nothing of the user's runs yet. A
	// [*StartError] says what is wrong with the Spec. The context bounds the call.
	Create(ctx context.Context, s Spec) (Container, error)
	// Limits says what is enforced here.
	Limits() []Limit
	// Close ends all containers.
	Close(ctx context.Context) error
}

// Limit is one that a driver enforces, or not.
type Limit struct {
	Name     string
	Enforced bool
	Detail   string // how, or why not
}

// Spec says what to run.
type Spec struct {
	// ID names the container; of letters and digits, unique on the machine.
	ID string
	// Layers are folders of package imagefs, the lowest first.
	Layers   []string
	Args     []string // the program and its arguments
	Env      []string
	Dir      string // empty: /
	User     string // as in an image's configuration; empty: root
	Hostname string
	// Nameserver is the address to put into resolv.conf; empty: none.
	Nameserver string
	Resources  Resources
	// Stdout and Stderr get what the container prints, one line at a time, cut at
	// supervise.MaxLine. While a call blocks, the container may block in its write.
	Stdout, Stderr func(line []byte)
}

// Resources are what a container may take; 0 is no limit.
type Resources struct {
	MilliCPU int64 // thousandths of a processor
	Memory   int64 // bytes, without swap
	PIDs     int64
	Disk     int64 // bytes
}

// Container is one container. Its methods are safe for concurrent use.
type Container interface {
	ID() string
	Lifecycle
	// Network is the container's network namespace; it belongs to the container and
	// is good until Remove.
	Network() *netns.NS
	// Exec starts another process in it.
	Exec(ctx context.Context, e ExecSpec) (Process, error)
	// Files opens the root of its files, to be read and written from outside; the
	// caller closes it.
	Files() (Files, error)
	Stats() (Stats, error)
}

// Lifecycle is the part of a Container that runs it and ends it.
type Lifecycle interface {
	Start(ctx context.Context) error
	// Done is closed when its first process has ended.
	Done() <-chan struct{}
	// Exit says how; valid when Done is closed.
	Exit() Exit
	// Signal goes to the first process.
	Signal(sig syscall.Signal) error
	// Remove ends it and all that it left. The context bounds the waiting.
	Remove(ctx context.Context) error
}

// Exit is how a container's first process ended.
type Exit struct {
	Code int // 128 and the signal, when one ended it
	// OutOfMemory says that the kernel ended it for taking more than its limit.
	OutOfMemory bool
}

// ExecSpec says what to run in a container.
type ExecSpec struct {
	Args []string
	Env  []string // beside the container's
	Dir  string   // empty: the container's
	User string   // empty: the container's
	// Stdin, Stdout and Stderr are the process's own; nil is /dev/null. They still
	// belong to the caller, who may close them when Exec has returned.
	Stdin, Stdout, Stderr *os.File
}

// Process is one that Exec started.
type Process interface {
	Pid() int
	// Wait returns its exit code, 128 and the signal when one ended it.
	Wait(ctx context.Context) (int, error)
}

// Files are a container's files. Paths are those in the container; links in them
// are followed as the container would, never out of it.
type Files interface {
	// ReadTar writes the file or folder at path as a tar archive.
	ReadTar(ctx context.Context, path string, to io.Writer) error
	// WriteTar unpacks a tar archive into the folder at path.
	WriteTar(ctx context.Context, path string, from io.Reader) error
	Close() error
}

// Stats is what a container takes.
type Stats struct {
	Memory  int64         // bytes, without what can be reclaimed at once
	CPU     time.Duration // of all of its processes so far
	PIDs    int64
	Read    int64 // bytes from disk
	Written int64 // bytes to disk
}
