package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// sweepEvery is how often what nothing refers to any more is looked for.
const sweepEvery = time.Hour

// housekeeping sweeps at the start and then hourly, and measures the request rate.
func (s *Server) housekeeping(ctx context.Context) {
	rate, sweep := time.NewTicker(rateEvery), time.NewTicker(sweepEvery)
	defer rate.Stop()
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
}

// answers asks each listener once, as a client would.
func (s *Server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info := s.info()
	transport := &http.Transport{
		DisableKeepAlives: true,
		//nolint:gosec // asks its own listener, whose certificate is for another name
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	defer transport.CloseIdleConnections()
	for _, target := range []string{info.EdgeURL + "/", info.APIURL + "/healthz"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, target, nil)
		if err != nil {
			return fmt.Errorf("ask %s whether it answers: %w", target, err)
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("ask %s whether it answers: %w", target, err)
		}
		if err := res.Body.Close(); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("ask %s whether it answers: %w", target, err)
		}
	}
	return nil
}
