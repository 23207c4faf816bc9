package rpcrelay

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
)

type nowhere struct{ net.Conn }

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) Close() error                { return nil }

type always struct{ held int }

func (a *always) Acquire() bool                        { a.held++; return true }
func (a *always) Release()                             { a.held-- }
func (*always) Stopping() <-chan struct{}              { return nil }
func (*always) Dial(context.Context) (net.Conn, error) { return nowhere{}, nil }

// FuzzSession feeds bytes of a caller and of two processes, in turns, and holds
// that nothing panics, that both sides' tables agree and that whatever was held
// is let go in the end.
func FuzzSession(f *testing.F) {
	caller, process := frames(f, "caller.bin"), frames(f, "process.bin")
	var both []byte
	for i := range max(len(caller), len(process)) {
		for side, list := range [][][]byte{caller, process} {
			if i < len(list) {
				both = append(append(both, byte(side)), list[i]...)
			}
		}
	}
	f.Add(both)
	for _, m := range [][]byte{
		appendBootstrap(nil, 0), appendFinish(nil, 0, true), appendRelease(nil, 1, 1),
		appendHosted(nil, 0, 3), appendFailure(nil, 0, lost()), appendBrokenPromise(nil, 1, lost()),
	} {
		f.Add(append([]byte{0}, m...))
		f.Add(append([]byte{1}, m...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		targets := []*always{{}, {}}
		s := newSession(nowhere{}, nil, Options{})
		events := 0
		s.o.Begin, s.o.End = func() error { events++; return nil }, func() { events-- }
		var links []*link
		for _, to := range targets {
			l := newLink(s, nil)
			l.target, l.conn, l.ready = to, nowhere{}, true
			l.out.to = nowhere{}
			s.links[l] = struct{}{}
			links = append(links, l)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for turn := 0; len(data) > 1; turn++ {
			side := int(data[0]) % 3
			var m message
			n, _, err := m.parse(data[1:len(data):len(data)])
			if err != nil || n == 0 {
				break
			}
			data = data[1+n:]
			s.current[nil] = links[turn/16%2]
			if s.current[nil].dead != nil {
				break
			}
			if side == 0 {
				if s.fromCaller(t.Context(), &m) != nil {
					break
				}
			} else if l := links[side-1]; l.dead == nil && l.fromProcess(&m) != nil {
				l.die(lost())
			}
			s.down.buf, links[0].out.buf, links[1].out.buf = nil, nil, nil
		}
		check(t, s)
		for _, l := range links {
			l.die(lost())
		}
		for i, to := range targets {
			if to.held != 0 {
				t.Errorf("target %d is held %d times", i, to.held)
			}
		}
		if events != s.events {
			t.Errorf("%d events were begun and not ended, %d are known", events, s.events)
		}
	})
}

// check holds that the tables agree with each other.
func check(t *testing.T, s *session) {
	t.Helper()
	open := make(map[*link]int)
	for _, q := range s.questions {
		open[q.link]++
	}
	for l := range s.links {
		if l.open != open[l] {
			t.Errorf("a link counts %d questions of %d", l.open, open[l])
		}
		for remote, id := range l.byRemote {
			if e := s.exports.get(id); e == nil || e.link != l || e.remote != remote || e.refs == 0 {
				t.Errorf("export %d is not in the table", id)
			}
		}
		for remote, id := range l.backs {
			if b := s.calls.get(id); b == nil || b.link != l || b.remote != remote {
				t.Errorf("call %d is not in the table", id)
			}
		}
	}
}

// frames are the messages of a recorded connection.
func frames(tb testing.TB, name string) [][]byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for len(data) > 0 {
		var m message
		n, _, err := m.parse(data)
		if err != nil || n == 0 {
			tb.Fatalf("%s is damaged: %v", name, err)
		}
		out = append(out, bytes.Clone(data[:n]))
		data = data[n:]
	}
	return out
}
