package server

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/ratelimit"
)

// cacheSweepEvery is how often expired responses are looked for. Until then they
// take room, but are not served.
const cacheSweepEvery = time.Minute

// openCaches makes what keeps no state beyond this process: the cache and the
// counters of rate limits.
func (s *Server) openCaches(context.Context) error {
	c := s.cfg.Load()
	store, err := cache.Open(filepath.Join(s.store.Dir, "cache"), cache.Options{MaxBytes: int64(c.Cache.MaxSize), Now: s.o.Now, Log: s.log})
	if err != nil {
		return err
	}
	s.cache, s.rateLimits = store, ratelimit.New(ratelimit.Options{Now: s.o.Now})
	s.onClose("cache", func(context.Context) error { return store.Close() })
	if err := s.registry.Register(store.Collector()); err != nil {
		return fmt.Errorf("register the metrics of the cache: %w", err)
	}
	return nil
}
