package rpcrelay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// maxHead bounds the answer to a CONNECT request.
const maxHead = 4096

// link is the session's connection to one process. Its fields belong to the
// session's lock.
type link struct {
	s      *session
	key    any
	target Target
	held   bool // the target is acquired
	conn   net.Conn
	in     reader
	out    writer

	boot    uint32 // the process's bootstrap object
	ready   bool   // boot is known
	patches []int  // places in out.buf where boot belongs

	retired bool     // takes no new call
	dead    *failure // why it is gone
	open    int      // the caller's questions on it

	byRemote map[uint32]uint32 // our number of each capability of the process
	backs    map[uint32]uint32 // our number of each question of the process
	imports  map[uint32]uint32 // references to the caller's exports that the process holds
}

func newLink(s *session, key any) *link {
	l := &link{
		s: s, key: key, byRemote: make(map[uint32]uint32), backs: make(map[uint32]uint32), imports: make(map[uint32]uint32),
	}
	l.out = newWriter(&s.mu, nil)
	return l
}

// run is the life of a link: it finds the target, connects, and reads.
func (l *link) run(ctx context.Context) {
	if err := l.connect(ctx); err != nil {
		if ctx.Err() == nil {
			l.s.o.Log.WarnContext(ctx, "call of a bound worker could not be delivered", "error", err)
		}
		l.s.mu.Lock()
		l.die(l.s.explain(err))
		l.s.down.flush()
		l.s.mu.Unlock()
		return
	}
	err := l.read()
	_ = l.conn.Close()
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.open > 0 && !l.s.closed {
		l.s.o.Log.WarnContext(ctx, "connection to a bound worker ended with calls on it", "calls", l.open, "error", err)
	}
	l.die(lost())
	l.s.down.flush()
}

func (l *link) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.s.o.RouteTimeout)
	defer cancel()
	target, err := l.s.o.Route(ctx, l.key)
	if err != nil {
		return err
	}
	l.s.mu.Lock()
	l.target, l.held = target, true
	l.s.mu.Unlock()
	conn, err := target.Dial(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	boot, err := l.handshake(conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	if !stop() {
		return context.Cause(ctx)
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.closed {
		_ = conn.Close()
		return net.ErrClosed
	}
	l.conn, l.out.to, l.boot, l.ready = conn, conn, boot, true
	for _, at := range l.patches {
		le.PutUint32(l.out.buf[at:], l.boot)
	}
	l.patches = nil
	l.out.flush()
	l.out.room.Broadcast()
	l.s.wg.Go(l.watch)
	l.settle()
	return nil
}

// handshake opens RPC on a connection and returns the number of the process's
// bootstrap object.
func (l *link) handshake(conn net.Conn) (boot uint32, err error) {
	host := l.s.o.Host
	b := fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
	if _, err := conn.Write(appendBootstrap(b, askBootstrap)); err != nil {
		return 0, err
	}
	l.in = reader{from: conn}
	for {
		if err := l.in.fill(); err != nil {
			return 0, err
		}
		head := l.in.buf[l.in.start:l.in.end]
		if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
			if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
				return 0, fmt.Errorf("rpcrelay: the process refused RPC: %.100q", head)
			}
			l.in.start += i + 4
			break
		}
		if len(head) > maxHead {
			return 0, errors.New("rpcrelay: the answer to CONNECT has no end")
		}
	}
	for {
		m, err := l.in.next()
		if err != nil {
			return 0, err
		}
		if m != nil {
			return bootstrap(conn, m)
		}
		if err := l.in.fill(); err != nil {
			return 0, err
		}
	}
}

// bootstrap takes the number of the process's bootstrap object from its answer.
func bootstrap(conn net.Conn, m *message) (boot uint32, err error) {
	root, err := m.root()
	if err != nil {
		return 0, err
	}
	ret, err := root.child(messagePtr)
	if err != nil {
		return 0, err
	}
	if root.u16(messageTag) != tagReturn || ret.u32(fieldID) != askBootstrap || ret.u16(returnTag) != returnResults {
		return 0, errors.New("rpcrelay: the process has no bootstrap object")
	}
	payload, err := ret.child(returnPtr)
	if err != nil {
		return 0, err
	}
	found := false
	err = payload.caps(func(c node) error {
		if tag := c.u16(capTag); !found && (tag == capSenderHosted || tag == capSenderPromise) {
			boot, found = c.u32(capID), true
		}
		return nil
	})
	if err != nil || !found {
		return 0, errors.Join(errors.New("rpcrelay: the process has no bootstrap object"), err)
	}
	_, err = conn.Write(appendFinish(nil, askBootstrap, false))
	return boot, err
}

// watch closes the link once its target stops and nothing holds it.
func (l *link) watch() {
	select {
	case <-l.target.Stopping():
	case <-l.s.done:
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.retire(l)
}

func (l *link) read() error {
	for {
		if err := l.readBuffered(); err != nil {
			return err
		}
		if err := l.in.fill(); err != nil {
			return err
		}
	}
}

func (l *link) readBuffered() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for {
		m, err := l.in.next()
		if err != nil {
			return err
		}
		if m == nil {
			break
		}
		if l.dead != nil {
			return io.EOF
		}
		if err := l.fromProcess(m); err != nil {
			return fmt.Errorf("rpcrelay: from the process: %w", err)
		}
	}
	l.s.down.flush()
	l.out.flush()
	return nil
}

// enter counts a new call in. While the link is connecting, the target is held
// on behalf of all who wait; one that stops meanwhile still gets these, and none
// that comes later.
func (l *link) enter() bool {
	if l.dead != nil || l.retired {
		return false
	}
	if !l.ready {
		return !l.held || !stopping(l.target)
	}
	if !l.target.Acquire() {
		return false
	}
	if l.held {
		l.target.Release() // held once for all
	}
	l.held = true
	return true
}

func stopping(t Target) bool {
	select {
	case <-t.Stopping():
		return true
	default:
		return false
	}
}

// quiet reports whether nothing is open across the link.
func (l *link) quiet() bool {
	return l.open == 0 && len(l.backs) == 0 && len(l.byRemote) == 0 && len(l.imports) == 0
}

// settle lets go of the target when nothing is open any more, and of the
// connection when nothing will be.
func (l *link) settle() {
	if l.dead != nil || !l.ready || !l.quiet() {
		return
	}
	l.release()
	if l.retired {
		l.cut()
	}
}

func (l *link) release() {
	if l.held {
		l.held = false
		l.target.Release()
	}
}

// cut closes the connection; its reader cleans up.
func (l *link) cut() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.out.room.Broadcast()
}

// unimport gives back references to an export of the caller.
func (l *link) unimport(id, n uint32) error {
	have := l.imports[id]
	switch {
	case have < n:
		return errBroken
	case have == n:
		delete(l.imports, id)
		l.settle()
	default:
		l.imports[id] = have - n
	}
	return nil
}

// die ends all that is open across the link: the caller's calls fail, and what
// the process held is given back.
func (l *link) die(f *failure) {
	if l.dead != nil {
		return
	}
	s := l.s
	l.dead = f
	l.retired = true
	if s.current[l.key] == l {
		delete(s.current, l.key)
	}
	delete(s.links, l)
	l.out.buf, l.patches = nil, nil
	l.out.room.Broadcast()
	for id, q := range s.questions {
		if q.link != l || q.returned {
			continue
		}
		q.returned = true
		s.down.buf = appendFailure(s.down.buf, id, f)
		if q.finished {
			s.dropQuestion(id, q)
		}
	}
	for _, id := range l.backs {
		b := s.calls.get(id)
		if b.finished {
			continue // its answer is still to come
		}
		b.finished, b.release = true, true
		s.down.buf = appendFinish(s.down.buf, id, true)
		for _, r := range b.results {
			_ = l.unimport(r, 1)
		}
		b.results = nil
		if b.returned {
			s.calls.drop(id)
		}
	}
	for id, n := range l.imports {
		s.releaseToCaller(id, n)
	}
	clear(l.imports)
	for _, id := range l.byRemote {
		if e := s.exports.get(id); e.promise {
			e.promise = false
			s.down.buf = appendBrokenPromise(s.down.buf, id, f)
		}
	}
	l.release()
}
