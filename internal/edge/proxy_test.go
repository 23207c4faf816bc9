package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// dump answers with what the worker was told.
func dump(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s host=%s\n", r.Method, r.RequestURI, r.Host)
	for name, values := range r.Header {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, " | "))
	}
	_, _ = io.WriteString(w, b.String())
}

func TestWhatTheWorkerIsTold(t *testing.T) {
	p := start(t, http.HandlerFunc(dump))
	resp, body := p.get("/a%2Fb?x=%zz", "X-Mine: 1", "CF-Ray: forged", "cf-connecting-ip: 9.9.9.9", "CF-IPCountry: XX",
		"X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "Forwarded: for=9.9.9.9",
		"X-Real-IP: 9.9.9.9", "True-Client-IP: 9.9.9.9", "selvage-cf: {}", "Selvage-Proto: https", "selvage-depth: 3", "Selvage-Anything: 1",
		"Connection: X-Hop", "X-Hop: 1", "TE: trailers")
	ray := resp.Header.Get("CF-Ray")
	for _, want := range []string{
		"GET /a%2Fb?x=%zz host=" + host, "X-Mine: 1\n", "Cf-Ray: " + ray + "\n", "Cf-Connecting-Ip: 127.0.0.1\n",
		"X-Forwarded-For: 127.0.0.1\n", "X-Forwarded-Proto: http\n", "Selvage-Cf: {\"httpProtocol\":\"HTTP/1.1\"}\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("missing %q", want)
		}
	}
	for _, never := range []string{"9.9.9.9", "forged", "evil", "XX", "Anything", "Depth", "X-Hop", "Te:", "Selvage-Proto", "Cf-Visitor"} {
		if strings.Contains(body, never) {
			t.Errorf("%q came through", never)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
	if len(ray) != 16 || resp.Header.Get("Server") != "selvage" || resp.Header.Get("Date") == "" {
		t.Errorf("response header: %v", resp.Header)
	}
}

func TestTrustedProxy(t *testing.T) {
	p := start(t, http.HandlerFunc(dump), func(o *edge.Options, _ *worker) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	tests := []struct{ name, field, want string }{
		{"right-most that is not trusted", "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.0.0.1", "Cf-Connecting-Ip: 2.2.2.2\n"},
		{"over several fields", "X-Forwarded-For: 3.3.3.3\r\nX-Forwarded-For: 10.0.0.1", "Cf-Connecting-Ip: 3.3.3.3\n"},
		{"all trusted", "X-Forwarded-For: 10.0.0.2, 10.0.0.1", "Cf-Connecting-Ip: 10.0.0.2\n"},
		{"nonsense stops it", "X-Forwarded-For: 4.4.4.4, unknown, 10.0.0.1", "Cf-Connecting-Ip: 10.0.0.1\n"},
		{"with a port", "X-Forwarded-For: [2001:db8::1]:443", "Cf-Connecting-Ip: 2001:db8::1\n"},
		{"the list is kept", "X-Forwarded-For: 5.5.5.5", "X-Forwarded-For: 5.5.5.5, 127.0.0.1\n"},
		{"scheme", "X-Forwarded-Proto: https", "Selvage-Proto: https\n"},
		{"visitor", "X-Forwarded-Proto: https", "Cf-Visitor: {\"scheme\":\"https\"}\n"},
		{"platform fields are never believed", "CF-Connecting-IP: 6.6.6.6", "Cf-Connecting-Ip: 127.0.0.1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, body := p.get("/", tt.field); !strings.Contains(body, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, body)
			}
		})
	}
	p.edge.SetTrustedProxies(nil)
	if _, body := p.get("/", "X-Forwarded-For: 1.1.1.1"); strings.Contains(body, "1.1.1.1") {
		t.Error("still trusted after SetTrustedProxies(nil)")
	}
}

func TestInsideConnection(t *testing.T) {
	p := start(t, http.HandlerFunc(dump))
	ours, theirs := net.Pipe()
	go p.edge.ServeConnFrom(theirs, netip.Addr{})
	defer ours.Close()
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/", strings.NewReader(strings.Repeat("x", 100_000)))
	req.Header.Set("Selvage-Proto", "https")
	req.Header.Set("Selvage-Depth", "2")
	req.Header.Set("CF-Connecting-IP", "9.9.9.9")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, want := range []string{"Selvage-Proto: https\n", "Selvage-Depth: 2\n", "X-Forwarded-Proto: https\n"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if strings.Contains(string(body), "9.9.9.9") || strings.Contains(string(body), "Connecting") {
		t.Errorf("a client's address was made up:\n%s", body)
	}
}

func TestResponses(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/304", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "part;")
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/own", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "mine")
		w.Header().Set("CF-Ray", "mine")
		w.Header().Set("Selvage-Secret", "mine")
		w.Header().Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
		w.Header().Set("Keep-Alive", "timeout=1")
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "done")
	})
	p := start(t, mux)

	t.Run("keep-alive over all kinds", func(t *testing.T) {
		c := p.dial()
		for _, tt := range []struct {
			method, path string
			status       int
			length       int64
			body         string
		}{
			{"GET", "/hello", 200, 5, "hello"},
			{"HEAD", "/hello", 200, 5, ""},
			{"GET", "/204", 204, 0, ""},
			{"GET", "/304", 304, 0, ""},
			{"GET", "/chunked", 200, -1, "part;part;part;"},
			{"HEAD", "/chunked", 200, -1, ""},
			{"GET", "/hello", 200, 5, "hello"},
		} {
			c.send(tt.method + " " + tt.path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			resp, body := c.answer(tt.method)
			if resp.StatusCode != tt.status || body != tt.body || tt.status == 200 && resp.ContentLength != tt.length {
				t.Errorf("%s %s: %d, length %d, %q", tt.method, tt.path, resp.StatusCode, resp.ContentLength, body)
			}
		}
	})
	t.Run("fields that are the platform's", func(t *testing.T) {
		resp, _ := p.get("/own")
		h := resp.Header
		if h.Get("Server") != "selvage" || h.Get("CF-Ray") == "mine" || len(h.Values("CF-Ray")) != 1 || h.Get("Selvage-Secret") != "" || h.Get("Keep-Alive") != "" {
			t.Errorf("%v", h)
		}
		if h.Get("Date") != "Sun, 06 Nov 1994 08:49:37 GMT" || len(h.Values("Date")) != 1 {
			t.Errorf("the worker's Date is gone: %v", h.Values("Date"))
		}
	})
	t.Run("early hints", func(t *testing.T) {
		c := p.dial()
		c.send("GET /hints HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		if resp := c.head("GET"); resp.StatusCode != http.StatusEarlyHints || resp.Header.Get("Link") == "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		if _, body := c.answer("GET"); body != "done" {
			t.Errorf("%q", body)
		}
	})
	t.Run("HTTP/1.0", func(t *testing.T) {
		c := p.dial()
		c.send("GET /hello HTTP/1.0\r\nHost: " + host + "\r\nConnection: keep-alive\r\n\r\n")
		if resp, body := c.answer("GET"); body != "hello" || resp.Header.Get("Connection") != "keep-alive" {
			t.Errorf("%q %v", body, resp.Header)
		}
		c.send("GET /chunked HTTP/1.0\r\nHost: " + host + "\r\n\r\n")
		resp, body := c.answer("GET")
		if body != "part;part;part;" || len(resp.TransferEncoding) > 0 {
			t.Errorf("%q %v", body, resp.TransferEncoding)
		}
		c.closed()
	})
	t.Run("pipelined", func(t *testing.T) {
		c := p.dial()
		one := "GET /hello HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		post := "POST /hello HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\n\r\nabc"
		chunks := "POST /hello HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
		c.send(one + post + chunks + strings.Repeat(one, 200) + one[:20])
		for i := range 203 {
			if _, body := c.answer("GET"); body != "hello" {
				t.Fatalf("answer %d: %q", i, body)
			}
		}
		c.send(one[20:])
		if _, body := c.answer("GET"); body != "hello" {
			t.Errorf("the split one: %q", body)
		}
	})
	t.Run("close", func(t *testing.T) {
		c := p.dial()
		c.send("GET /hello HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		if resp, _ := c.answer("GET"); !resp.Close {
			t.Error("no Connection: close")
		}
		c.closed()
	})
}

func TestServerSentEvents(t *testing.T) {
	step := make(chan struct{})
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-step:
			case <-r.Context().Done():
				return
			}
			fmt.Fprintf(w, "data: %d\n\n", i)
		}
	}))
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	resp := c.head("GET") // comes before the first event
	for i := range 3 {
		step <- struct{}{}
		want := fmt.Sprintf("data: %d\n\n", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if n := p.worker.inFlight(); n != 1 {
		t.Errorf("%d in flight", n)
	}
	_ = c.Close() // the silent worker must hear of it
	eventually(t, "the release", func() bool { return p.worker.inFlight() == 0 })
}

func TestClientGoesAwayWhileTheWorkerIsSilent(t *testing.T) {
	gone := make(chan struct{}, 1)
	p := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	heard := func(t *testing.T) {
		t.Helper()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("the worker still waits")
		}
	}
	t.Run("tcp", func(t *testing.T) {
		c := p.dial()
		c.send("GET /gone HTTP/1.1\r\nHost: " + host + "\r\n\r\nGET /pipelined")
		time.Sleep(20 * time.Millisecond)
		_ = c.Close()
		heard(t)
		p.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool {
			return e.Path == "/gone" && e.Status == 499 && e.Outcome == telemetry.OutcomeCanceled
		})
	})
	t.Run("in mid-body", func(t *testing.T) {
		c := p.dial()
		c.send("POST /body HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 100\r\n\r\nabc")
		time.Sleep(20 * time.Millisecond)
		_ = c.Close()
		heard(t)
	})
	t.Run("pipe", func(t *testing.T) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.edge.ServeConn(theirs)
		}()
		_, _ = io.WriteString(ours, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		_ = ours.Close()
		heard(t)
		<-done
	})
}

func TestWebSocket(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		for {
			kind, b, err := ws.Read(r.Context())
			if err != nil || ws.Write(r.Context(), kind, append([]byte("echo "), b...)) != nil {
				return
			}
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
	}}
	defer tr.CloseIdleConnections()
	ws, _, err := websocket.Dial(ctx, "ws://"+host+"/", &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"a", strings.Repeat("b", 30_000)} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(word)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := ws.Read(ctx); err != nil || string(b) != "echo "+word {
			t.Fatalf("%.20q, %v", b, err)
		}
	}
	if n := p.worker.inFlight(); n != 1 {
		t.Errorf("%d in flight while open", n)
	}
	if err := ws.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("close: %v", err)
	}
	eventually(t, "the release", func() bool { return p.worker.inFlight() == 0 })
	p.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool { return e.Status == 101 && e.BytesOut > 30_000 })
}

func TestTunnelHalfClose(t *testing.T) {
	w := &worker{socket: t.TempDir() + "/w.sock"}
	rawWorker(t, w.socket, func(_ int, c net.Conn, _ string) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst;")
		b, _ := io.ReadAll(c) // until the client has closed its side
		_, _ = io.WriteString(c, "heard "+string(b))
	})
	p := startWith(t, w)
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nearly ")
	if resp := c.head("GET"); resp.StatusCode != http.StatusSwitchingProtocols || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	c.send("late")
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c.br); err != nil || string(b) != "first;heard early late" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestUpgradesThatAreNotPassedOn(t *testing.T) {
	p := start(t, http.HandlerFunc(dump))
	for _, fields := range [][]string{{"Connection: Upgrade", "Upgrade: h2c"}, {"Upgrade: websocket"}} {
		if resp, body := p.get("/", fields...); resp.StatusCode != http.StatusOK || strings.Contains(body, "Upgrade") {
			t.Errorf("%q: %d\n%s", fields, resp.StatusCode, body)
		}
	}
}
