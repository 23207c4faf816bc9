package workers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const (
	// The number maxCyclic bounds the calls of one script to another that are under way at a
	// time, when the other's bindings lead back. A loop of calls ends by its depth,
	// which processes count themselves: this is for those that count wrong.
	maxCyclic = 4096
	// The number maxCalls bounds them otherwise.
	maxCalls = 1 << 16
	// The number endpointTries is how often a call finds that the process it got was
	// replaced meanwhile, before it gives up.
	endpointTries = 5
)

// errDepth is what a call in a loop of calls ends with; the original says the same.
func errDepth() error {
	return fail(CodeDepth, 508, "Subrequest depth limit exceeded. This request recursed through Workers too many times. This can happen e.g. if you have a Worker or Durable Object that calls other Workers or objects recursively.")
}

// endpoint is what a service binding names of a script.
type endpoint struct {
	entrypoint string // "" is the default export
	props      string // JSON; "" is {}
}

// socket is the file name of the socket that leads to the endpoint, on the side
// of the process that is called.
func (e endpoint) socket() string {
	if e == (endpoint{}) {
		return "rpc.sock"
	}
	h := sha256.Sum256([]byte(e.entrypoint + "\x00" + e.props))
	return "rpc-" + hex.EncodeToString(h[:8]) + ".sock"
}

// Callee is the far end of a service binding: the live deployment of another
// script. Its methods are safe for concurrent use.
type Callee struct {
	s        *Service
	from, to scope
	endpoint endpoint
	edge     *edge

	// Of a callee that is the objects of a namespace, wherever they are open.
	namespace string
	host      *objectHost
}

// Script returns the name of the script that is called.
func (c *Callee) Script() string { return c.to.script }

// Account returns the account of the script.
func (c *Callee) Account() string { return c.to.account }

// Entrypoint returns the export that is called; "" is the default one.
func (c *Callee) Entrypoint() string { return c.endpoint.entrypoint }

// Choose returns the id of the version that the next call goes to, by the shares
// of a gradual deployment; "" when there is none.
func (c *Callee) Choose(ctx context.Context) string {
	if c.namespace != "" {
		version, err := c.host.of(ctx, c.s, c.to.account, c.namespace)
		if err != nil {
			c.s.log.ErrorContext(ctx, "the host of Durable Objects is not known", "namespace", c.namespace, "error", err)
		}
		return version
	}
	l, err := c.s.services.liveOf(ctx, c.s, c.to)
	if err != nil {
		return "" // Acquire says why
	}
	return l.route.Pick("", "").Version
}

// Begin counts a call in, unless too many are under way: End counts it out.
func (c *Callee) Begin(ctx context.Context) error {
	limit := int64(maxCalls)
	if c.namespace != "" {
		limit = maxObjectCalls
	} else if l, err := c.s.services.liveOf(ctx, c.s, c.to); err == nil && l.reaches[c.from] {
		limit = maxCyclic
	}
	if c.edge.calls.Add(1) > limit {
		c.edge.calls.Add(-1)
		return errDepth()
	}
	return nil
}

// End is the end of a call that Begin let in.
func (c *Callee) End() { c.edge.calls.Add(-1) }

// Site returns the static assets of a version, nil when there are none, and
// whether there is a worker behind them.
func (c *Callee) Site(ctx context.Context, version string) (site *assets.Site, code bool, err error) {
	if c.namespace != "" {
		return nil, true, nil
	}
	r, err := c.route(ctx, version)
	if err != nil {
		return nil, false, err
	}
	if c.endpoint.entrypoint != "" {
		return nil, r.Code, nil
	}
	return r.Site, r.Code, nil
}

func (c *Callee) route(ctx context.Context, version string) (*Route, error) {
	if version == "" {
		if _, err := c.s.services.liveOf(ctx, c.s, c.to); err != nil && !errors.Is(err, ErrNoRoute) {
			return nil, internal("look up the Worker that is bound", err)
		}
		return nil, c.gone()
	}
	r, err := c.s.routeOf(ctx, version)
	if errors.Is(err, ErrNoRoute) {
		return nil, c.gone()
	}
	return r, err
}

func (c *Callee) gone() error {
	return fail(CodeNotFound, 404, "The Worker %q, to which this binding leads, has no deployment. Deploy it.", c.to.script)
}

// Acquire returns a process of a version that has the endpoint, started if need
// be. The caller Releases it once. Errors are an *Error, [ErrClosed] and ctx's cause.
func (c *Callee) Acquire(ctx context.Context, version string) (*Endpoint, error) {
	if c.namespace != "" {
		return c.acquireHost(ctx, version)
	}
	r, err := c.route(ctx, version)
	if err != nil {
		return nil, err
	}
	if !r.Code {
		return nil, fail(CodeNotFound, 404, "The Worker %q has static assets only, nothing to call.", c.to.script)
	}
	for range endpointTries {
		in, err := r.unit.acquire(ctx, true)
		if errors.Is(err, ErrNoRoute) {
			return nil, c.gone()
		}
		if err != nil {
			return nil, err
		}
		if slices.Contains(in.endpoints, c.endpoint) {
			return &Endpoint{in: in, path: filepath.Join(in.dir, c.endpoint.socket())}, nil
		}
		has := in.u.hasEntrypoint(c.endpoint.entrypoint)
		in.Release()
		if !has {
			return nil, fail(CodeNotFound, 404, "The Worker %q has no entrypoint %q. Export a class of that name that extends WorkerEntrypoint.", c.to.script, c.endpoint.entrypoint)
		}
		// A process makes its sockets at its start: the next one will have this.
		in.u.replaceProcess(in)
	}
	return nil, fail(CodeBusy, 503, "The Worker %q was replaced again and again while it was called. Try again.", c.to.script)
}

// Endpoint is a process as one of its service bindings sees it, acquired.
type Endpoint struct {
	in   *Instance
	path string
}

// Acquire counts another call in; false when the process takes none any more.
func (e *Endpoint) Acquire() bool { return e.in.acquire() }

// Release ends one call.
func (e *Endpoint) Release() { e.in.Release() }

// Stopping is closed once Acquire will not succeed any more.
func (e *Endpoint) Stopping() <-chan struct{} { return e.in.stop }

// Meter implements the interface of package tail.
func (e *Endpoint) Meter() (cpu time.Duration, running int64) { return e.in.Meter() }

// Name is different for each process and endpoint.
func (e *Endpoint) Name() string { return filepath.Base(e.in.dir) + "." + filepath.Base(e.path) }

// Dial connects to the endpoint's socket.
func (e *Endpoint) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", e.path)
}

// hasEntrypoint reports whether the version exports it; the default one always does, in
// the sense that the runtime says so itself when it is called.
func (u *unit) hasEntrypoint(name string) bool {
	if name == "" {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Contains(u.entrypoints, name)
}

// replaceProcess replaces the process unless another has taken its place.
func (u *unit) replaceProcess(in *Instance) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current.CompareAndSwap(in, nil) {
		in.close()
		return
	}
	if others := u.others(); slices.Contains(others, in) {
		u.setMore(slices.DeleteFunc(slices.Clone(others), func(m *Instance) bool { return m == in }))
		in.close()
	}
}

// sockets returns the endpoints on which a process of the unit is to be called:
// the default one, and those that running callers name and the version exports.
func (u *unit) sockets() (list []endpoint, sockets []workerd.Socket) {
	list = []endpoint{{}}
	wanted := u.s.services.wantedOf(u.scope)
	u.mu.Lock()
	for _, e := range wanted {
		if e.entrypoint == "" || slices.Contains(u.entrypoints, e.entrypoint) {
			list = append(list, e)
		}
	}
	u.mu.Unlock()
	for _, e := range list {
		sockets = append(sockets, workerd.Socket{File: e.socket(), Entrypoint: e.entrypoint, Props: e.props})
	}
	return list, sockets
}

// lacks reports whether running callers name an endpoint that the version has
// and the process has not.
func (in *Instance) lacks() bool {
	list, _ := in.u.sockets()
	return slices.ContainsFunc(list, func(e endpoint) bool { return !slices.Contains(in.endpoints, e) })
}

// exported returns the entrypoints that the version exports, nil until they are known.
func (u *unit) exported() *[]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.entrypoints == nil {
		return nil
	}
	list := slices.Clone(u.entrypoints)
	return &list
}

// startCallable starts a process with sockets for those who call it, and notes
// what it exports.
func (s *Service) startCallable(ctx context.Context, dir string, w *workerd.Worker, u *unit) (Process, []endpoint, error) {
	endpoints, sockets := u.sockets()
	others := w.Sockets
	w.Sockets = slices.Concat(others, sockets)
	proc, err := s.o.Runtime.Start(ctx, dir, w, s.lineWriter(u))
	if err != nil && len(sockets) > 1 && ctx.Err() == nil {
		// A name that is no entrypoint after all ends the runtime at its start. A
		// caller must not be able to do that to the one it calls.
		endpoints, w.Sockets = endpoints[:1], slices.Concat(others, sockets[:1])
		proc, err = s.o.Runtime.Start(ctx, dir, w, s.lineWriter(u))
	}
	if err != nil {
		return nil, nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.entrypoints = slices.Concat([]string{}, proc.Entrypoints())
	return proc, endpoints, nil
}
