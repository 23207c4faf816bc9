package instances

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// Options of [New]; zero fields take the defaults that are named.
type Options struct {
	// Dir is the folder of unpacked layers.
	Dir string
	// Driver runs containers. Nil: none can be, for the reason that Unavailable gives.
	Driver      driver.Driver
	Unavailable string

	Applications Applications
	Images       Images
	Log          *slog.Logger
	// OnLog gets what containers print. It must not block.
	OnLog func(Line)
	// OnEvent is told what happens to instances. It must not block.
	OnEvent func(Event)

	// KeepImages is how long an image stays unpacked that nothing runs; 24 h.
	KeepImages time.Duration

	MaxInstances int           // of an application that says nothing; 20
	MaxTotal     int           // of all applications; 500
	PIDs         int64         // processes and threads of one instance; 1024
	StopGrace    time.Duration // between SIGTERM and SIGKILL; 10 s
}

func (o *Options) setDefaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxInstances == 0 {
		o.MaxInstances = 20
	}
	if o.MaxTotal == 0 {
		o.MaxTotal = 500
	}
	if o.PIDs == 0 {
		o.PIDs = 1024
	}
	if o.KeepImages == 0 {
		o.KeepImages = 24 * time.Hour
	}
	if o.StopGrace == 0 {
		o.StopGrace = 10 * time.Second
	}
}

// What an instance of type "lite" has.
const (
	liteMemory   = 256 << 20
	liteMilliCPU = 62 // a sixteenth of a processor
	liteDisk     = 2 << 30
)

// Service runs containers. It is safe for concurrent use.
type Service struct {
	o      Options
	layers string

	collecting sync.RWMutex // held for reading while an image is made ready

	loading   singleflight.Group
	unpacking singleflight.Group

	begun time.Time

	mu      sync.Mutex
	closed  bool
	images  map[string]*image
	ended   memory
	running map[string]int // by application
	// breakers by application; one costs little and applications are few.
	breakers map[string]*breaker
	total    int
	owners   map[*Owner]struct{}
}

// New returns the service. Layers that were not whole when the platform stopped are
// removed.
func New(o Options) (*Service, error) {
	o.setDefaults()
	s := &Service{
		begun: time.Now(), o: o, layers: filepath.Join(o.Dir, "layers"), images: make(map[string]*image), running: make(map[string]int), breakers: make(map[string]*breaker), owners: make(map[*Owner]struct{}),
	}
	if o.Driver == nil {
		return s, nil
	}
	if err := fsx.MkdirAll(s.layers, 0o700); err != nil {
		return nil, fmt.Errorf("instances: folder of layers: %w", err)
	}
	entries, err := os.ReadDir(s.layers)
	if err != nil {
		return nil, fmt.Errorf("instances: folder of layers: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partial) {
			if err := os.RemoveAll(filepath.Join(s.layers, e.Name())); err != nil {
				return nil, fmt.Errorf("instances: a layer that is not whole: %w", err)
			}
		}
	}
	return s, nil
}

// Unavailable says why no containers can be run here; nil when they can.
func (s *Service) Unavailable() error {
	if s.o.Driver != nil {
		return nil
	}
	return Fail(CodeUnavailable, "containers cannot be run on this machine: %s", s.o.Unavailable)
}

// Driver returns the name of the driver and what it enforces; "" without one.
func (s *Service) Driver() (name string, limits []driver.Limit) {
	if s.o.Driver == nil {
		return "", nil
	}
	return s.o.Driver.Name(), s.o.Driver.Limits()
}

// Close ends all instances.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	owners := make([]*Owner, 0, len(s.owners))
	for o := range s.owners {
		owners = append(owners, o)
	}
	s.mu.Unlock()
	var failed []error
	for _, o := range owners {
		failed = append(failed, o.Close(ctx))
	}
	if s.o.Driver != nil {
		failed = append(failed, s.o.Driver.Close(ctx))
	}
	return errors.Join(failed...)
}

// take counts one more instance of an application in.
func (s *Service) take(app *Application) error {
	most := app.MaxInstances
	if most <= 0 {
		most = s.o.MaxInstances
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return Fail(CodeUnavailable, "the platform is stopping")
	case s.running[app.ID] >= most:
		return Fail(CodeFull, "%d instances of %s run already, which is its max_instances: stop one, or deploy it with more", most, app.Name)
	case s.total >= s.o.MaxTotal:
		return Fail(CodeFull, "%d instances run already, which is all that this platform runs", s.total)
	}
	s.running[app.ID]++
	s.total++
	return nil
}

func (s *Service) give(app *Application) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.running[app.ID]--; s.running[app.ID] == 0 {
		delete(s.running, app.ID)
	}
}
