package server

import (
	"context"

	"github.com/selvage-dev/selvage/internal/vectorize"
)

func (s *Server) openVectorize(context.Context) error {
	c := s.cfg.Load().Vectorize
	service, err := vectorize.New(vectorize.Options{ //nolint:contextcheck // folders of deleted indexes are removed to the end
		Store: s.store, Log: s.log, Now: s.o.Now, MaxOpen: c.MaxOpen,
		Limits: vectorize.Limits{
			Indexes: c.MaxIndexes, Dimensions: c.Dimensions, TopK: c.TopK, TopKFull: c.TopKFull, GetIDs: c.GetIDs, DeleteIDs: c.DeleteIDs,
			MetadataBytes: int(c.MetadataSize), MetadataIndexes: c.MetadataIndexes, Namespaces: c.Namespaces,
		},
	})
	if err != nil {
		return err
	}
	s.vectorize = service
	s.onClose("vector indexes", func(context.Context) error { return service.Close() })
	return nil
}
