package server

import (
	"context"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/d1"
)

func (s *Server) openD1(context.Context) error {
	service, err := d1.New(d1.Options{Store: s.store, Log: s.log}) //nolint:contextcheck // folders of deleted databases are removed to the end
	if err != nil {
		return err
	}
	s.d1 = service
	s.onClose("D1 databases", func(context.Context) error { return service.Close() })
	return nil
}

// d1Databases gives the door of the bindings what it needs of the service.
type d1Databases struct{ *d1.Service }

// Open implements [bindings.D1].
func (d d1Databases) Open(ctx context.Context, id string) (bindings.D1Database, error) {
	db, err := d.Service.Open(ctx, id)
	if err != nil {
		return nil, err // a nil *d1.Database must not become a non-nil interface
	}
	return db, nil
}
