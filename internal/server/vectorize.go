package server

import (
	"context"

	"github.com/selvage-dev/selvage/internal/vectorize"
)

func (s *Server) openVectorize(context.Context) error {
	service, err := vectorize.New(vectorize.Options{Store: s.store, Log: s.log, Now: s.o.Now}) //nolint:contextcheck // folders of deleted indexes are removed to the end
	if err != nil {
		return err
	}
	s.vectorize = service
	s.onClose("vector indexes", func(context.Context) error { return service.Close() })
	return nil
}
