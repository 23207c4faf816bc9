// Package remote speaks to servers that have OpenAI's API: vLLM, llama-server, Ollama,
// TGI and their like. It retries what may be retried, keeps away from a server that does
// not answer, and turns its errors into the platform's.
//
// Invariants:
//
//   - A request is repeated only while nothing of an answer has been passed on.
//   - Whatever a server sends is bounded: header, body, each event.
//   - When the caller leaves, the connection is closed, which stops the server's work.
//   - Keys and addresses of servers reach no error that a worker sees.
package remote

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/pause"
)

// Options of a [Server]; zero fields take the defaults that are named.
type Options struct {
	Name string
	// URL is what OpenAI's clients call the base URL: http://127.0.0.1:8000/v1.
	URL *url.URL
	Key string // "" for none
	// FirstByte is how long an answer may take to begin, Stall how long a stream may
	// pause; 2 minutes and 1.
	FirstByte, Stall time.Duration
	Now              func() time.Time // time.Now
}

// Bounds of what a server sends.
const (
	maxAnswer   = 32 << 20
	maxHeader   = 64 << 10
	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
	maxIdle     = 64
	maxTries    = 3
	firstWait   = 200 * time.Millisecond
	longestWait = 5 * time.Second
)

// Server is one server. It is safe for concurrent use.
type Server struct {
	o       Options
	client  *http.Client
	breaker breaker
}

// New returns the server. It makes no connection.
func New(o Options) *Server { //nolint:gocritic // once
	if o.FirstByte == 0 {
		o.FirstByte = 2 * time.Minute
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	return &Server{
		o: o, breaker: breaker{now: o.Now},
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: idleTimeout, MaxIdleConns: maxIdle,
				MaxIdleConnsPerHost: maxIdle, ResponseHeaderTimeout: o.FirstByte, MaxResponseHeaderBytes: maxHeader, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Name is what the configuration calls it.
func (s *Server) Name() string { return s.o.Name }

// Down says whether requests are kept away from it now.
func (s *Server) Down() bool { return s.breaker.open() }

// Close closes idle connections.
func (s *Server) Close() { s.client.CloseIdleConnections() }

// failure is why one try failed.
type failure struct {
	fault *fault.Error
	// blame says that the server is to blame, again that the same request may succeed.
	blame, again bool
	wait         time.Duration // before it
}

// post sends a body and returns the answer, which has status 200.
func (s *Server) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	wait, ok := s.breaker.allow()
	if !ok {
		e := fault.New(fault.CodeCapacity, "Out of capacity: the server %q that runs this model does not answer; it is tried again in %s", s.o.Name, wait.Round(time.Second))
		e.RetryAfter = wait
		return nil, e
	}
	between := firstWait
	for try := 1; ; try++ {
		res, f := s.try(ctx, path, body)
		if ctx.Err() != nil {
			s.breaker.abandon()
			if res != nil {
				_ = res.Body.Close()
			}
			return nil, context.Cause(ctx)
		}
		s.breaker.done(f != nil && f.blame)
		if f == nil {
			return res, nil
		}
		if !f.again || try == maxTries {
			return nil, f.fault
		}
		if err := pause.For(ctx, max(between, f.wait)); err != nil {
			return nil, err
		}
		between *= 2
	}
}

// unreachable is the failure of a try without an answer.
func (s *Server) unreachable(err error) *failure {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !isDial(err) {
		return &failure{fault: fault.Wrap(err, fault.CodeTimeout, "Request timeout: the server %q did not begin to answer in %s", s.o.Name, s.o.FirstByte), blame: true}
	}
	return &failure{fault: fault.Wrap(err, fault.CodeUpstream, "The server %q that runs this model cannot be reached", s.o.Name), blame: true, again: true}
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
