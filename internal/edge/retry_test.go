package edge_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/upstream"
)

// rawWorker plays a process byte by byte: f gets the number of the connection and
// the head of its first request.
func rawWorker(tb testing.TB, socket string, f func(n int, c net.Conn, head string)) {
	tb.Helper()
	ln, err := net.Listen("unix", socket)
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				f(n, c, readHead(c))
			})
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
}

// readHead reads a request's head and not a byte more.
func readHead(c net.Conn) string {
	var head []byte
	var b [1]byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if _, err := c.Read(b[:]); err != nil {
			break
		}
		head = append(head, b[0])
	}
	return string(head)
}

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func TestRetries(t *testing.T) {
	ended := func(_ int, _ net.Conn, _ string) {}
	tests := []struct {
		name, request string
		first         func(n int, c net.Conn, head string) // what the first connection does
		status        int
		conns         int64
	}{
		{"GET, process ends without an answer", "GET / HTTP/1.1\r\n", ended, 200, 2},
		{"PUT with a body that came with the head", "PUT / HTTP/1.1\r\nContent-Length: 3\r\n", ended, 200, 2},
		{"POST may have been seen", "POST / HTTP/1.1\r\n", ended, 502, 1},
		{"POST with a body may have been seen", "POST / HTTP/1.1\r\nContent-Length: 3\r\n", ended, 502, 1},
		{"GET, process ends in mid-head", "GET / HTTP/1.1\r\n", func(_ int, c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-")
		}, 502, 1},
		{"GET, process ends after an interim response", "GET / HTTP/1.1\r\n", func(_ int, c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
		}, 502, 1},
		{"GET, nonsense", "GET / HTTP/1.1\r\n", func(_ int, c net.Conn, _ string) {
			_, _ = io.WriteString(c, "SSH-2.0\r\n\r\n")
		}, 502, 1},
		{"GET, unasked upgrade", "GET / HTTP/1.1\r\n", func(_ int, c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n")
		}, 502, 1},
		{"GET, two lengths", "GET / HTTP/1.1\r\n", func(_ int, c net.Conn, _ string) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
		}, 502, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &worker{socket: t.TempDir() + "/w.sock"}
			var conns atomic.Int64
			rawWorker(t, w.socket, func(n int, c net.Conn, head string) {
				conns.Add(1)
				if strings.Contains(head, "Content-Length: 3\r\n") {
					_, _ = io.ReadFull(c, make([]byte, 3))
				}
				if n == 0 {
					tt.first(n, c, head)
					return
				}
				_, _ = io.WriteString(c, okResponse)
			})
			p := startWith(t, w)
			request := tt.request + "Host: " + host + "\r\n\r\n"
			if strings.Contains(request, "Content-Length") {
				request += "abc"
			}
			c := p.dial()
			c.send(request)
			resp, _ := c.answer("GET")
			if resp.StatusCode == http.StatusEarlyHints {
				resp, _ = c.answer("GET")
			}
			if resp.StatusCode != tt.status || conns.Load() != tt.conns {
				t.Errorf("%d over %d connections", resp.StatusCode, conns.Load())
			}
			if tt.status == 502 {
				p.events.wait(t, telemetry.KindPlatform, func(e telemetry.Event) bool {
					return e.Ray == resp.Header.Get("CF-Ray") && e.Message != "" && e.Script == "app"
				})
			}
		})
	}
}

// TestUnreadPost: a POST that lay unread in a connection when it was closed was
// seen by no worker, so it may be sent again.
func TestUnreadPost(t *testing.T) {
	w := &worker{socket: t.TempDir() + "/w.sock"}
	ln, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if n == 0 {
				time.Sleep(50 * time.Millisecond) // the request arrives, and is not read
				_ = c.Close()
				continue
			}
			_ = readHead(c)
			_, _ = io.WriteString(c, okResponse)
			_ = c.Close()
		}
	}()
	p := startWith(t, w)
	if resp, body := p.do("POST / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); body != "hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// TestProcessDiedBetweenRequests: the next request gets a new process.
func TestProcessDiedBetweenRequests(t *testing.T) {
	w := &worker{socket: t.TempDir() + "/w.sock"}
	stop := serveWorker(t, w.socket, http.HandlerFunc(hello))
	p := startWith(t, w)
	c := p.dial()
	for _, method := range []string{"GET", "POST"} {
		c.send(method + " / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if _, body := c.answer(method); body != "hello" {
			t.Fatalf("%q", body)
		}
		stop()
		_ = os.Remove(w.socket)
		// The service notices the death only after a few tries.
		replaced := make(chan struct{})
		go func() {
			defer close(replaced)
			time.Sleep(15 * time.Millisecond)
			w2 := w.socket + "2"
			stop = serveWorker(t, w2, http.HandlerFunc(hello))
			w.socket = w2
			w.pool.Swap(upstream.New(w2)).Close()
		}()
		c.send(method + " / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if resp, body := c.answer(method); body != "hello" {
			t.Fatalf("%s after the process died: %d %q", method, resp.StatusCode, body)
		}
		<-replaced // the answer has come through another process as far as the race detector can see
	}
}

func TestWorkerThatDoesNotStart(t *testing.T) {
	p := start(t, nil, func(_ *edge.Options, w *worker) {
		w.acquire = func() error { return errors.New("secret path /x/y") }
	})
	resp, body := p.get("/")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || strings.Contains(body, "secret") {
		t.Errorf("%d %v\n%s", resp.StatusCode, resp.Header, body)
	}
	p.events.wait(t, telemetry.KindPlatform, func(e telemetry.Event) bool {
		return e.Ray == resp.Header.Get("CF-Ray") && strings.Contains(e.Message, "secret path")
	})
}

// TestBrokenBody: an answer that breaks off must not look complete.
func TestBrokenBody(t *testing.T) {
	for name, answer := range map[string]string{
		"length":        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
		"chunked":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"bad chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
		"in mid-chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
		"large, length": "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			w := &worker{socket: t.TempDir() + "/w.sock"}
			rawWorker(t, w.socket, func(_ int, c net.Conn, _ string) { _, _ = io.WriteString(c, answer) })
			p := startWith(t, w)
			c := p.dial()
			c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			resp := c.head("GET")
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("taken for complete: %q", b)
			}
		})
	}
}

func TestAnswerThatEndsWithItsConnection(t *testing.T) {
	w := &worker{socket: t.TempDir() + "/w.sock"}
	rawWorker(t, w.socket, func(_ int, c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
	})
	p := startWith(t, w)
	c := p.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if resp, body := c.answer("GET"); body != "until the end" || len(resp.TransferEncoding) == 0 {
			t.Errorf("%q %v", body, resp.TransferEncoding)
		}
	}
}

// TestEveryConnectionIsUsedAgain: an exchange that was complete keeps both
// connections.
func TestEveryConnectionIsUsedAgain(t *testing.T) {
	w := &worker{socket: t.TempDir() + "/w.sock"}
	var conns atomic.Int64
	rawWorker(t, w.socket, func(_ int, c net.Conn, head string) {
		conns.Add(1)
		br := bufio.NewReader(c)
		for head != "" {
			_, _ = io.WriteString(c, okResponse)
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
		}
	})
	p := startWith(t, w)
	c := p.dial()
	for range 5 {
		c.send("POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 4\r\n\r\nab")
		time.Sleep(5 * time.Millisecond)
		c.send("cd")
		if _, body := c.answer("POST"); body != "hello" {
			t.Fatalf("%q", body)
		}
		c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		_, _ = c.answer("GET")
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections to the process", n)
	}
}
