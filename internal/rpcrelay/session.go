package rpcrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Numbers that the relay uses among those of its peers, which count from 0 and,
// for questions that are only for pipelining, from 1<<31.
const (
	hostedBootstrap = 0          // export to the caller
	askBootstrap    = 1<<31 - 1  // question to a process
	brokenExport    = 1<<32 - 16 // export to a process: a capability that works no more
)

// failure is an exception that the relay throws.
type failure struct {
	reason string
	kind   uint16
}

// The prefixes are how workerd recognises errors for JavaScript.
func newFailure(text string) *failure { return &failure{"remote.jsg.Error: " + text, typeFailed} }

func lost() *failure { return &failure{"jsg.Error: Network connection lost.", typeDisconnected} }

// session is one caller's connection.
type session struct {
	o    Options
	conn net.Conn
	in   reader
	wg   sync.WaitGroup
	done chan struct{}

	mu        sync.Mutex
	down      writer
	boots     map[uint32]bool // the caller's bootstrap questions
	questions map[uint32]*question
	calls     table[backCall]
	exports   table[export]
	links     map[*link]struct{}
	current   map[any]*link // take new calls, by key
	refused   *link         // stands for the target of calls that were refused
	// excess counts references to the caller's exports that links hold and the
	// caller does not know of; see resolveFromCaller.
	excess map[uint32]uint32
	events int
	closed bool
}

func newSession(conn net.Conn, early []byte, o Options) *session {
	s := &session{
		o: o, conn: conn, done: make(chan struct{}),
		boots: make(map[uint32]bool), questions: make(map[uint32]*question),
		links: make(map[*link]struct{}), current: make(map[any]*link), excess: make(map[uint32]uint32),
	}
	s.in = reader{from: io.MultiReader(strings.NewReader(string(early)), conn)}
	s.down = newWriter(&s.mu, conn)
	s.exports.add(&export{}) // number 0 is the bootstrap object
	s.refused = newLink(s, nil)
	s.refused.dead = lost()
	return s
}

func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	s.mu.Lock()
	s.down.buf = append(s.down.buf, "HTTP/1.1 200 OK\r\n\r\n"...)
	s.down.flush()
	s.mu.Unlock()
	err := s.read(ctx)
	cancel()
	_ = s.conn.Close()
	s.mu.Lock()
	s.closed = true
	close(s.done)
	for l := range s.links {
		l.cut()
	}
	for ; s.events > 0; s.events-- {
		s.end()
	}
	s.mu.Unlock()
	s.wg.Wait()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || ctx.Err() != nil && isClosed(err) {
		return nil
	}
	return err
}

func isClosed(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}

func (s *session) read(ctx context.Context) error {
	for {
		if err := s.in.fill(); err != nil {
			return err
		}
		s.mu.Lock()
		for {
			m, err := s.in.next()
			if err == nil && m != nil {
				err = s.fromCaller(ctx, m)
			}
			if err != nil {
				s.mu.Unlock()
				return fmt.Errorf("rpcrelay: from the caller: %w", err)
			}
			if m == nil {
				break
			}
		}
		s.flushAll(ctx)
		s.mu.Unlock()
	}
}

// flushAll writes what is queued anywhere. It waits while too much is.
func (s *session) flushAll(ctx context.Context) {
	s.down.flush()
	for l := range s.links {
		l.out.flush()
		for l.out.to == nil && l.dead == nil && len(l.out.buf) > maxWaiting && ctx.Err() == nil {
			l.out.room.Wait() // for its process to start
		}
	}
}

// eventLink returns the link that a new call goes to, and whether it counts.
func (s *session) eventLink(ctx context.Context) (to *link, counted bool) {
	if s.o.Begin != nil {
		if err := s.o.Begin(); err != nil {
			s.refused.dead = s.explain(err)
			return s.refused, false
		}
	}
	s.events++
	var key any
	if s.o.Choose != nil {
		key = s.o.Choose()
	}
	if l := s.current[key]; l != nil {
		if l.enter() {
			return l, true
		}
		s.retire(l)
	}
	l := newLink(s, key)
	s.current[key] = l
	s.links[l] = struct{}{}
	s.wg.Go(func() { l.run(ctx) })
	return l, true
}

// end is the end of an event.
func (s *session) end() {
	if s.o.End != nil {
		s.o.End()
	}
}

func (s *session) eventOver() {
	if s.events > 0 {
		s.events--
		s.end()
	}
}

// explain makes of an error of Route what the calling worker sees.
func (s *session) explain(err error) *failure {
	if f, ok := errors.AsType[*CallError](err); ok {
		return newFailure(f.Text)
	}
	return newFailure("The Worker that is bound could not be reached. The platform's log says why.")
}

// retire lets a link take no new call.
func (s *session) retire(l *link) {
	if s.current[l.key] == l {
		delete(s.current, l.key)
	}
	l.retired = true
	l.settle()
}

// unref gives back one reference or more to a capability of a process.
func (s *session) unref(id, n uint32) error {
	e := s.exports.get(id)
	if e == nil || e.refs < n || id == hostedBootstrap {
		return errBroken
	}
	if e.refs -= n; e.refs > 0 {
		return nil
	}
	s.exports.drop(id)
	delete(e.link.byRemote, e.remote)
	if e.event {
		s.eventOver()
	}
	e.link.settle()
	return nil
}

// dropQuestion forgets a question that is over.
func (s *session) dropQuestion(id uint32, q *question) {
	delete(s.questions, id)
	if q.event && len(q.results) == 0 {
		s.eventOver()
	}
	q.link.open--
	q.link.settle()
}

// dropCall forgets a process's question that is over.
func (s *session) dropCall(id uint32, b *backCall) {
	s.calls.drop(id)
	delete(b.link.backs, b.remote)
	b.link.settle()
}
