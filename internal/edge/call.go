package edge

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/edge/wire"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/upstream"
)

// call is one request on its way through the edge. Calls are used again.
type call struct {
	s      *Server
	w      wire.ResponseWriter
	r      *wire.Request
	ray    string
	host   string // as looked up
	client client
	target Target
	count  *counters

	status   int
	outcome  string // of the worker, if one was asked
	bytesIn  int64
	bytesOut int64

	// Of the exchange with the worker.
	inst   Instance
	sent   time.Time
	up     *upstream.Conn
	head   http1.ResponseHead
	chunks http1.Chunked
	cause  atomic.Uint32
	feed   *feed            // nil unless a body is streamed
	watch  *tail.Invocation // nil unless somebody watches the script

	cache  cacheTry
	asset  assets.Request
	header func(name string) string // requestHeader, made once
	added  []wire.Field             // scratch for a response's own fields
	event  telemetry.Event
	ctx    context.Context //nolint:containedctx // the server's, for the time of the call
}

// ServeRequest implements [wire.Handler].
func (s *Server) ServeRequest(ctx context.Context, w wire.ResponseWriter, r *wire.Request) {
	c := s.call(w, r)
	c.ctx = ctx
	c.count.inFlight.Add(1)
	defer c.end()
	c.serve() //nolint:contextcheck // that of a WebSocket is the process's
}

// RejectRequest implements [wire.Handler].
func (s *Server) RejectRequest(w wire.ResponseWriter, r *wire.Request, why wire.Fault) {
	c := s.call(w, r)
	c.count.inFlight.Add(1)
	defer c.end()
	c.client = s.clientOf(r)
	if r.Host != "" {
		c.host = r.Peer.HostKey(r.Host)
	}
	c.fault(why)
}

func (s *Server) call(w wire.ResponseWriter, r *wire.Request) *call {
	c, ok := s.calls.Get().(*call)
	if !ok {
		c = &call{s: s}
		c.header = c.requestHeader
	}
	c.w, c.r = w, r
	c.ray = telemetry.NewRay()
	c.count = s.metrics.shard(r.Peer.Seq)
	return c
}

// serve decides who answers.
func (c *call) serve() {
	r := c.r
	c.client = c.s.clientOf(r)
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		c.page(problemMethod(r.Method))
		return
	}
	if r.Host == "" {
		c.page(problemNoHost())
		return
	}
	c.host = r.Peer.HostKey(r.Host)
	if c.s.tls != nil && c.beforeTLS() {
		return
	}
	target, err := c.find()
	switch {
	case errors.Is(err, ErrNoRoute):
		c.page(problemUnknownHost(c.host))
		return
	case errors.Is(err, ErrNoPath):
		c.page(problemNoPath())
		return
	case err != nil:
		c.blame("look up the host", err)
		c.page(problemInternal())
		return
	}
	c.target = target
	switch {
	case target.Site != nil && c.serveAsset():
	case target.Cache != nil && target.Worker != nil && c.serveCached():
	case target.Worker != nil:
		c.proxy()
	default:
		c.page(problemNothingThere())
	}
}

// find says which version answers the request.
func (c *call) find() (Target, error) {
	r := c.r
	target, err := c.s.workers.Lookup(c.ctx, c.host)
	if err == nil && target.Paths != nil {
		target, err = target.Paths.ByURL(c.ctx, URL{Scheme: c.client.scheme, Host: c.host, Target: r.Target, Inside: r.Peer.Inside})
	}
	if err == nil && target.Shares != nil {
		target = target.Shares.Pick(r.Field(wire.VersionKey), c.versionOverride(target.Script))
	}
	return target, err
}

// end accounts for the request and gives the call back.
func (c *call) end() {
	took := time.Since(c.r.Start)
	c.count.inFlight.Add(-1)
	c.count.observe(c.status, took, c.bytesIn, c.bytesOut)
	e := &c.event
	*e = telemetry.Event{
		Time: c.r.Start, Kind: telemetry.KindAccess, Ray: c.ray,
		Account: c.target.Account, Script: c.target.Script, Version: c.target.Version,
		Method: c.r.Method, Host: c.host, Status: c.status,
		DurationUS: took.Microseconds(), BytesOut: c.bytesOut, ClientIP: c.client.ip, Outcome: c.outcome,
	}
	e.Path, _ = c.r.Path()
	c.s.logs.Append(e)
	if c.watch != nil {
		c.endWatch()
	}

	c.w, c.r, c.inst, c.up, c.feed, c.ctx = nil, nil, nil, nil, nil, nil
	c.ray, c.host, c.outcome, c.client, c.target = "", "", "", client{}, Target{}
	c.status, c.bytesIn, c.bytesOut = 0, 0, 0
	c.cause.Store(0)
	c.asset = assets.Request{}
	c.cache.reset()
	c.s.calls.Put(c)
}

// blame writes the cause of a failure where an operator finds it by its ray. The
// visitor is not told.
func (c *call) blame(operation string, err error) {
	c.s.logs.Append(&telemetry.Event{
		Time: time.Now(), Kind: telemetry.KindPlatform, Level: telemetry.LevelError, Ray: c.ray,
		Account: c.target.Account, Script: c.target.Script, Version: c.target.Version,
		Message: operation + ": " + err.Error(), Host: c.host,
	})
}

// writeHead starts the response.
func (c *call) writeHead(status int, fields []wire.Field, length int64) {
	c.status = status
	if c.s.tls != nil {
		fields = c.strictTransport(fields)
	}
	c.w.WriteHead(status, fields, length)
}
