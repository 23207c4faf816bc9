package server

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"time"
)

// sweepEvery is how often what nothing refers to any more is looked for.
const sweepEvery = time.Hour

// answerTimeout bounds the check that the listeners take connections.
const answerTimeout = 5 * time.Second

// housekeeping sweeps at the start and then hourly, and measures the request rate.
func (s *Server) housekeeping(ctx context.Context) {
	rate, sweep, expired := time.NewTicker(rateEvery), time.NewTicker(sweepEvery), time.NewTicker(cacheSweepEvery)
	defer rate.Stop()
	defer expired.Stop()
	defer sweep.Stop()
	s.rate.tick(time.Now())
	s.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-rate.C:
			s.rate.tick(now)
		case <-sweep.C:
			s.sweep(ctx)
		case <-expired.C:
			s.cache.Sweep()
		}
	}
}

func (s *Server) sweep(ctx context.Context) {
	swept, err := s.workers.Sweep(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.WarnContext(ctx, "sweep failed; it is tried again in an hour", "error", err)
	default:
		s.log.DebugContext(ctx, "swept", "sessions", swept.Sessions, "assets", swept.Assets, "blobs", swept.Blobs)
	}
	s.sweepImages(ctx)
	s.sweepInstances(ctx)
	s.sweepKV(ctx)
	s.sweepSites(ctx)
	s.sweepBuilds(ctx)
	// It has looked at all that is kept. That goes back to the system, so that memory does not tell how much it was.
	debug.FreeOSMemory()
}

// answers dials each listener once, as a client would.
func (s *Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var d net.Dialer
	for _, ln := range []net.Listener{s.edgeListener, s.apiListener} {
		c, err := d.DialContext(ctx, "tcp", reachable(ln.Addr()))
		if err != nil {
			return fmt.Errorf("ask %s whether it answers: %w", ln.Addr(), err)
		}
		if err := c.Close(); err != nil {
			return fmt.Errorf("ask %s whether it answers: %w", ln.Addr(), err)
		}
	}
	return nil
}
