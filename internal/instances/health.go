package instances

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

// HealthState is what the checks of an instance say.
type HealthState string

// What checks say. An instance without checks is healthy as soon as it runs.
const (
	Starting  HealthState = "starting"
	Healthy   HealthState = "healthy"
	Unhealthy HealthState = "unhealthy"
)

// Docker's defaults of a HEALTHCHECK.
const (
	healthInterval = 30 * time.Second
	healthTimeout  = 30 * time.Second
	healthRetries  = 3

	// Until the first success it is checked so often: who waits for a start does not
	// wait for an interval.
	healthEarly = 100 * time.Millisecond

	// Exit codes of a shell that finds no command, or cannot run it.
	cannotRun, notFound = 126, 127
)

// errUnhealthy is the reason of a check that got an answer which says no.
var errUnhealthy = errors.New("the check says that it is not healthy")

// checks returns what is to be checked, with the times filled in; nil for nothing.
func (in *Instance) checks() *Health {
	h := in.app.Health
	if own := in.image.config.Config.Healthcheck; len(h.Command) == 0 && h.Path == "" && own != nil && len(own.Test) > 0 {
		h = Health{Command: own.Test, Interval: own.Interval, Timeout: own.Timeout, StartPeriod: own.StartPeriod, Retries: own.Retries}
	}
	if h.Path == "" && (len(h.Command) < 2 || h.Command[0] == "NONE") {
		return nil
	}
	h.Interval = cmp.Or(h.Interval, healthInterval)
	h.Timeout = cmp.Or(h.Timeout, healthTimeout)
	h.Retries = cmp.Or(h.Retries, healthRetries)
	return &h
}

// health is what is known of an instance's health. The zero value is of one without
// checks.
type health struct {
	mu      sync.Mutex
	checked bool
	state   HealthState
	reason  string
	changed chan struct{} // closed at the next change
}

func (h *health) set(state HealthState, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checked && h.state == state {
		h.reason = reason
		return
	}
	if h.changed != nil {
		close(h.changed)
	}
	h.checked, h.state, h.reason, h.changed = true, state, reason, make(chan struct{})
}

func (h *health) get() (state HealthState, reason string, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.checked {
		return Healthy, "", nil
	}
	return h.state, h.reason, h.changed
}

// Health returns what the checks say, and why.
func (in *Instance) Health() (HealthState, string) {
	state, reason, _ := in.health.get()
	return state, reason
}

// keepChecking runs the checks until the instance has ended.
func (in *Instance) keepChecking(h *Health) {
	c, since, err := in.Container()
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-in.done
		cancel()
	}()
	failures, passed := 0, false
	for {
		err := check(ctx, c, h)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil:
			failures, passed = 0, true
			in.health.set(Healthy, "")
		case !passed && time.Since(since) < max(h.StartPeriod, time.Duration(h.Retries)*healthEarly):
			in.health.set(Starting, err.Error())
		default:
			if failures++; failures >= h.Retries {
				in.health.set(Unhealthy, err.Error())
			}
		}
		pause := h.Interval
		if state, _ := in.Health(); !passed && state == Starting {
			pause = min(pause, healthEarly)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// check runs each check once.
func check(ctx context.Context, c driver.Container, h *Health) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if h.Path != "" {
		if err := checkHTTP(ctx, c, h); err != nil {
			return err
		}
	}
	if len(h.Command) < 2 {
		return nil
	}
	args := h.Command[1:]
	if h.Command[0] == "CMD-SHELL" {
		args = slices.Concat([]string{"/bin/sh", "-c"}, args)
	}
	p, err := c.Exec(ctx, driver.ExecSpec{Args: args})
	if err != nil {
		return fmt.Errorf("the check cannot be run: %w", err)
	}
	code, err := p.Wait(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("the check took longer than %s", h.Timeout)
	case code == cannotRun || code == notFound:
		return fmt.Errorf("the image does not have what its check runs: %.100q", args[0])
	case code != 0:
		return fmt.Errorf("%w: exit code %d", errUnhealthy, code)
	}
	return nil
}

func checkHTTP(ctx context.Context, c driver.Container, h *Health) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(h.Port))
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = c.Network().Do(func() error {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp4", address)
			return err
		})
		return conn, err
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+h.Path, nil)
	if err != nil {
		return fmt.Errorf("the check's path is no path: %w", err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("port %d does not answer GET %.100s: %w", h.Port, h.Path, err)
	}
	defer func() { _ = res.Body.Close() }()
	const enough = 64 << 10
	_, _ = io.CopyN(io.Discard, res.Body, enough) // what it says does not matter
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%w: GET %.100s gave %d", errUnhealthy, h.Path, res.StatusCode)
	}
	return nil
}

// Admit returns nil when requests may go to the instance: when it is healthy, or
// becomes so within wait. It counts those who wait, of which there may be so many.
func (in *Instance) Admit(ctx context.Context, wait time.Duration) error {
	state, reason, changed := in.health.get()
	if state == Healthy {
		return in.unbroken()
	}
	if state == Starting {
		if in.waiting.Add(1) > maxWaiting {
			in.waiting.Add(-1)
			return Fail(CodeUnavailable, "the container is starting, and %d requests wait for it already", maxWaiting)
		}
		defer in.waiting.Add(-1)
		t := time.NewTimer(wait)
		defer t.Stop()
		for state == Starting {
			select {
			case <-changed:
			case <-in.done:
				return Fail(CodeNotRunning, "the container has ended")
			case <-t.C:
				return Fail(CodeUnavailable, "the container is not healthy yet: %s", reason)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			state, reason, changed = in.health.get()
		}
	}
	if state == Unhealthy {
		return Fail(CodeUnavailable, "the container is not healthy: %s", reason)
	}
	return in.unbroken()
}

// maxWaiting bounds the requests that wait for one instance.
const maxWaiting = 1000
