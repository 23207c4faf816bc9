package ai

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/admit"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/ledger"
	"github.com/selvage-dev/selvage/internal/ai/local"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
	"github.com/selvage-dev/selvage/internal/ai/remote"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/store"
)

// ErrClosed is the error of every call on a service that is closed.
var ErrClosed = errors.New("ai: the service is closed")

// Options of [New]; zero fields take the defaults that are named.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	Now   func() time.Time // time.Now

	// Upstreams are the servers that Routes lead to.
	Upstreams []remote.Options
	Routes    []Route
	// Concurrent is how many runs each server gets at once, Queue how many wait for it
	// and for each model here; 32 and 256.
	Concurrent, Queue int

	// Hubs and Token are where models are pulled from, Disk is the quota of all that are
	// here; 100 GiB.
	Hubs  []string
	Token string
	Disk  int64
	// OpenText opens a model that writes text; [decoder.Open]. Tests have others.
	OpenText func(dir string) (local.Decoder, error)
	// Idle is how long a model stays in memory without being asked, Memory bounds those
	// that are; 10 minutes and 4 GiB.
	Idle   time.Duration
	Memory int64
}

// Route says that a server runs a model.
type Route struct {
	Model    string // a name, or what names begin with and "*"
	Upstream string
	Theirs   string // what the server calls it; "": the same
}

// Service runs models. It is safe for concurrent use.
type Service struct {
	o         Options
	catalogue *catalogue.Catalogue
	upstreams map[string]*upstream
	models    *modelstore.Store
	engines   *local.Engines
	ledger    *ledger.Ledger
	meter     *meter

	mu     sync.Mutex
	queues map[string]*admit.Queue // of the models of this process that were used
}

// upstream is a server and those who wait for it.
type upstream struct {
	*remote.Server

	queue *admit.Queue
}

// New returns the service. It loads no model.
func New(o Options) (*Service, error) { //nolint:gocritic // once
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Concurrent == 0 {
		o.Concurrent = 32
	}
	if o.Queue == 0 {
		o.Queue = 256
	}
	if o.Disk == 0 {
		o.Disk = 100 << 30
	}
	if o.Idle == 0 {
		o.Idle = 10 * time.Minute
	}
	if o.Memory == 0 {
		o.Memory = 4 << 30
	}
	if o.OpenText == nil {
		o.OpenText = func(dir string) (local.Decoder, error) {
			d, err := decoder.Open(dir, decoder.Options{Batch: TextSlots})
			if err != nil {
				return nil, err // a nil *decoder.Model must not become a non-nil interface
			}
			return d, nil
		}
	}
	c, err := catalogue.Load()
	if err != nil {
		return nil, err
	}
	s := &Service{o: o, catalogue: c, upstreams: make(map[string]*upstream), queues: make(map[string]*admit.Queue)}
	s.meter = newMeter(s)
	for i := range o.Upstreams {
		u := o.Upstreams[i]
		if u.Now == nil {
			u.Now = o.Now
		}
		s.upstreams[u.Name] = &upstream{remote.New(u), admit.New(o.Concurrent, o.Queue)}
	}
	for _, r := range o.Routes {
		if s.upstreams[r.Upstream] == nil {
			return nil, fmt.Errorf("ai: the route of %s leads to the server %q, which is not one of ai.upstreams", r.Model, r.Upstream)
		}
	}
	s.models, err = modelstore.Open(modelstore.Options{Store: o.Store, Log: o.Log, Now: o.Now, Quota: o.Disk, Hubs: o.Hubs, Token: o.Token})
	if err != nil {
		return nil, err
	}
	if s.ledger, err = ledger.Open(context.Background(), o.Store.DB, o.Now, o.Log); err != nil {
		return nil, err
	}
	s.engines = local.New(local.Options{Log: o.Log, Idle: o.Idle, Memory: o.Memory})
	return s, nil
}

// Close waits for models of this process that work, and ends the service.
func (s *Service) Close() error {
	s.engines.Close()
	s.models.Close()
	for _, u := range s.upstreams {
		u.Close()
	}
	return nil
}
