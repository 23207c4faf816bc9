package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

func TestPages(t *testing.T) {
	p := start(t, http.HandlerFunc(hello), func(o *edge.Options, _ *worker) {
		o.Workers.(lookup)["empty.test"] = edge.Target{}
	})
	tests := []struct {
		name, request string
		status        int
		code          string
	}{
		{"unknown host", "GET / HTTP/1.1\r\nHost: Nobody.test:80\r\n", 404, "unknown_host"},
		{"nothing deployed", "GET / HTTP/1.1\r\nHost: empty.test\r\n", 404, "not_found"},
		{"no host", "GET / HTTP/1.0\r\n", 400, "no_host"},
		{"bad request", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, "bad_request"},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n", 405, "method_not_allowed"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: " + host + "\r\n", 405, "method_not_allowed"},
		{"body too large", "POST / HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 999999999999\r\n", 413, "body_too_large"},
		{"uri too long", "GET /" + strings.Repeat("a", 20_000) + " HTTP/1.1\r\nHost: " + host + "\r\n", 414, "uri_too_long"},
		{"expectation", "GET / HTTP/1.1\r\nHost: " + host + "\r\nExpect: x\r\n", 417, "expectation_failed"},
		{"head too large", "GET / HTTP/1.1\r\nHost: " + host + "\r\nX: " + strings.Repeat("a", 70_000) + "\r\n", 431, "head_too_large"},
		{"version", "GET / HTTP/3.0\r\nHost: a\r\n", 505, "version_not_supported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := p.do(tt.request + "\r\n")
			ray := resp.Header.Get("CF-Ray")
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.code) || !strings.Contains(body, ray) || len(ray) != 16 {
				t.Errorf("%d %v\n%s", resp.StatusCode, resp.Header, body)
			}
			if tt.status == 405 && resp.Header.Get("Allow") == "" {
				t.Error("no Allow")
			}
			p.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool { return e.Ray == ray && e.Status == tt.status })
		})
	}
}

func TestPageFormats(t *testing.T) {
	p := start(t, nil)
	for _, tt := range []struct{ accept, want string }{
		{"", "text/plain"},
		{"*/*", "text/plain"},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"},
		{"application/json", "application/json"},
		{"text/html;q=0.5, application/json;q=0.9", "application/json"},
		{"application/json;q=0, text/html;q=0.1", "text/html"},
		{"text/plain, text/html;q=0.9", "text/plain"},
		{"text/html;q=nonsense", "text/plain"},
		{",,;;q=,", "text/plain"},
	} {
		resp, body := p.do("GET /<script> HTTP/1.1\r\nHost: x'y.test\r\nAccept: " + tt.accept + "\r\n\r\n")
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q: %s", tt.accept, got)
		}
		switch tt.want {
		case "application/json":
			var v struct {
				Code    string `json:"code"`
				Message string `json:"message"`
				Ray     string `json:"ray"`
			}
			if err := json.Unmarshal([]byte(body), &v); err != nil || v.Code != "unknown_host" || v.Ray != resp.Header.Get("CF-Ray") || !strings.Contains(v.Message, "x'y.test") {
				t.Errorf("%v: %s", err, body)
			}
		case "text/html":
			if strings.Contains(body, "x'y.test") || !strings.Contains(body, "x&#39;y.test") {
				t.Errorf("the host is not escaped:\n%s", body)
			}
		}
	}
}

func TestHostForms(t *testing.T) {
	p := start(t, http.HandlerFunc(dump))
	for _, h := range []string{host, strings.ToUpper(host), host + ":8787", host + ".", host + ".:80"} {
		if resp, body := p.do("GET / HTTP/1.1\r\nHost: " + h + "\r\n\r\n"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "host="+h+"\n") {
			t.Errorf("%s: %d %s", h, resp.StatusCode, body)
		}
	}
	if resp, body := p.do("GET http://" + host + "/x HTTP/1.1\r\nHost: other.test\r\n\r\n"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "GET /x host="+host+"\n") {
		t.Errorf("absolute form: %d %s", resp.StatusCode, body)
	}
}

func TestCookiesOfSharedDomains(t *testing.T) {
	cookies := []struct {
		set   string
		drops bool
	}{
		{"a=1", false},
		{"a=1; Domain=app.me.workers.example.net", false},
		{"a=1; domain=.APP.me.workers.example.net; Path=/", false},
		{"a=1; Domain=me.workers.example.net", false}, // this account's own
		{"a=1; Domain=workers.example.net", true},
		{"a=1; Domain=.workers.example.net", true},
		{"a=1; Secure; DOMAIN = Example.NET.; Path=/", true},
		{"a=1; Domain=net", true},
		{"a=1; Domain=app.test; Domain=example.net", true},
		{"a=1; Domain=example.net; Domain=app.test", false},
		{"a=1; Domain=ers.example.net", false},
		{"a=Domain=example.net", false},
		{"a=1; Domain=", false},
	}
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, c := range cookies {
			w.Header().Add("Set-Cookie", c.set)
		}
	}), func(o *edge.Options, _ *worker) { o.CookieSuffixes = []string{"workers.Example.net", "example.net"} })
	resp, _ := p.get("/")
	got := resp.Header.Values("Set-Cookie")
	for _, c := range cookies {
		i := 0
		for i < len(got) && got[i] != c.set {
			i++
		}
		if (i == len(got)) != c.drops {
			t.Errorf("%q: dropped %v", c.set, !c.drops)
		}
	}
	p.events.wait(t, telemetry.KindPlatform, func(e telemetry.Event) bool {
		return e.Ray == resp.Header.Get("CF-Ray") && strings.Contains(e.Message, "dropped the cookie a")
	})
}

func TestLimits(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}), func(o *edge.Options, _ *worker) {
		o.Limits = edge.Limits{
			BodyBytes: 1000, HeadTimeout: 150 * time.Millisecond, BodyTimeout: 150 * time.Millisecond,
			IdleTimeout: 150 * time.Millisecond, BodyRate: 1000, BodyGrace: 200 * time.Millisecond,
		}
	})
	post := "POST / HTTP/1.1\r\nHost: " + host + "\r\n"
	t.Run("chunked body too large", func(t *testing.T) {
		c := p.dial()
		c.send(post + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 11) + "0\r\n\r\n")
		if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
			t.Errorf("%d", resp.StatusCode)
		}
		c.closed()
	})
	t.Run("body of exactly the limit", func(t *testing.T) {
		if _, body := p.do(post + "Content-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000)); body != "1000 <nil>" {
			t.Errorf("%q", body)
		}
	})
	t.Run("bad chunk", func(t *testing.T) {
		if resp, _ := p.do(post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("slow head", func(t *testing.T) {
		c := p.dial()
		for _, piece := range []string{"GET / HT", "TP/1.1\r\nHo"} {
			c.send(piece)
			time.Sleep(50 * time.Millisecond)
		}
		if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%d", resp.StatusCode)
		}
		c.closed()
	})
	t.Run("body stalls", func(t *testing.T) {
		if resp, _ := p.do(post + "Content-Length: 10\r\n\r\nabc"); resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("body trickles", func(t *testing.T) {
		c := p.dial()
		c.send(post + "Content-Length: 900\r\n\r\n")
		go func() {
			for range 100 {
				time.Sleep(20 * time.Millisecond)
				if _, err := io.WriteString(c.Conn, "x"); err != nil {
					return
				}
			}
		}()
		if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("idle", func(*testing.T) {
		c := p.dial()
		c.closed()
		c = p.dial()
		c.send(post + "\r\n")
		_, _ = c.answer("POST")
		c.closed()
	})
}

func TestConnectionLimits(t *testing.T) {
	for name, l := range map[string]edge.Limits{"in all": {Conns: 2}, "per address": {ConnsPerIP: 2}} {
		t.Run(name, func(t *testing.T) {
			p := start(t, http.HandlerFunc(hello), func(o *edge.Options, _ *worker) { o.Limits = l })
			ask := func(c *client) int {
				c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
				resp, _ := c.answer("GET")
				return resp.StatusCode
			}
			a, b := p.dial(), p.dial()
			if ask(a) != 200 || ask(b) != 200 {
				t.Fatal("within the limit")
			}
			c := p.dial()
			if resp, body := c.answer("GET"); resp.StatusCode != http.StatusServiceUnavailable || int64(len(body)) != resp.ContentLength || resp.Header.Get("Retry-After") == "" {
				t.Errorf("beyond the limit: %d %q", resp.StatusCode, body)
			}
			_ = a.Close()
			eventually(t, "a free place", func() bool {
				c := p.dial()
				defer c.Close()
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
				resp, err := http.ReadResponse(c.br, nil)
				return err == nil && resp.StatusCode == http.StatusOK
			})
		})
	}
}

func TestClientThatDoesNotRead(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}), func(o *edge.Options, _ *worker) { o.Limits.WriteTimeout = 200 * time.Millisecond })
	c := p.dial()
	c.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	p.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool { return e.Status == 200 })
	if n := p.worker.inFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

// site is a version's assets as the test wants them.
type site struct {
	action assets.Action
	resp   func(r *assets.Request) assets.Response
}

func (s site) Route(*assets.Request, bool) assets.Action { return s.action }
func (s site) Respond(r *assets.Request) (assets.Response, error) {
	if s.resp == nil {
		return assets.Response{}, errors.New("disk on fire")
	}
	return s.resp(r), nil
}

func TestAssets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "asset")
	content := strings.Repeat("0123456789", 200_000)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	respond := func(r *assets.Request) assets.Response {
		resp := assets.Response{Status: 200, Header: []assets.Field{{Name: "ETag", Value: `"x"`}}, Length: 5}
		switch r.Path {
		case "/file", "/range", "/small":
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
			}
			resp.Body = assets.Body{File: f, Length: int64(len(content))}
			if r.Path == "/range" {
				resp.Status = 206
				resp.Body.Offset, resp.Body.Length = 12_345, 500_000
			}
			if r.Path == "/small" {
				resp.Body.Offset, resp.Body.Length = 5, 100
			}
			resp.Length = resp.Body.Length
			if r.Method == http.MethodHead {
				_ = f.Close()
				resp.Body = assets.Body{}
			}
		case "/304":
			resp.Status, resp.Length = 304, -1
		default:
			if r.Header("If-None-Match") != "here" || r.RawQuery != "q" || r.Scheme != "http" || r.Host != "site.test" {
				t.Errorf("%+v", r)
			}
			resp.Body.Bytes = []byte("bytes")
		}
		return resp
	}
	p := start(t, http.HandlerFunc(hello), func(o *edge.Options, w *worker) {
		l := o.Workers.(lookup)
		l["site.test"] = edge.Target{Site: site{assets.Serve, respond}}
		l["worker.test"] = edge.Target{Site: site{assets.RunWorker, respond}, Worker: w}
		l["both.test"] = edge.Target{Site: site{assets.Serve, respond}, Worker: w}
		l["missing.test"] = edge.Target{Site: site{assets.NotFound, respond}}
		l["broken.test"] = edge.Target{Site: site{assets.Serve, nil}}
	})
	ask := func(c *client, method, h, path string) (*http.Response, string) {
		c.send(method + " " + path + " HTTP/1.1\r\nHost: " + h + "\r\nif-none-match: here\r\n\r\n")
		return c.answer(method)
	}
	c := p.dial()
	for _, tt := range []struct {
		method, host, path string
		status             int
		length             int64
		body               string
	}{
		{"GET", "site.test", "/b?q", 200, 5, "bytes"},
		{"HEAD", "site.test", "/b?q", 200, 5, ""},
		{"GET", "site.test", "/file", 200, 2_000_000, content},
		{"HEAD", "site.test", "/file", 200, 2_000_000, ""},
		{"GET", "site.test", "/range", 206, 500_000, content[12_345:512_345]},
		{"GET", "site.test", "/small", 200, 100, content[5:105]},
		{"GET", "site.test", "/304", 304, 0, ""},
		{"GET", "worker.test", "/", 200, 5, "hello"},
		{"POST", "both.test", "/file", 200, 5, "hello"},
	} {
		resp, body := ask(c, tt.method, tt.host, tt.path)
		if resp.StatusCode != tt.status || body != tt.body || tt.status != 304 && resp.ContentLength != tt.length {
			t.Errorf("%s %s%s: %d, %d bytes of %d", tt.method, tt.host, tt.path, resp.StatusCode, len(body), resp.ContentLength)
		}
		if tt.host == "site.test" && resp.Header.Get("ETag") != `"x"` {
			t.Errorf("%s: header %v", tt.path, resp.Header)
		}
	}
	if resp, _ := ask(c, "POST", "site.test", "/file"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := ask(c, "GET", "missing.test", "/"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "not_found") {
		t.Errorf("missing: %d %s", resp.StatusCode, body)
	}
	if resp, body := ask(c, "GET", "broken.test", "/"); resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "fire") {
		t.Errorf("broken: %d %s", resp.StatusCode, body)
	}
}

func TestAccessLogAndMetrics(t *testing.T) {
	p := start(t, http.HandlerFunc(hello))
	resp, _ := p.do("POST /path?secret=1 HTTP/1.1\r\nHost: " + host + ":80\r\nContent-Length: 3\r\n\r\nabc")
	e := p.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool { return e.Ray == resp.Header.Get("CF-Ray") })
	if e.Method != http.MethodPost || e.Host != host || e.Path != "/path" || e.Status != 200 || e.BytesOut != 5 || e.ClientIP != "127.0.0.1" ||
		e.Account != "acc" || e.Script != "app" || e.Version != "v1" || e.DurationUS <= 0 || e.Time.IsZero() || e.Outcome != telemetry.OutcomeOK {
		t.Errorf("%+v", e)
	}
	_, _ = p.get("/missing", "Host: other")
	eventually(t, "the count", func() bool { return p.edge.Requests() == 2 })
	families, err := p.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "/" + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"selvage_edge_requests_total/2xx":        1,
		"selvage_edge_requests_total/4xx":        1,
		"selvage_edge_requests_total/5xx":        0,
		"selvage_edge_request_duration_seconds":  2,
		"selvage_edge_request_body_bytes_total":  3,
		"selvage_edge_requests_in_flight":        0,
		"selvage_edge_connections_refused_total": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
	}
}

func TestShutdown(t *testing.T) {
	release := make(chan struct{})
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		hello(w, nil)
	}))
	idle, busy := p.dial(), p.dial()
	busy.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	eventually(t, "the request", func() bool { return p.worker.inFlight() == 1 })
	done := make(chan error, 1)
	go func() { done <- p.edge.Shutdown(context.Background()) }()
	idle.closed() // at once
	if _, err := net.Dial("tcp", p.addr); err == nil {
		t.Error("still accepting")
	}
	close(release)
	if resp, body := busy.answer("GET"); body != "hello" || !resp.Close {
		t.Errorf("%q, close %v", body, resp.Close)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			c, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(c, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
			return
		}
		<-r.Context().Done()
	}))
	silent, ws := p.dial(), p.dial()
	silent.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	ws.send("GET /ws HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if resp := ws.head("GET"); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.StatusCode)
	}
	eventually(t, "the requests", func() bool { return p.worker.inFlight() == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.edge.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if n := p.worker.inFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}
