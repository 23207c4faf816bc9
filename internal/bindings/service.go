package bindings

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/rpcrelay"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// The time serviceIdle is shorter than the 15 seconds after which the runtime closes a
// connection: a request never meets one that is being closed.
const serviceIdle = 5 * time.Second

// serviceHandler answers one service binding of a running version. Methods are
// called over Cap'n Proto RPC, which begins with a CONNECT and is relayed to
// whichever process serves; fetch() comes as plain HTTP.
type serviceHandler struct {
	callee *workers.Callee
	log    *slog.Logger
	server *Server
	pool   *http.Transport
	proxy  *httputil.ReverseProxy
}

// listenServices opens a version's service bindings.
func (s *Server) listenServices(ctx context.Context, d *door, dir string, list []workers.ServiceDoor, log *slog.Logger) error {
	for _, v := range list {
		h := newServiceHandler(s, v.Callee, log)
		d.onClose = append(d.onClose, h.close)
		if err := d.listen(ctx, filepath.Join(dir, v.Socket), s.httpServer(h)); err != nil {
			return err
		}
	}
	return nil
}

func newServiceHandler(s *Server, callee *workers.Callee, log *slog.Logger) *serviceHandler {
	h := &serviceHandler{callee: callee, server: s, log: log.With("service", callee.Script())}
	h.pool = &http.Transport{
		DisableCompression:     true,
		IdleConnTimeout:        serviceIdle,
		MaxIdleConns:           s.o.Limits.MaxIdle,
		MaxIdleConnsPerHost:    s.o.Limits.MaxIdle,
		MaxResponseHeaderBytes: s.o.Limits.ResponseHeaderBytes,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return callOf(ctx).endpoint.Dial(ctx)
		},
	}
	h.proxy = &httputil.ReverseProxy{
		Rewrite:        rewriteService,
		Transport:      h.pool,
		FlushInterval:  -1,
		ErrorLog:       slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		BufferPool:     &s.buffers,
		ErrorHandler:   h.failed,
		ModifyResponse: cleanAnswer,
	}
	return h
}

func (h *serviceHandler) close() { h.pool.CloseIdleConnections() }

func (h *serviceHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect && r.Host == workerd.ConnectHost:
		h.rpc(w, r)
	case r.Method == http.MethodConnect:
		h.refuse(w, http.StatusNotImplemented, "service-connect", "connect() to a service binding is not offered; use fetch() or call a method")
	case !originForm(r):
		h.refuse(w, http.StatusBadRequest, "service-invalid", errNotOriginForm.Error())
	default:
		h.fetch(w, r)
	}
}

// rpc relays the calls of methods until the process hangs up.
func (h *serviceHandler) rpc(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.log.ErrorContext(r.Context(), "RPC connection of a worker could not be taken over", "error", err)
		return
	}
	early, err := buffered.Peek(buffered.Reader.Buffered())
	if err != nil {
		hangUp(conn)
		return
	}
	err = rpcrelay.Serve(r.Context(), conn, early, rpcrelay.Options{
		Host: workerd.ConnectHost,
		Log:  h.log,
		Choose: func() any { //nolint:contextcheck // the request's lasts as long as the connection
			if v := h.callee.Choose(r.Context()); v != "" {
				return v
			}
			return nil
		},
		Route: h.route,
		Begin: func() error { return callError(h.callee.Begin(r.Context())) }, //nolint:contextcheck // likewise
		End:   h.callee.End,
	})
	if err != nil {
		h.log.WarnContext(r.Context(), "RPC connection of a worker was ended", "error", err)
	}
}

func (h *serviceHandler) route(ctx context.Context, key any) (rpcrelay.Target, error) {
	version, _ := key.(string) // none: Acquire says why
	e, err := h.callee.Acquire(ctx, version)
	if err != nil {
		return nil, callError(err)
	}
	return e, nil
}

// callError lets a worker see what the service says publicly.
func callError(err error) error {
	if public, ok := errors.AsType[*workers.Error](err); ok {
		return &rpcrelay.CallError{Text: public.Message, Err: err}
	}
	return err
}

func (h *serviceHandler) fetch(w http.ResponseWriter, r *http.Request) {
	err := h.callee.Begin(r.Context())
	if err == nil {
		defer h.callee.End()
	}
	id := r.Header.Get(workerd.HeaderRay)
	if err != nil || workerd.Depth(id) > workerd.MaxDepth {
		h.refuse(w, http.StatusLoopDetected, "service-loop", "Subrequest depth limit exceeded: the service bindings of workers lead round in a circle")
		return
	}
	version := h.callee.Choose(r.Context())
	site, code, err := h.callee.Site(r.Context(), version)
	if err != nil {
		h.explain(w, r, err)
		return
	}
	if site != nil && h.serveAsset(w, r, site, code) {
		return
	}
	e, err := h.callee.Acquire(r.Context(), version)
	if err != nil {
		h.explain(w, r, err)
		return
	}
	defer e.Release()
	// An answer may begin before the request's body has ended.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		h.log.DebugContext(r.Context(), "service connection cannot answer while it reads", "error", err)
	}
	c := &serviceCall{endpoint: e}
	inv := h.server.o.Tails.Begin(h.callee.Account(), h.callee.Script(), version, id)
	if inv != nil {
		inv.Entrypoint(h.callee.Entrypoint())
		inv.Measure(e)
		defer c.told(inv, r, id)
	}
	h.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), serviceCallKey{}, c)))
}

// serveAsset answers from the callee's static assets, as the edge does for a
// visitor; false says that its worker has to answer.
func (h *serviceHandler) serveAsset(w http.ResponseWriter, r *http.Request, site *assets.Site, code bool) bool {
	action := site.Route(&assets.Request{
		Method: r.Method, Scheme: scheme(r), Host: r.Host, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Header: r.Header.Get,
	}, code)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case code && action == assets.RunWorker:
		return false
	case action == assets.ServeAny:
		a := &assetsHandler{site: site, log: h.log, metrics: h.server.metrics}
		a.ServeHTTP(w, r)
	case code && !read:
		return false
	case !read:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case action != assets.Serve:
		w.WriteHeader(http.StatusNotFound)
	default:
		a := &assetsHandler{site: site, log: h.log, metrics: h.server.metrics}
		a.ServeHTTP(w, r)
	}
	return true
}

func scheme(r *http.Request) string {
	if r.Header.Get(ProtoHeader) == "https" {
		return "https"
	}
	return "http"
}

// rewriteService makes the request that the callee's process gets. It is the
// caller's, but for what only the platform may say.
func rewriteService(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.User = "http", nil
	p.Out.URL.Host = callOf(p.In.Context()).endpoint.Name() // what the pool goes by
	p.Out.Host = p.In.Host
	keepPath(p.Out.URL, p.In)
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v
		}
	}
	for name := range p.Out.Header {
		if strings.HasPrefix(name, "Selvage-") && !strings.EqualFold(name, ProtoHeader) &&
			!strings.EqualFold(name, workerd.HeaderCF) && !strings.EqualFold(name, DepthHeader) {
			delete(p.Out.Header, name)
		}
	}
}

// cleanAnswer takes from the callee's answer what only the platform may say. That it
// stands for an exception the callee may say itself: it could throw one.
func cleanAnswer(res *http.Response) error {
	callOf(res.Request.Context()).answered(res)
	for _, h := range []http.Header{res.Header, res.Trailer} {
		for name := range h {
			if strings.HasPrefix(name, "Selvage-") && !strings.EqualFold(name, workerd.HeaderThrown) {
				delete(h, name)
			}
		}
	}
	return nil
}

// failed is called when the callee's process gave no answer: then the caller's
// fetch() fails, too.
func (h *serviceHandler) failed(_ http.ResponseWriter, r *http.Request, err error) {
	if context.Cause(r.Context()) == nil {
		h.log.WarnContext(r.Context(), "fetch of a service binding failed", "error", err)
	}
	panic(http.ErrAbortHandler)
}

// explain answers a request that reached no process.
func (h *serviceHandler) explain(w http.ResponseWriter, r *http.Request, err error) {
	if context.Cause(r.Context()) == nil {
		h.log.WarnContext(r.Context(), "fetch of a service binding reached no process", "error", err)
	}
	text := "the Worker that is bound could not be reached"
	if public, ok := errors.AsType[*workers.Error](err); ok {
		text = public.Message
	}
	h.refuse(w, http.StatusServiceUnavailable, "service-unavailable", text)
}

func (*serviceHandler) refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set(ErrorHeader, code)
	http.Error(w, text, status)
}
