package server

import (
	"context"

	"github.com/selvage-dev/selvage/internal/config"
)

// Reload applies what of now may change while the platform runs, and returns
// the keys whose change waits for a restart. The configuration is valid: Load
// made it.
func (s *Server) Reload(ctx context.Context, now *config.Config) (waiting []string) {
	was := s.cfg.Load()
	next := *was
	for _, o := range config.Changed(was, now) {
		if !o.Reload {
			waiting = append(waiting, o.Key)
			s.log.WarnContext(ctx, "this change needs a restart", "option", o.Key, "running", o.Get(was), "configured", o.Get(now))
			continue
		}
		o.Copy(&next, now)
		s.log.InfoContext(ctx, "option changed", "option", o.Key, "was", o.Get(was), "now", o.Get(now))
	}
	s.cfg.Store(&next)
	s.level.Set(logLevel(&next))
	s.logs.SetBounds(int64(next.Log.MaxSize), next.Log.MaxAge)
	s.edge.SetLimits(edgeLimits(&next))
	s.edge.SetResponseTimeout(next.Limits.Response)
	s.edge.SetRequestsPerMinute(next.Limits.Burst)
	s.edge.SetTrustedProxies(next.TrustedProxies)
	s.workers.SetIdleTimeout(next.IdleStop)
	return waiting
}
