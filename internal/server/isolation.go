package server

import (
	"context"
	"errors"
	"strings"

	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// Isolation finds out what keeps workers apart on this machine. Without a helper,
// which only a test is, nothing does.
func Isolation(ctx context.Context, helper string) (*supervise.Isolation, error) {
	if helper == "" {
		return &supervise.Isolation{Layers: []supervise.Layer{{
			Name: "isolation", Detail: "this program cannot confine processes", Remedy: "run the selvage command",
		}}}, nil
	}
	return supervise.Probe(ctx, helper)
}

// Yields reports whether a worker that computes without a pause can be told to
// leave the processor to others, see [supervise.CanBackground].
func Yields() bool { return supervise.CanBackground() }

// openIsolation decides how worker processes are confined.
func (s *Server) openIsolation(ctx context.Context) error {
	found, err := Isolation(ctx, s.o.Helper)
	if err != nil {
		return err
	}
	s.isolation = found
	missing := strings.Join(found.Missing(), "; ")
	switch {
	case found.Confined():
		if missing != "" {
			s.log.WarnContext(ctx, "some layers of the workers' isolation do not hold", "missing", missing)
		}
	case s.cfg.Load().Isolation == config.IsolationRequire:
		return errors.New("workers cannot be kept apart on this machine, and isolation = require: " + missing + `; "selvage doctor" says what to do`)
	case s.o.Helper != "":
		s.log.WarnContext(ctx, `workers are not isolated from one another: run only workers you trust; "selvage doctor" says what to do`, "missing", missing)
	}
	return nil
}

// isolationStatus is what the status shows of it.
func (s *Server) isolationStatus() []api.Layer {
	out := make([]api.Layer, len(s.isolation.Layers))
	for i, l := range s.isolation.Layers {
		out[i] = api.Layer{Name: l.Name, Holds: l.Holds, Detail: l.Detail, Remedy: l.Remedy}
	}
	return out
}
