package http2

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/selvage-dev/selvage/internal/edge/http1"
	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// maxStreams bounds the requests under way on one connection.
const maxStreams = 250

// Options of New. All are compulsory.
type Options struct {
	Handler wire.Handler
	// Limits returns those that hold now, with the defaults filled in.
	Limits func() http1.Limits
	Log    *slog.Logger
}

// Server serves HTTP/2 on connections that others accepted. It is safe for concurrent use.
type Server struct {
	o    Options
	http *http.Server
	in   handoff

	mu    sync.Mutex
	conns map[net.Conn]*client
}

// client is a connection.
type client struct {
	peer wire.Peer
	gone chan struct{}
}

type peerKey struct{}

// New returns a server. It runs one goroutine, until Shutdown.
func New(o Options) *Server {
	s := &Server{o: o, in: handoff{conns: make(chan net.Conn), closed: make(chan struct{})}, conns: make(map[net.Conn]*client)}
	limits := o.Limits()
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve),
		// Of the preface; a head within a stream is bounded by what else the client sends.
		ReadHeaderTimeout: max(limits.HeadTimeout, 0),
		MaxHeaderBytes:    limits.HeadBytes,
		IdleTimeout:       max(limits.IdleTimeout, 0),
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		ConnState:         s.state,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, s.peer(c))
		},
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
	go func() { _ = s.http.Serve(&s.in) }() // It ends with ErrServerClosed alone: a handoff has no other error.
	return s
}

// ServeConn serves a connection whose handshake agreed on "h2", until it ends. It closes it.
func (s *Server) ServeConn(tc *tls.Conn, peer wire.Peer) {
	c := &client{peer: peer, gone: make(chan struct{})}
	s.mu.Lock()
	s.conns[tc] = c
	s.mu.Unlock()
	if !s.in.give(tc) {
		_ = tc.Close()
		s.forget(tc)
		return
	}
	<-c.gone
}

// Shutdown tells all clients to go, and returns when the streams that run have ended, or with ctx's error when that
// ends first; connections then are left to their owner to close.
func (s *Server) Shutdown(ctx context.Context) error {
	return s.http.Shutdown(ctx)
}

func (s *Server) state(c net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		s.forget(c)
	}
}

func (s *Server) forget(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.conns[c]; known != nil {
		delete(s.conns, c)
		close(known.gone)
	}
}

func (s *Server) peer(c net.Conn) wire.Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.conns[c]; known != nil {
		return known.peer
	}
	return wire.Peer{}
}

// handoff is a listener whose connections come from ServeConn.
type handoff struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (h *handoff) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (*handoff) Addr() net.Addr { return &net.TCPAddr{} }
