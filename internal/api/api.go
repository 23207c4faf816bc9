package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/selvage-dev/selvage/internal/telemetry"
)

// Options configures [New]. Accounts, Workers, KV, Logs, Log and Registry are required.
type Options struct {
	Vectorize Vectorize
	AI        AI
	// Images is the registry of container images; nil leaves /v2/ out.
	Images Images

	Accounts Accounts
	Workers  Workers
	KV       KV
	D1       D1
	Pages    Pages
	// Certificates says where hosts stand with theirs; nil: the platform orders none.
	Certificates Certificates
	// Builds takes pushes and builds them; nil: neither is offered.
	Builds Builds
	Logs   Logs
	Tails  Tails
	Log    *slog.Logger
	// Registry takes the API's own metrics, and /metrics shows all that is in it.
	Registry *prometheus.Registry

	// EdgeURL is where visitors reach the edge: scheme, and the port if it is not the scheme's own.
	// Its host is not used; workers have hostnames of their own.
	EdgeURL func() *url.URL

	// Status describes the platform itself for "selvage status".
	Status func(ctx context.Context) Platform
	// Ready says whether the platform can serve; its error is shown by /readyz. Nil means always.
	Ready func(ctx context.Context) error
	// Version describes the build.
	Version Build

	// OpenMetrics lets /metrics be read without a token: over TLS, or by whoever asks by address or for
	// localhost. Any other name could be that of a web page, made to resolve to this machine, whose
	// scripts a browser here runs.
	OpenMetrics bool

	// StallTimeout is how long a client may pause while it sends a body; 0 means a minute.
	StallTimeout time.Duration

	// MaxScriptSize and MaxSourceMaps bound one upload, in bytes; 0 means 64 MiB and 128 MiB.
	MaxScriptSize, MaxSourceMaps int64
	// MaxModules bounds the parts of one upload; 0 means 1000.
	MaxModules int
	// MaxAssetUpload bounds one request that uploads assets, in bytes of its body; 0 means 256 MiB.
	MaxAssetUpload int64
}

const (
	defaultScriptSize  = 64 << 20
	defaultSourceMaps  = 128 << 20
	defaultModules     = 1000
	defaultAssetUpload = 256 << 20
	defaultStall       = time.Minute
)

func (o *Options) setDefaults() {
	if o.MaxScriptSize == 0 {
		o.MaxScriptSize = defaultScriptSize
	}
	if o.MaxSourceMaps == 0 {
		o.MaxSourceMaps = defaultSourceMaps
	}
	if o.MaxModules == 0 {
		o.MaxModules = defaultModules
	}
	if o.MaxAssetUpload == 0 {
		o.MaxAssetUpload = defaultAssetUpload
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = defaultStall
	}
	if o.EdgeURL == nil {
		o.EdgeURL = func() *url.URL { return &url.URL{Scheme: "http"} }
	}
	if o.Status == nil {
		o.Status = func(context.Context) Platform { return Platform{} }
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
}

// server is the handler of the API.
type server struct {
	Options
	router  *router
	metrics *metrics
	prom    http.Handler
}

// New returns the API's handler. It serves /client/v4, /healthz, /readyz and /metrics.
func New(o Options) http.Handler {
	o.setDefaults()
	s := &server{Options: o, metrics: newMetrics(o.Registry), prom: promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{})}
	s.router = newRouter(s.routes())
	return s
}

// ServeHTTP answers one request: it gives it a ray, runs it and accounts for it.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Images != nil && ociPath(r.URL.Path) {
		s.serveOCI(w, r)
		return
	}
	begin := time.Now()
	rec := &recorder{ResponseWriter: w}
	c := &call{server: s, w: rec, r: r, ray: telemetry.NewRay()}
	rec.Header().Set("CF-Ray", c.ray)
	rec.Header().Set("X-Content-Type-Options", "nosniff")

	m := s.router.find(method(r), r.URL.EscapedPath())
	c.route, c.params = m.Route, m.Params
	err := s.run(c, m) //nolint:contextcheck // a call carries its request's context
	if err != nil {
		s.fail(c, err) //nolint:contextcheck // as above
	}
	s.account(c, err, time.Since(begin)) //nolint:contextcheck // as above
	if err != nil {
		s.drain(c)
	}
}

// method is the method to look up: HEAD is GET whose body net/http leaves out.
func method(r *http.Request) string {
	if r.Method == http.MethodHead {
		return http.MethodGet
	}
	return r.Method
}

// run does everything that may fail.
func (s *server) run(c *call, m match) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // the sentinel net/http compares the same way
				panic(p)
			}
			s.Log.LogAttrs(c.r.Context(), slog.LevelError, "api handler panicked",
				slog.String("ray", c.ray), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = &apiError{Code: codeInternal, Message: "internal error; the platform's log has its cause under the ray of this answer (CF-Ray)", Err: errPanic}
		}
	}()
	switch {
	case m.Route == nil && len(m.Allow) > 0:
		c.w.Header().Set("Allow", strings.Join(m.Allow, ", "))
		return errf(codeMethod, "%s is not a method of %s, which takes %s", c.r.Method, c.r.URL.EscapedPath(), strings.Join(m.Allow, ", "))
	case m.Route == nil:
		return errf(codeNoRoute, "%s does not offer %s %s", s.Version.Name(), c.r.Method, c.r.URL.EscapedPath())
	}
	if err := s.admit(c); err != nil {
		return err
	}
	// Kept unwrapped for drain: a MaxBytesReader that was exceeded reads no further.
	c.body = c.r.Body
	if c.r.ContentLength > m.Route.MaxBody {
		large := &http.MaxBytesError{Limit: m.Route.MaxBody}
		if m.Route.TooLarge != 0 {
			return &apiError{Code: m.Route.TooLarge, Message: fmt.Sprintf("the upload has %d bytes; at most %d are taken", c.r.ContentLength, m.Route.MaxBody), Err: large}
		}
		return large
	}
	paced := &pacedBody{ReadCloser: c.r.Body, rc: http.NewResponseController(c.w), stall: s.StallTimeout}
	c.r.Body = http.MaxBytesReader(c.w, paced, m.Route.MaxBody)
	result, err := m.Route.Handler(c)
	if err != nil && paced.stalled {
		c.stalled = true
		return &apiError{Code: codeStalled, Message: fmt.Sprintf("the body of the request stopped coming for %s", s.StallTimeout), Err: err}
	}
	if err != nil {
		return err
	}
	if st, ok := result.(stream); ok {
		return st(c.w)
	}
	return writeResult(c.w, result)
}

var errPanic = errors.New("panic in a handler")

// fail answers with an error, unless the answer has begun: then the connection is cut, which is the
// only way left to tell the client that the answer is not whole.
func (s *server) fail(c *call, err error) {
	c.fault = public(err)
	if c.w.began {
		if c.r.Context().Err() == nil {
			s.Log.LogAttrs(c.r.Context(), slog.LevelWarn, "api answer cut off", slog.String("ray", c.ray), slog.Any("error", err))
		}
		c.cut = true
		return
	}
	switch {
	case c.stalled:
	case !c.admitted:
		_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(min(refusedTime, s.StallTimeout)))
	case c.body != nil:
		// Lets drain read on after the answer was sent. Not every writer can; then there is no drain.
		_ = http.NewResponseController(c.w).EnableFullDuplex()
	}
	if c.fault.Status == http.StatusServiceUnavailable {
		c.w.Header().Set("Retry-After", "1")
	}
	write := writeFault
	if c.route != nil && c.route.Basic && gitClient(c.r) {
		write = writeGitFault
	}
	if c.route != nil && c.route.OpenAI {
		write = writeOpenAIFault
	}
	if err := write(c.w, c.fault); err != nil {
		c.cut = true
	}
}

const (
	drainBytes = 512 << 20
	drainTime  = 15 * time.Second
)

// drain reads on what the client still sends after an early refusal, without keeping it. A client
// that writes a large body reads the answer only when it is done or when it notices by itself; were
// the connection closed under its hands it would report a broken pipe in place of our error.
func (s *server) drain(c *call) {
	if c.cut {
		panic(http.ErrAbortHandler)
	}
	if c.body == nil || c.stalled || c.r.ContentLength == 0 {
		return
	}
	rc := http.NewResponseController(c.w)
	if rc.Flush() != nil || rc.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.body, drainBytes)
	_ = rc.SetReadDeadline(time.Time{})
}

// account writes the access log and the metrics of a finished request.
func (s *server) account(c *call, err error, took time.Duration) {
	pattern := "none"
	if c.route != nil {
		pattern = c.route.Pattern
	}
	s.metrics.observe(method(c.r), pattern, c.w.code(), took)
	level := slog.LevelInfo
	if reads(c.r) && (c.w.code() < 400 || c.w.code() == http.StatusNotFound) {
		level = slog.LevelDebug // wrangler reads much before it writes: what changed must stay in sight
	}
	attrs := []slog.Attr{
		slog.String("ray", c.ray), slog.String("method", c.r.Method), slog.String("path", c.r.URL.EscapedPath()),
		slog.String("route", pattern), slog.Int("status", c.w.code()), slog.Int64("duration_us", took.Microseconds()),
		slog.Int64("bytes_out", c.w.bytes), slog.String("client", c.r.RemoteAddr),
	}
	if c.token.ID != "" {
		attrs = append(attrs, slog.String("token_id", c.token.ID))
	}
	if err != nil {
		attrs = append(attrs, slog.Int("code", c.fault.Code))
		if c.fault.Internal {
			level = slog.LevelError
			attrs = append(attrs, slog.String("error", err.Error()))
		}
	}
	s.Log.LogAttrs(c.r.Context(), level, "api request", attrs...)
}

// reads reports whether the request changes nothing.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	began  bool
}

// WriteHeader notes the status and passes it on.
func (r *recorder) WriteHeader(status int) {
	if !r.began {
		r.status, r.began = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write counts and passes on.
func (r *recorder) Write(b []byte) (int, error) {
	if !r.began {
		r.status, r.began = http.StatusOK, true
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets [http.ResponseController] reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if !r.began {
		return http.StatusOK
	}
	return r.status
}
