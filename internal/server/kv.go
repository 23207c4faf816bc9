package server

import (
	"context"
	"fmt"

	"github.com/selvage-dev/selvage/internal/kv"
)

func (s *Server) openKV(context.Context) error {
	service, err := kv.New(kv.Options{Store: s.store, Log: s.log, Now: s.o.Now})
	if err != nil {
		return err
	}
	s.kv = service
	s.onClose("KV namespaces", func(context.Context) error { return service.Close() }) //nolint:contextcheck // a checkpoint is not to be cut short
	if err := s.registry.Register(service.Collector()); err != nil {
		return fmt.Errorf("register the metrics of the KV namespaces: %w", err)
	}
	return nil
}

func (s *Server) sweepKV(ctx context.Context) {
	swept, err := s.kv.Sweep(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.WarnContext(ctx, "sweep of the KV namespaces failed; it is tried again in an hour", "error", err)
	default:
		s.log.DebugContext(ctx, "KV namespaces swept", "keys", swept.Keys, "files", swept.Files, "namespaces", swept.Namespaces)
	}
}
