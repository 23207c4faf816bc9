package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server accepts connections on a unix socket and keeps them for the test.
type server struct {
	path  string
	conns chan net.Conn
}

func serve(tb testing.TB, handle func(net.Conn)) *server {
	tb.Helper()
	dir, err := os.MkdirTemp("", "up") //nolint:usetesting // t.TempDir may be too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{path: filepath.Join(dir, "s.sock"), conns: make(chan net.Conn, 1000)}
	l, err := net.Listen("unix", s.path)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns <- c
			if handle != nil {
				wg.Go(func() { handle(c) })
			}
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		for len(s.conns) > 0 {
			_ = (<-s.conns).Close()
		}
		wg.Wait()
		_ = os.RemoveAll(dir)
	})
	return s
}

func get(t *testing.T, p *upstream.Pool) *upstream.Conn {
	t.Helper()
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReuseIsLastInFirstOut(t *testing.T) {
	p := upstream.New(serve(t, nil).path)
	defer p.Close()
	a, b := get(t, p), get(t, p)
	if a.Reused || b.Reused {
		t.Error("a fresh connection says that it was used")
	}
	b.Buf = append(b.Buf, "something"...)
	p.Put(a)
	p.Put(b)
	if c := get(t, p); c != b || !c.Reused || len(c.Buf) != 0 {
		t.Errorf("got %p (reused %t, %d bytes), want %p", c, c.Reused, len(c.Buf), b)
	}
	if c := get(t, p); c != a {
		t.Error("the older one did not come second")
	}
	_, _ = a.Close(), b.Close()
}

func TestDeadConnectionsAreNotReturned(t *testing.T) {
	for name, kill := range map[string]func(peer net.Conn) error{
		"closed by the worker": func(c net.Conn) error { return c.Close() },
		"unasked bytes":        func(c net.Conn) error { _, err := c.Write([]byte("HTTP/1.1 408")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil)
			p := upstream.New(s.path)
			defer p.Close()
			a := get(t, p)
			peer := <-s.conns
			p.Put(a)
			if err := kill(peer); err != nil {
				t.Fatal(err)
			}
			b := get(t, p)
			defer b.Close()
			if b == a || b.Reused {
				t.Error("got the dead connection")
			}
			_ = peer.Close()
		})
	}
	t.Run("bytes left in the buffer", func(t *testing.T) {
		s := serve(t, nil)
		p := upstream.New(s.path)
		defer p.Close()
		a := get(t, p)
		peer := <-s.conns
		if _, err := peer.Write([]byte("ab")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reader.ReadByte(); err != nil {
			t.Fatal(err)
		}
		p.Put(a)
		if p.Idle() != 0 {
			t.Error("a connection with unread bytes was kept")
		}
		_ = peer.Close()
	})
}

func TestClose(t *testing.T) {
	p := upstream.New(serve(t, nil).path)
	a, b := get(t, p), get(t, p)
	p.Put(a)
	p.Close()
	p.Close()
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("idle connection after Close: %v", err)
	}
	if _, err := b.Write([]byte("x")); err != nil {
		t.Errorf("connection in use after Close: %v", err)
	}
	p.Put(b)
	if _, err := b.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("connection put back after Close: %v", err)
	}
	if _, err := p.Get(t.Context()); !errors.Is(err, upstream.ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	p := upstream.New(filepath.Join(t.TempDir(), "none.sock"))
	if _, err := p.Get(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := upstream.New(serve(t, nil).path).Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestIdleOnesAreBounded(t *testing.T) {
	p := upstream.New(serve(t, nil).path)
	defer p.Close()
	var conns []*upstream.Conn
	for range 300 {
		conns = append(conns, get(t, p))
	}
	for _, c := range conns {
		p.Put(c)
	}
	if p.Idle() != 256 {
		t.Errorf("%d lie idle", p.Idle())
	}
}

func TestIdleOnesExpire(t *testing.T) {
	s := serve(t, nil) // outside of the bubble: its goroutine waits on the network
	synctest.Test(t, func(t *testing.T) {
		p := upstream.New(s.path)
		old, young := get(t, p), get(t, p)
		p.Put(old)
		time.Sleep(3 * time.Second)
		p.Put(young)
		if p.Idle() != 2 {
			t.Fatalf("%d lie idle", p.Idle())
		}
		time.Sleep(2100 * time.Millisecond)
		synctest.Wait()
		if p.Idle() != 1 {
			t.Errorf("%d lie idle after the first expired", p.Idle())
		}
		if _, err := old.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the expired one is open: %v", err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if p.Idle() != 0 {
			t.Errorf("%d lie idle after both expired", p.Idle())
		}
		// The timer starts again with the next one.
		c := get(t, p)
		if c.Reused {
			t.Error("an expired connection came back")
		}
		p.Put(c)
		time.Sleep(5100 * time.Millisecond)
		synctest.Wait()
		if p.Idle() != 0 {
			t.Errorf("%d lie idle", p.Idle())
		}
		p.Close()
	})
}

func TestConcurrentUse(t *testing.T) {
	p := upstream.New(serve(t, answer).path)
	defer p.Close()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				if err := exchange(t.Context(), p); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := p.Idle(); n == 0 || n > 16 {
		t.Errorf("%d lie idle", n)
	}
}

func TestWarmPathAllocatesNothing(t *testing.T) {
	p := upstream.New(serve(t, nil).path)
	defer p.Close()
	p.Put(get(t, p))
	if n := testing.AllocsPerRun(100, func() { p.Put(get(t, p)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// answer is a server that answers every request with 204.
func answer(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		if _, err := http.ReadRequest(r); err != nil {
			_ = c.Close()
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
			return
		}
	}
}

func exchange(ctx context.Context, p *upstream.Pool) error {
	c, err := p.Get(ctx)
	if err != nil {
		return err
	}
	c.Buf = append(c.Buf, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...)
	if _, err := c.Write(c.Buf); err != nil {
		return err
	}
	for {
		line, err := c.Reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
	}
	p.Put(c)
	return nil
}

func BenchmarkGetPut(b *testing.B) {
	p := upstream.New(serve(b, nil).path)
	defer p.Close()
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c, err := p.Get(ctx)
		if err != nil {
			b.Fatal(err)
		}
		p.Put(c)
	}
}

func BenchmarkGetPutParallel(b *testing.B) {
	p := upstream.New(serve(b, nil).path)
	defer p.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := p.Get(context.Background())
			if err != nil {
				b.Error(err)
				return
			}
			p.Put(c)
		}
	})
}

func BenchmarkDial(b *testing.B) {
	s := serve(b, func(c net.Conn) { _, _ = io.Copy(io.Discard, c); _ = c.Close() })
	go func() {
		for range s.conns { // keeps the channel from filling up
		}
	}()
	p := upstream.New(s.path)
	b.ReportAllocs()
	for b.Loop() {
		c, err := p.Dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
	b.Cleanup(func() { close(s.conns) })
}
