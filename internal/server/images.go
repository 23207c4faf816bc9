package server

import (
	"context"

	"github.com/selvage-dev/selvage/internal/registry"
)

func (s *Server) openImages(context.Context) error {
	service, err := registry.New(registry.Options{Store: s.store, Log: s.log, Now: s.o.Now})
	if err != nil {
		return err
	}
	s.images = service
	s.onClose("registry of images", func(context.Context) error { return service.Close() })
	return nil
}

func (s *Server) sweepImages(ctx context.Context) {
	out, err := s.images.Collect(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.WarnContext(ctx, "collection of images failed; it is tried again in an hour", "error", err)
	default:
		s.log.DebugContext(ctx, "images collected", "uploads", out.Uploads, "manifests", out.Manifests, "blobs", out.Blobs)
	}
}
