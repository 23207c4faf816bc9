package bindings

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/workers"
)

// maxIdlePerHost keeps a few connections to one origin warm.
const maxIdlePerHost = 8

// egress answers the outbound requests of one running version.
type egress struct {
	server  *Server
	log     *slog.Logger
	gate    logGate
	account string
	name    string
	script  *script
	release func()
	dialer  *dialer

	cache     *cache.Store // nil: none
	cacheZone string

	// network goes to the internet, local into the edge. Each has a pool that no
	// other version shares.
	network, local       *httputil.ReverseProxy
	networkRT, localPool *http.Transport
}

func newEgress(s *Server, spec workers.DoorSpec, p *policy) *egress {
	e := &egress{
		server: s, account: spec.Account, name: spec.Script,
		log:   s.o.Log.With("account", spec.Account, "script", spec.Script, "version", spec.Version),
		cache: s.o.Cache, cacheZone: spec.CacheZone,
		dialer: newDialer(s.o.Resolver, p, s.o.Limits.DialTimeout),
	}
	if s.newDial != nil {
		e.dialer.dial = s.newDial(e.dialer)
	}
	e.script, e.release = s.script(scriptKey{spec.Account, spec.Script})
	e.networkRT = e.transport()
	e.networkRT.DialContext = e.dialer.DialContext
	e.networkRT.TLSClientConfig = &tls.Config{RootCAs: s.o.RootCAs, MinVersion: tls.VersionTLS12}
	e.networkRT.ForceAttemptHTTP2 = true
	e.network = e.proxy(e.networkRT, e.rewriteNetwork)
	if s.o.LocalHost != nil && s.o.DialLocal != nil {
		e.localPool = e.transport()
		e.localPool.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.o.DialLocal(ctx) }
		e.local = e.proxy(e.localPool, e.rewriteLocal)
	}
	return e
}

func (e *egress) transport() *http.Transport {
	l := e.server.o.Limits
	return &http.Transport{
		DisableCompression:     true, // what the worker did not ask for, it must not get
		TLSHandshakeTimeout:    l.TLSTimeout,
		IdleConnTimeout:        l.IdleTimeout,
		MaxIdleConns:           l.MaxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxResponseHeaderBytes: l.ResponseHeaderBytes,
	}
}

func (e *egress) proxy(rt http.RoundTripper, rewrite func(*httputil.ProxyRequest)) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      rt,
		FlushInterval:  -1,
		ErrorLog:       slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
		BufferPool:     &e.server.buffers,
		ErrorHandler:   e.failed,
		ModifyResponse: cleanResponse,
	}
}

func (e *egress) close() {
	e.networkRT.CloseIdleConnections()
	if e.localPool != nil {
		e.localPool.CloseIdleConnections()
	}
	e.release()
}

// exchange is one outbound request on its way.
type exchange struct {
	target target
	https  bool
	depth  int // of a local request: its own
	fill   *fill

	mu        sync.Mutex
	outcome   outcome
	handshake error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("bindings: request did not come through ServeHTTP")
	}
	return x
}

func (x *exchange) end(o outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.outcome = o
}

// ServeHTTP answers one request of the runtime.
func (e *egress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{outcome: outcomeAborted} // unless something better is known
	k := kindFetch
	m := e.server.metrics
	m.inFlight.Inc()
	defer func() {
		m.inFlight.Dec()
		x.mu.Lock()
		defer x.mu.Unlock()
		m.egress.WithLabelValues(string(k), string(x.outcome)).Inc()
	}()

	switch {
	case r.Method == http.MethodConnect:
		k = kindConnect
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		k = kindWebSocket
	}
	if f := x.read(r); f != nil {
		e.refuse(w, r, x, f)
		return
	}
	if !e.script.all.take() {
		e.refuse(w, r, x, &failure{
			outcome: outcomeBusy, status: http.StatusServiceUnavailable,
			text: "this worker has " + strconv.Itoa(e.script.all.max) + " outbound requests in flight, which is the limit",
		})
		return
	}
	defer e.script.all.give()

	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	switch {
	case k == kindConnect:
		e.connect(w, r, x)
	case e.serveCached(w, r, x):
	case e.isLocal(x.target):
		k = kindLocal
		e.serveLocal(w, r, x)
	default:
		e.serveVia(e.network, w, r, x)
	}
}

// read takes from the request where it wants to go.
func (x *exchange) read(r *http.Request) *failure {
	if r.Method == http.MethodConnect {
		t, err := parseTarget(r.RequestURI, 0)
		if err != nil {
			return invalid("connect: " + err.Error())
		}
		x.target = t
		return nil
	}
	if !originForm(r) {
		return invalid(errNotOriginForm.Error())
	}
	port := uint16(80)
	switch proto := r.Header.Values(ProtoHeader); {
	case len(proto) == 1 && proto[0] == "http":
	case len(proto) == 1 && proto[0] == "https":
		x.https, port = true, 443
	default:
		return invalid("the URL's scheme must be http or https")
	}
	t, err := parseTarget(r.Host, port)
	if err != nil {
		return invalid(err.Error())
	}
	x.target = t
	x.depth = depthOf(r.Header) + 1
	return nil
}

// depthOf reads the depth that the edge handed down. A worker can forge it: a
// higher one hurts only itself, against a lower one there is Limits.MaxLocal.
func depthOf(h http.Header) int {
	n, err := strconv.ParseUint(h.Get(DepthHeader), 10, 8)
	if err != nil {
		return 0
	}
	return int(n)
}

func (e *egress) isLocal(t target) bool {
	return e.local != nil && t.name != "" && e.server.o.LocalHost(t.name)
}

// serveLocal sends a request into the edge, unless that looks like a loop.
func (e *egress) serveLocal(w http.ResponseWriter, r *http.Request, x *exchange) {
	l := e.server.o.Limits
	loop := &failure{outcome: outcomeLoop, status: http.StatusLoopDetected}
	if x.depth > l.MaxDepth {
		loop.text = "requests to this platform's own hostnames are nested more than " + strconv.Itoa(l.MaxDepth) +
			" deep: a worker fetches a hostname that leads back to it"
		e.refuse(w, r, x, loop)
		return
	}
	if !e.script.local.take() {
		loop.text = "this worker has " + strconv.Itoa(l.MaxLocal) + " requests to this platform's own hostnames in flight, " +
			"which is the limit: it probably fetches a hostname that leads back to it"
		e.refuse(w, r, x, loop)
		return
	}
	defer e.script.local.give()
	e.serveVia(e.local, w, r, x)
}

func (e *egress) serveVia(p *httputil.ReverseProxy, w http.ResponseWriter, r *http.Request, x *exchange) {
	// An answer may begin before the request's body has ended.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		e.log.DebugContext(r.Context(), "egress connection cannot answer while it reads", "error", err)
	}
	trace := &httptrace.ClientTrace{TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.handshake = err
	}}
	p.ServeHTTP(w, r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.outcome == outcomeAborted { // neither failed, which sets it, nor panicked
		x.outcome = outcomeOK
	}
}

// rewriteNetwork makes the request that an origin gets.
func (e *egress) rewriteNetwork(p *httputil.ProxyRequest) {
	x := e.rewrite(p)
	if x.https {
		p.Out.URL.Scheme = "https"
	}
	if zone := e.server.o.WorkerZone; zone != nil {
		if z := zone(e.account); z != "" {
			p.Out.Header.Set("CF-Worker", z)
		}
	}
}

// rewriteLocal makes the request that the edge gets.
func (e *egress) rewriteLocal(p *httputil.ProxyRequest) {
	x := e.rewrite(p)
	proto := "http"
	if x.https {
		proto = "https"
	}
	p.Out.Header.Set(ProtoHeader, proto)
	p.Out.Header.Set(DepthHeader, strconv.Itoa(x.depth))
}

// rewrite does what both directions have in common: the address, and no field
// that only the platform may set.
func (e *egress) rewrite(p *httputil.ProxyRequest) *exchange {
	x := exchangeOf(p.In.Context())
	p.Out.URL.Scheme = "http"
	p.Out.URL.Host = x.target.hostPort()
	p.Out.URL.User = nil
	p.Out.Host = p.In.Host
	keepPath(p.Out.URL, p.In)
	// The proxy removes these as a server's front would. A worker may send them.
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = v
		}
	}
	for name := range p.Out.Header {
		if platformField(name) {
			delete(p.Out.Header, name)
		}
	}
	return x
}

// keepPath sends path and query byte for byte as the worker wrote them: signed
// URLs depend on it. A path that begins with two slashes would be taken for a
// host in Opaque; URL escapes that one itself.
func keepPath(u *url.URL, in *http.Request) {
	path, query, found := strings.Cut(in.RequestURI, "?")
	u.RawQuery, u.ForceQuery = query, found && query == ""
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
	}
}

// platformField reports whether only the platform may set the field on an
// outbound request. The name is in canonical form.
func platformField(name string) bool {
	switch name {
	case "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Pseudo-Ipv4", "Cf-Ipcountry",
		"Cf-Visitor", "Cf-Ray", "Cf-Ew-Via", "Cf-Worker":
		return true
	}
	return strings.HasPrefix(name, "Selvage-")
}

// cleanResponse takes from an origin's answer what only the platform may say.
func cleanResponse(res *http.Response) error {
	for _, h := range []http.Header{res.Header, res.Trailer} {
		for name := range h {
			if strings.HasPrefix(name, "Selvage-") {
				delete(h, name)
			}
		}
	}
	if f := exchangeOf(res.Request.Context()).fill; f != nil {
		f.begin(res)
	}
	return nil
}

// failed is called when there is no answer to pass on.
func (e *egress) failed(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	x.mu.Lock()
	handshake := x.handshake
	x.mu.Unlock()
	f := explain(err, handshake)
	if cause := context.Cause(r.Context()); cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
		f = &failure{outcome: outcomeCancelled, status: http.StatusBadGateway, text: "the request was cancelled", err: cause}
	}
	e.refuse(w, r, x, f)
}
