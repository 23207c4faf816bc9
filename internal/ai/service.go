package ai

import (
	"errors"
	"log/slog"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/store"
)

// ErrClosed is the error of every call on a service that is closed.
var ErrClosed = errors.New("ai: the service is closed")

// Options of [New]; zero fields take the defaults that are named.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	Now   func() time.Time // time.Now
}

// Service runs models. It is safe for concurrent use.
type Service struct {
	o         Options
	catalogue *catalogue.Catalogue
}

// New returns the service. It loads no model.
func New(o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := catalogue.Load()
	if err != nil {
		return nil, err
	}
	return &Service{o: o, catalogue: c}, nil
}

// Close ends the service.
func (s *Service) Close() error { return nil }
