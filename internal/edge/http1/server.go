package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("edge: server closed")

// Server serves HTTP/1.1 on listeners and single connections.
type Server struct {
	handler wire.Handler
	limits  atomic.Pointer[Limits]
	log     *slog.Logger
	buffers buffers
	idle    sync.Pool // of *exchange
	clock   clock
	date    dates

	// ctx is the handlers' and ends when the server is cut short.
	ctx    context.Context //nolint:containedctx // one per server, not per request: that would allocate
	cancel context.CancelCauseFunc

	draining atomic.Bool
	refused  atomic.Uint64
	seq      atomic.Uint64

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	perIP     map[netip.Addr]int
	refusing  int           // connections being told 503
	janitor   bool          // it runs: as long as there are connections
	empty     chan struct{} // closed when the last connection ends after Shutdown
}

// Options of New.
type Options struct {
	Handler wire.Handler
	Limits  Limits
	Log     *slog.Logger
}

// New returns a server that calls o.Handler. Nothing runs until it has a
// connection.
func New(o Options) *Server {
	s := &Server{
		handler:   o.Handler,
		log:       o.Log,
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
		perIP:     map[netip.Addr]int{},
		empty:     make(chan struct{}),
	}
	s.SetLimits(o.Limits)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Limits returns the limits that hold now.
func (s *Server) Limits() Limits { return *s.limits.Load() }

// SetLimits changes the limits of a server, also of one that runs: connections
// follow with their next request. Those beyond a lower number of connections are
// not closed.
func (s *Server) SetLimits(l Limits) {
	l = l.Defaults()
	s.limits.Store(&l)
}

// Serve accepts connections from ln until Shutdown or a lasting error of the
// listener. It closes ln.
func (s *Server) Serve(ln net.Listener) error { return s.accept(ln, s.start) }

// accept calls start with each connection of ln.
func (s *Server) accept(ln net.Listener, start func(net.Conn)) error {
	if !s.addListener(ln) {
		_ = ln.Close()
		return ErrServerClosed
	}
	defer s.removeListener(ln)
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			start(nc)
			continue
		}
		if s.draining.Load() {
			return ErrServerClosed
		}
		if !isTemporary(err) {
			return err
		}
		// Out of file descriptors, most likely. Connections that end free some.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log.Warn("cannot accept a connection", "error", err, "retry_in", pause)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return ErrServerClosed
		}
	}
}

// isTemporary reports whether accepting may work again later.
func isTemporary(err error) bool {
	var ne net.Error
	return !errors.Is(err, net.ErrClosed) &&
		errors.As(err, &ne) && ne.Temporary() //nolint:staticcheck // deprecated for its vagueness, but Accept has nothing else for EMFILE
}

// start serves nc on a goroutine of its own, or refuses it.
func (s *Server) start(nc net.Conn) {
	peer := peerOf(nc)
	c, ok := s.open(nc, peer, true)
	if !ok {
		s.refuse(nc)
		return
	}
	go c.serve()
}

// ServeConn serves one connection, of any kind, until it ends. The limits on
// connections do not apply. When peer is nil, the connection's own end is taken.
func (s *Server) ServeConn(nc net.Conn, peer *wire.Peer) {
	p := peerOf(nc)
	if peer != nil {
		p = *peer
	}
	c, ok := s.open(nc, p, false)
	if !ok {
		_ = nc.Close()
		return
	}
	c.serve()
}

func peerOf(nc net.Conn) wire.Peer {
	a, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return wire.Peer{}
	}
	addr := a.AddrPort().Addr().Unmap().WithZone("")
	return wire.Peer{IP: addr.String(), Addr: addr}
}

// Open returns how many connections are open, and Refused how many were turned
// away because of the limits.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Refused returns how many connections were turned away because of the limits.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// open registers a connection, within the limits when limited.
func (s *Server) open(nc net.Conn, peer wire.Peer, limited bool) (*conn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return nil, false
	}
	lim := s.limits.Load()
	perIP := limited && lim.ConnsPerIP > 0 && peer.Addr.IsValid()
	switch {
	case limited && lim.Conns > 0 && len(s.conns) >= lim.Conns:
		return nil, false
	case perIP && s.perIP[peer.Addr] >= lim.ConnsPerIP:
		return nil, false
	}
	c := newConn(s, nc, peer)
	if perIP {
		c.counted = true
		s.perIP[peer.Addr]++
	}
	c.peer.Seq = s.seq.Add(1)
	s.conns[c] = struct{}{}
	if !s.janitor {
		s.janitor = true
		s.clock.start()
		go s.watchConns()
	}
	return c, true
}

func (s *Server) closed(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if addr := c.peer.Addr; c.counted {
		if s.perIP[addr]--; s.perIP[addr] <= 0 {
			delete(s.perIP, addr)
		}
	}
	if len(s.conns) == 0 && s.draining.Load() {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// refuse tells a few clients at a time why they are turned away, and closes on
// the rest without a word: under a flood, politeness is what kills.
func (s *Server) refuse(nc net.Conn) {
	const atOnce = 64
	s.refused.Add(1)
	s.mu.Lock()
	polite := s.refusing < atOnce
	if polite {
		s.refusing++
	}
	s.mu.Unlock()
	if !polite {
		_ = nc.Close()
		return
	}
	go func() {
		defer func() {
			_ = nc.Close()
			s.mu.Lock()
			s.refusing--
			s.mu.Unlock()
		}()
		const answer = "HTTP/1.1 503 Service Unavailable\r\nServer: selvage\r\nConnection: close\r\nRetry-After: 1\r\n" +
			"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 54\r\n\r\n" +
			"503 too_many_connections: try again in a few seconds.\n"
		if nc.SetDeadline(time.Now().Add(time.Second)) != nil {
			return
		}
		if _, err := nc.Write([]byte(answer)); err != nil {
			return
		}
		closeWrite(nc)
		var sink [512]byte
		for range 16 {
			if _, err := nc.Read(sink[:]); err != nil {
				return
			}
		}
	}()
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
	_ = ln.Close()
}

// Shutdown stops accepting, closes idle connections, lets the others finish
// their request and, when ctx ends first, cuts them. It returns once no
// connection is left, with ctx's cause if it had to cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	for ln := range s.listeners {
		_ = ln.Close()
	}
	conns := s.snapshot(nil)
	if len(conns) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
	s.mu.Unlock()

	for _, c := range conns {
		c.closeIfIdle()
	}
	var err error
	select {
	case <-s.empty:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.cancel(ErrServerClosed)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	conns = s.snapshot(conns[:0])
	s.mu.Unlock()
	for _, c := range conns {
		c.cut(wire.ServerClosing)
	}
	select { // what was cut ends at once, unless a handler hangs
	case <-s.empty:
	case <-time.After(time.Second):
	}
	return err
}

// snapshot appends the connections to conns; s.mu must be held.
func (s *Server) snapshot(conns []*conn) []*conn {
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}
