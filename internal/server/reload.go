package server

import (
	"context"
	"time"

	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/workers"
)

// What a part offers to be changed while it runs.
type (
	workersTuner interface {
		SetLimits(idle time.Duration, maxProcesses int)
	}
	bindingsTuner interface {
		SetAllow([]workers.EgressRule)
	}
)

// Reload applies what of now may change while the platform runs, and returns
// the keys whose change waits for a restart. The configuration is valid: Load
// made it.
func (s *Server) Reload(ctx context.Context, now *config.Config) (waiting []string) {
	was := s.cfg.Load()
	next := *was
	for _, o := range config.Changed(was, now) {
		if !o.Reload || !s.tunable(o.Key) {
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
	s.edge.SetTrustedProxies(next.TrustedProxies)
	if w, ok := any(s.workers).(workersTuner); ok {
		w.SetLimits(next.IdleStop, next.MaxProcesses)
	}
	if b, ok := any(s.bindings).(bindingsTuner); ok {
		b.SetAllow(egressRules(&next))
	}
	return waiting
}

// tunable reports whether the part that an option is for takes a change while
// it runs.
func (s *Server) tunable(key string) (ok bool) {
	switch key {
	case "idle_stop", "max_processes":
		_, ok = any(s.workers).(workersTuner)
	case "egress_allow":
		_, ok = any(s.bindings).(bindingsTuner)
	default:
		ok = true
	}
	return ok
}
