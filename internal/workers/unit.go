package workers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	// How long a replaced process goes on accepting, for
	// requests that looked up their route just before the switch.
	switchDelay = 100 * time.Millisecond
	// The longest restart delay that a request waits for; with a
	// longer one it is answered with an error at once.
	patience = 500 * time.Millisecond
)

// unit is a version that can run. It lives in memory as long as a cached route,
// a request or a process refers to it, and is read again after that.
type unit struct {
	s         *Service
	scope     scope
	version   string
	createdAt time.Time
	doc       *document
	site      *assets.Site

	current atomic.Pointer[Instance]    // the process that accepts requests
	more    atomic.Pointer[[]*Instance] // those beside it, of a hot version; see siblings.go
	next    atomic.Pointer[unit]        // see follow
	planned atomic.Pointer[objectPlan]  // until the version is saved

	mu        sync.Mutex
	starting  *startCall
	dead      bool // deleted, or an upload that was refused: starts nothing
	replaced  bool // by a deployment of another version; previews may still run it
	retiring  bool // its process goes after switchDelay
	stale     bool // the process that is starting is to be replaced at once
	backoff   supervise.Backoff
	notBefore time.Time
	failure   error // why the process last failed
	load      load

	entrypoints []string // that the version exports; nil until it is known
}

// startCall is one start that any number of requests wait for.
type startCall struct {
	done chan struct{}
	err  error
	live bool // for the script's own hostname, not for a preview or a deployment
}

func (s *Service) newUnit(sc scope, version string, createdAt time.Time, doc *document) (*unit, error) {
	u := &unit{
		s: s, scope: sc, version: version, createdAt: createdAt, doc: doc,
		backoff: supervise.Backoff{Min: 200 * time.Millisecond, Max: 30 * time.Second, Factor: 2, Jitter: 0.2, Healthy: 10 * time.Second},
	}
	if doc.Entrypoints != nil {
		u.entrypoints = *doc.Entrypoints
	}
	if doc.Assets == nil {
		return u, nil
	}
	manifest, err := s.siteManifest(doc.Assets.Manifest)
	if err != nil {
		return nil, fmt.Errorf("workers: version %s: %w", version, err)
	}
	if u.site, err = assets.New(manifest, doc.Assets.Config, s.o.Files, assets.WithCache(s.files), assets.WithRuleLimits(s.o.RuleLimits)); err != nil {
		return nil, fmt.Errorf("workers: assets of version %s: %w", version, err)
	}
	return u, nil
}

// known returns the unit of a version if it is in memory.
func (s *Service) known(version string) *unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.units[version].Value()
}

// register makes the unit the one of its version.
func (s *Service) register(u *unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units[u.version] = weak.Make(u)
}

// unitOf returns the unit of a version, reading it if need be.
func (s *Service) unitOf(ctx context.Context, version string) (*unit, error) {
	if u := s.known(version); u != nil {
		return u, nil
	}
	ctx = context.WithoutCancel(ctx) // the result is shared
	v, err, _ := s.load.Do(version, func() (any, error) {
		if u := s.known(version); u != nil {
			return u, nil
		}
		var sc scope
		row, err := scanVersion(s.db().QueryRowContext(ctx, `SELECT `+versionColumns+`, s.account_id, s.name FROM versions v JOIN scripts s ON s.id = v.script_id WHERE v.id = ?`, version), &sc.account, &sc.script)
		if err != nil {
			return nil, fmt.Errorf("workers: read version %s: %w", version, err)
		}
		u, err := s.newUnit(sc, row.id, row.createdAt, &row.doc)
		if err != nil {
			return nil, err
		}
		s.register(u)
		return u, nil
	})
	if err != nil {
		return nil, err
	}
	u, ok := v.(*unit)
	if !ok {
		return nil, fmt.Errorf("workers: version %s was loaded as %T", version, v)
	}
	return u, nil
}

// acquire returns a process that counts the caller's request, starting one if
// there is none. Concurrent callers wait for the same start.
// With live, the script's own hostname led here.
func (u *unit) acquire(ctx context.Context, live bool) (*Instance, error) { //nolint:revive // the two ways to a version
	for {
		if live {
			u = u.led()
		}
		if in := u.pick(); in != nil && in.acquire() {
			return in, nil
		}
		call, err := u.start(ctx, live)
		if err != nil {
			return nil, err
		}
		if call == nil {
			continue // a process came up meanwhile
		}
		select {
		case <-call.done:
			if call.err != nil {
				return nil, call.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// start joins the start that is under way or begins one. Both results are nil
// when there is a process already.
func (u *unit) start(ctx context.Context, live bool) (*startCall, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.starting != nil {
		return u.starting, nil
	}
	if in := u.current.Load(); in != nil {
		if _, closing := in.inFlight(); !closing {
			return nil, nil // documented above
		}
		u.current.CompareAndSwap(in, nil)
	}
	if u.dead {
		return nil, ErrNoRoute
	}
	if u.s.closed.Load() {
		return nil, ErrClosed
	}
	wait := time.Until(u.notBefore)
	if wait > patience {
		return nil, &Error{
			Code: CodeCrashed, Status: 503, Err: u.failure,
			Message: fmt.Sprintf("The Worker's process keeps ending; it is tried again in %s. Its log says why.", wait.Round(100*time.Millisecond)),
		}
	}
	call := &startCall{done: make(chan struct{}), live: live}
	u.starting = call
	u.s.mu.Lock()
	closed := u.s.closed.Load() // Close waits for what is counted before it
	if !closed {
		u.s.wg.Add(1)
	}
	u.s.mu.Unlock()
	if closed {
		u.starting = nil
		return nil, ErrClosed
	}
	go u.runStart(context.WithoutCancel(ctx), call, wait)
	return call, nil
}

// runStart starts the process on behalf of all who wait for call; no single
// one of them can cancel it.
func (u *unit) runStart(ctx context.Context, call *startCall, wait time.Duration) {
	s := u.s
	defer s.wg.Done()
	ctx, cancel := context.WithTimeout(ctx, s.o.StartTimeout+s.handoverBound())
	defer cancel()
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-finished:
		}
	}()
	if wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
	in, err := s.startProcess(ctx, u)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.starting = nil
	defer func() { u.stale = false }()
	if err == nil {
		u.current.Store(in)
		if u.dead || u.stale || s.closed.Load() {
			in.close()
		}
		if u.replaced && call.live {
			u.retireCurrent() // a request that looked up its route long before the switch
		}
	} else {
		u.failed(err, 0)
		call.err = u.startError(err)
	}
	close(call.done)
}

// startProcess claims the objects that the process is to have open, which may
// take as long as the host before it takes to end, and starts the process.
func (s *Service) startProcess(ctx context.Context, u *unit) (*Instance, error) {
	claim, err := s.claimObjects(ctx, u)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.StartTimeout)
	defer cancel()
	in, err := s.launch(ctx, u, claim)
	if err != nil {
		claim.release()
	}
	return in, err
}

// startError is what those who wait for a start get.
func (u *unit) startError(err error) error {
	var public *Error
	var script *workerd.StartError
	switch {
	case u.s.closed.Load():
		return ErrClosed
	case errors.As(err, &public):
		return public
	case errors.As(err, &script):
		return &Error{Code: CodeCrashed, Status: 503, Message: "The Worker failed to start. Its log says why.", Err: err}
	}
	return &Error{Code: CodeCrashed, Status: 503, Message: "The Worker's process could not be started. Try again; the platform's log has the cause.", Err: err}
}

// failed notes that the process ended or did not start. The first failure after
// a healthy time is made good at once. The caller holds u.mu.
func (u *unit) failed(err error, uptime time.Duration) {
	delay := u.backoff.Next(uptime, rand.Float64()) //nolint:gosec // spreads restarts, guards nothing
	if u.backoff.Failures() <= 1 {
		delay = 0
	}
	u.notBefore = time.Now().Add(delay)
	u.failure = err
}

// crashed notes that a process ended unasked. One that answered requests was
// not a failed start, however young it was: the next request gets another.
func (u *unit) crashed(in *Instance) {
	inFlight, _ := in.inFlight()
	u.mu.Lock()
	defer u.mu.Unlock()
	if in.requests.Load() > inFlight {
		u.backoff.Reset()
	}
	u.failed(in.proc.Err(), time.Since(in.started))
}

// revive takes a retirement back, for a version that is deployed again.
func (u *unit) revive() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.replaced, u.retiring = false, false
	u.notBefore = time.Time{} // a deployment is a person's decision to try
}

// retire stops the process of a version that was replaced, a little later.
func (u *unit) retire() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.replaced = true
	u.retireCurrent()
}

// retireCurrent is retire with u.mu held.
func (u *unit) retireCurrent() {
	if u.retiring || u.current.Load() == nil {
		return
	}
	u.retiring = true
	time.AfterFunc(switchDelay, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if !u.retiring {
			return // deployed again
		}
		u.retiring = false
		u.closeAll()
	})
}

// discard ends the unit for good: what runs drains, nothing starts.
func (u *unit) discard() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dead = true
	u.closeAll()
}
