package instances

import (
	"context"
	"errors"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// steady is how long an instance without checks must run to count as healthy.
const steady = 2 * time.Second

// Prove starts an instance of an application that serves nobody, waits until its
// checks say that it is healthy, and ends it. Without checks it must run for a
// moment. The error says what it lacked; the context bounds the waiting.
func (s *Service) Prove(ctx context.Context, account string, app Application) error {
	if err := s.Unavailable(); err != nil {
		return err
	}
	img, err := s.prepare(ctx, account, app.Image)
	if err != nil {
		return err
	}
	o := &Owner{s: s, account: account, script: app.Name, byName: make(map[string]*Instance), byID: make(map[string]*Instance)}
	in := newInstance(o, app, img, app.Image, Request{Name: "proof"})
	if err := in.Start(ctx, noNetwork{}); err != nil {
		return err
	}
	err = in.healthyOnce(ctx)
	return errors.Join(err, in.Remove(context.WithoutCancel(ctx)))
}

// healthyOnce waits until the instance is healthy.
func (in *Instance) healthyOnce(ctx context.Context) error {
	if in.checks() == nil {
		t := time.NewTimer(steady)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-in.done:
			return in.whyEnded()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for {
		state, reason, changed := in.health.get()
		switch state {
		case Healthy:
			return nil
		case Unhealthy:
			return Fail(CodeUnavailable, "the container does not become healthy: %s", reason)
		case Starting:
		}
		select {
		case <-changed:
		case <-in.done:
			return in.whyEnded()
		case <-ctx.Done():
			return &Error{Code: CodeUnavailable, Message: "the container does not become healthy in time: " + reason, Err: context.Cause(ctx)}
		}
	}
}

func (in *Instance) whyEnded() error {
	s := in.State()
	if s.Reason != "" {
		return Fail(CodeStart, "the container ended with exit code %d: %s", s.ExitCode, s.Reason)
	}
	return Fail(CodeStart, "the container ended with exit code %d", s.ExitCode)
}

// noNetwork connects a container to nothing.
type noNetwork struct{}

// Attach implements [Network].
func (noNetwork) Attach(context.Context, driver.Container) error { return nil }

// Nameserver implements [Network].
func (noNetwork) Nameserver() string { return "" }
