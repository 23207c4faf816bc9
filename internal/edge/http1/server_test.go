package http1

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/edge/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler answers as the path says.
type handler struct{}

func (handler) ServeRequest(_ context.Context, w wire.ResponseWriter, r *wire.Request) {
	switch r.Target {
	case "/panic":
		panic("as asked")
	case "/body":
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHead(http.StatusRequestTimeout, nil, 0)
			_ = w.Finish(nil)
			return
		}
	}
	w.WriteHead(http.StatusOK, nil, 2)
	_ = w.Write([]byte("ok"))
	_ = w.Finish(nil)
}

func (handler) RejectRequest(w wire.ResponseWriter, _ *wire.Request, why wire.Fault) {
	w.WriteHead(why.Status(), nil, 0)
	_ = w.Finish(nil)
}

// session is a client's end of a connection.
type session struct {
	*testing.T

	c  net.Conn
	br *bufio.Reader
}

// talk runs a server on one end of a pipe, in a bubble of fake time.
func talk(t *testing.T, f func(s session)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Handler: handler{}, Log: slog.New(slog.DiscardHandler)})
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.ServeConn(theirs, nil)
		}()
		f(session{t, ours, bufio.NewReader(ours)})
		_ = ours.Close()
		<-done
		time.Sleep(time.Second) // the janitor finds nobody and ends
	})
}

func status(t *testing.T, br *bufio.Reader) int {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// about fails the test unless d is want, or up to a tick more.
func about(t *testing.T, d, want time.Duration) {
	t.Helper()
	if d < want || d > want+600*time.Millisecond {
		t.Errorf("after %v, want %v", d, want)
	}
}

func TestTimeouts(t *testing.T) {
	t.Run("nothing comes", func(t *testing.T) {
		talk(t, func(s session) {
			start := time.Now()
			if _, err := s.br.ReadByte(); err == nil {
				s.Error("an answer to nothing")
			}
			about(s.T, time.Since(start), 10*time.Second)
		})
	})
	t.Run("head", func(t *testing.T) {
		talk(t, func(s session) {
			start := time.Now()
			go func() { // a byte a second does not help
				for _, b := range []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
					if _, err := s.c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			if got := status(s.T, s.br); got != 408 {
				s.Error(got)
			}
			about(s.T, time.Since(start), 10*time.Second)
		})
	})
	t.Run("body", func(t *testing.T) {
		talk(t, func(s session) {
			_, _ = io.WriteString(s.c, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
			start := time.Now()
			if got := status(s.T, s.br); got != 408 {
				s.Error(got)
			}
			about(s.T, time.Since(start), 30*time.Second)
		})
	})
	t.Run("idle", func(t *testing.T) {
		talk(t, func(s session) {
			for range 3 {
				_, _ = io.WriteString(s.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if got := status(s.T, s.br); got != 200 {
					s.Fatal(got)
				}
				time.Sleep(70 * time.Second) // not yet too long
			}
			_, _ = io.WriteString(s.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			_ = status(s.T, s.br)
			start := time.Now()
			_, _ = s.br.ReadByte()
			about(s.T, time.Since(start), 75*time.Second)
		})
	})
	t.Run("write", func(t *testing.T) {
		talk(t, func(s session) {
			_, _ = io.WriteString(s.c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			time.Sleep(61 * time.Second) // the answer is not taken
			if b, err := s.br.Peek(1); err == nil {
				s.Errorf("still there: %q", b)
			}
		})
	})
}

func TestPanic(t *testing.T) {
	talk(t, func(s session) {
		_, _ = io.WriteString(s.c, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := status(s.T, s.br); got != 500 {
			s.Error(got)
		}
		if _, err := s.br.ReadByte(); err != io.EOF {
			s.Errorf("the connection goes on: %v", err)
		}
	})
}
