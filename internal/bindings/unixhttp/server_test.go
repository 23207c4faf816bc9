package unixhttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/bindings/unixhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves a handler on a socket and returns how to connect to it.
func serve(tb testing.TB, s *unixhttp.Server) func(testing.TB) net.Conn {
	tb.Helper()
	dir, err := os.MkdirTemp("", "uh") //nolint:usetesting // a socket's path is short
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	s.Context, s.Log = context.Background(), slog.New(slog.DiscardHandler)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			tb.Errorf("Serve: %v", err)
		}
		os.RemoveAll(dir)
	})
	return func(tb testing.TB) net.Conn {
		tb.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			tb.Fatal(err)
		}
		return c
	}
}

// echo answers with what it was asked.
func echo(x *unixhttp.Exchange) {
	body, err := io.ReadAll(x.Request.Body)
	if err != nil {
		x.Begin(400, "cut")
		x.Send(nil)
		return
	}
	x.Begin(200, "OK")
	x.Field("X-Path", x.Request.RequestURI)
	x.Send(body)
}

func read(t *testing.T, r *bufio.Reader) (status, body string, h http.Header) {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return err.Error(), "", nil
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error(), string(raw), nil
	}
	return res.Status, string(raw), res.Header
}

const host = " HTTP/1.1\r\nHost: h\r\n"

// TestPipelined sends requests of all framings at once on one connection.
func TestPipelined(t *testing.T) {
	dial := serve(t, &unixhttp.Server{Handler: echo})
	c := dial(t)
	big := strings.Repeat("b", 1<<20)
	requests := []struct{ text, body string }{
		{"GET /1" + host + "\r\n", ""},
		{"PUT /2" + host + "Content-Length: 3\r\n\r\nabc", "abc"},
		{"PUT /3" + host + "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n", "def"},
		{"PUT /4" + host + "Content-Length: 1048576\r\n\r\n" + big, big},
		{"GET /5" + host + "\r\n", ""},
	}
	go func() {
		for _, r := range requests {
			_, _ = io.WriteString(c, r.text)
		}
	}()
	r := bufio.NewReader(c)
	for i, want := range requests {
		status, body, h := read(t, r)
		if status != "200 OK" || body != want.body || h.Get("X-Path") != "/"+string(rune('1'+i)) {
			t.Fatalf("%d: %s, %d bytes, %v", i, status, len(body), h)
		}
	}
}

func TestAnswers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte(strings.Repeat("f", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	send := func(size int64) func(*unixhttp.Exchange) {
		return func(x *unixhttp.Exchange) {
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			x.Begin(200, "OK")
			if err := x.SendFile(f, size); (err == nil) != (size <= 100_000) {
				t.Errorf("SendFile of %d bytes: %v", size, err)
			}
		}
	}
	for name, c := range map[string]struct {
		handler func(*unixhttp.Exchange)
		status  string
		body    int
		again   bool // the connection takes another request
	}{
		"a reason":       {func(x *unixhttp.Exchange) { x.Begin(413, "Value is\r\n\x00ü too large"); x.Send(nil) }, "413 Value is????? too large", 0, true},
		"a field":        {func(x *unixhttp.Exchange) { x.Begin(200, "OK"); x.Field("A", "b\r\nC: d"); x.Send([]byte("x")) }, "200 OK", 1, true},
		"large":          {func(x *unixhttp.Exchange) { x.Begin(200, "OK"); x.Send(make([]byte, 3<<20)) }, "200 OK", 3 << 20, true},
		"file":           {send(100_000), "200 OK", 100_000, true},
		"part of a file": {send(10), "200 OK", 10, true},
		"shorter file":   {send(100_001), "unexpected EOF", 100_000, false},
		"none":           {func(*unixhttp.Exchange) {}, "500 the platform gave no answer", 0, true},
		"panic":          {func(*unixhttp.Exchange) { panic("boom") }, "unexpected EOF", 0, false},
		"twice":          {func(x *unixhttp.Exchange) { x.Begin(200, "OK"); x.Send(nil); x.Send(nil) }, "200 OK", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			conn := serve(t, &unixhttp.Server{Handler: c.handler})(t)
			r := bufio.NewReader(conn)
			for i := range 2 {
				_, _ = io.WriteString(conn, "GET /"+host+"\r\n")
				status, body, h := read(t, r)
				switch {
				case i == 0 || c.again:
					if status != c.status || len(body) != c.body || h.Get("C") != "" {
						t.Errorf("%d: %q, %d bytes, %v", i, status, len(body), h)
					}
				case status == c.status && c.body == 0 && name != "panic":
					t.Errorf("the connection went on: %s", status)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	dial := serve(t, &unixhttp.Server{Handler: echo, HeadBytes: 1000})
	for name, c := range map[string]struct{ text, status string }{
		"no HTTP":      {"SSH-2.0-OpenSSH\r\n\r\n", "400 Bad Request"},
		"head":         {"GET /" + host + "A: " + strings.Repeat("a", 5000) + "\r\n\r\n", "431 Request Header Fields Too Large"},
		"long line":    {"GET /" + strings.Repeat("a", 5000), "431 Request Header Fields Too Large"},
		"length":       {"PUT /" + host + "Content-Length: -1\r\n\r\n", "400 Bad Request"},
		"two lengths":  {"PUT /" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400 Bad Request"},
		"encoding":     {"PUT /" + host + "Transfer-Encoding: gzip\r\n\r\n", "400 Bad Request"},
		"broken chunk": {"PUT /" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "400 cut"},
	} {
		conn := dial(t)
		go func() { _, _ = io.WriteString(conn, c.text) }()
		if status, _, _ := read(t, bufio.NewReader(conn)); status != c.status {
			t.Errorf("%s: %q, want %q", name, status, c.status)
		}
	}
	// A long body is no long head.
	conn := dial(t)
	go func() {
		_, _ = io.WriteString(conn, "PUT /"+host+"Content-Length: 5000\r\n\r\n"+strings.Repeat("b", 5000))
	}()
	if status, body, _ := read(t, bufio.NewReader(conn)); status != "200 OK" || len(body) != 5000 {
		t.Errorf("%s, %d bytes", status, len(body))
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	dial := serve(t, &unixhttp.Server{Handler: echo, MaxConns: 2})
	ask := func(c net.Conn) string {
		_, _ = io.WriteString(c, "GET /"+host+"\r\n")
		status, _, _ := read(t, bufio.NewReader(c))
		return status
	}
	a, b := dial(t), dial(t)
	if ask(a) != "200 OK" || ask(b) != "200 OK" {
		t.Fatal("the first two are not answered")
	}
	if status := ask(dial(t)); status == "200 OK" {
		t.Error("a third connection is answered")
	}
	a.Close()
	for range 100 {
		time.Sleep(time.Millisecond)
		if ask(dial(t)) == "200 OK" {
			return
		}
	}
	t.Error("no room after one has ended")
}

// TestClose closes the server on idle connections and on a handler that runs.
func TestClose(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := &unixhttp.Server{Handler: func(x *unixhttp.Exchange) {
		close(entered)
		<-leave
		x.Begin(200, "OK")
		x.Send(nil)
	}}
	dial := serve(t, s)
	idle, busy := dial(t), dial(t)
	_, _ = io.WriteString(busy, "GET /"+host+"\r\n")
	<-entered
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	close(leave)
	for _, c := range []net.Conn{idle, busy} {
		if status, _, _ := read(t, bufio.NewReader(c)); status == "200 OK" {
			t.Error("answered after Close")
		}
	}
}

func FuzzRequests(f *testing.F) {
	dial := serve(f, &unixhttp.Server{Handler: echo, HeadBytes: 4096})
	f.Add([]byte("GET /a" + host + "\r\n"))
	f.Add([]byte("PUT /a" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"))
	f.Add([]byte("PUT /a" + host + "Content-Length: 2\r\n\r\nabGET"))
	f.Add([]byte("GET /a HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := dial(t)
		defer c.Close()
		if _, err := c.Write(data); err != nil {
			return
		}
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, c); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the server keeps %q waiting", data)
		}
	})
}
