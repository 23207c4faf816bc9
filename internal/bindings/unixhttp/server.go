package unixhttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
)

// Defaults of [Server], and its other bounds.
const (
	defaultHeadBytes = 128 << 10
	defaultMaxConns  = 1024
	// An unread body of up to maxDrain bytes is read on after the answer; with a
	// longer one the connection ends.
	maxDrain   = 128 << 20
	readBuffer = 4 << 10
	keepHead   = 64 << 10 // a larger buffer of an answer is given up
)

var errHeadTooLarge = errors.New("unixhttp: the head of the request is too large")

// Server answers the connections of one socket. Its fields are not changed once
// it serves.
type Server struct {
	Handler   func(*Exchange)
	Context   context.Context //nolint:containedctx // that of every exchange
	Log       *slog.Logger
	HeadBytes int // of a request; 128 KiB
	MaxConns  int // further ones are closed at once; 1024

	mu     sync.Mutex
	closed bool
	ln     net.Listener
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
}

// Serve answers until Close, or until the listener fails, which is the error.
func (s *Server) Serve(ln net.Listener) error {
	if s.HeadBytes == 0 {
		s.HeadBytes = defaultHeadBytes
	}
	if s.MaxConns == 0 {
		s.MaxConns = defaultMaxConns
	}
	s.mu.Lock()
	s.ln, s.conns = ln, make(map[net.Conn]struct{})
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errors.Join(net.ErrClosed, ln.Close())
	}
	defer s.wg.Wait()
	for {
		c, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("unixhttp: %w", err)
		}
		if !s.add(c) {
			_ = c.Close() // there is nobody to tell
		}
	}
}

func (s *Server) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.MaxConns {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		s.serve(c)
		_ = c.Close() // nothing is left to write
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
	return true
}

// Close closes the listener and every connection, in the middle of an answer
// too. Serve returns when the handlers have. Later calls do nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.ln != nil {
		err = s.ln.Close()
	}
	for c := range s.conns {
		_ = c.Close() // its goroutine tells
	}
	return err
}

// headReader lets a connection's reader take only so much for a head.
type headReader struct {
	conn net.Conn
	left int // -1: no bound
}

func (r *headReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, errHeadTooLarge
	}
	if r.left > 0 && len(p) > r.left {
		p = p[:r.left]
	}
	n, err := r.conn.Read(p)
	if r.left > 0 {
		r.left -= n
	}
	return n, err
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("a binding's handler panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	head := &headReader{conn: c}
	r := bufio.NewReaderSize(head, readBuffer)
	x := &Exchange{ctx: s.Context, conn: c}
	for {
		head.left = s.HeadBytes
		req, err := http.ReadRequest(r)
		if err != nil {
			if head.left == 0 { // what the parser made of the part does not matter
				err = errHeadTooLarge
			}
			refuse(c, err)
			return
		}
		head.left = -1
		x.Request, x.began, x.sent = req, false, false
		s.Handler(x)
		if !x.sent && x.err == nil {
			x.Begin(http.StatusInternalServerError, "the platform gave no answer")
			x.Send(nil)
		}
		if x.err != nil || req.Close || !drained(req.Body) {
			return
		}
		if cap(x.head) > keepHead {
			x.head = nil
		}
	}
}

// refuse answers what is no request. A connection that ended between two
// requests, as they all do, gets no answer.
func refuse(c net.Conn, err error) {
	const end = "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	switch {
	case errors.Is(err, errHeadTooLarge):
		_, _ = io.WriteString(c, "HTTP/1.1 431 Request Header Fields Too Large"+end) // the worker may be gone
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
	default:
		if _, broken := errors.AsType[*net.OpError](err); !broken {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request"+end) // as above
		}
	}
}

// drained reads the rest of a body, so that the next request can be read.
func drained(body io.ReadCloser) bool {
	if body == http.NoBody {
		return true
	}
	n, err := io.CopyN(io.Discard, body, maxDrain)
	return n < maxDrain && errors.Is(err, io.EOF)
}
