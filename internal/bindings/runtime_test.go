package bindings_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/workers"
)

// origin answers with what it was asked, and can stream, redirect and shake
// hands for a WebSocket.
func origin(t *testing.T) http.Handler {
	t.Helper()
	mux := map[string]http.HandlerFunc{} // ServeMux would redirect "//x"
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Selvage-Error", "egress-refused")
		w.Header().Set("X-Origin", "yes")
		fmt.Fprintf(w, "%s %s %s %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		for _, name := range []string{"User-Agent", "Cf-Worker", "Cf-Connecting-Ip", "Selvage-Proto", "Selvage-Cf", "Selvage-Depth", "Selvage-Ray", "X-Forwarded-For", "Accept-Encoding", "Cf-Access-Client-Id"} {
			if v, ok := r.Header[name]; ok {
				fmt.Fprintf(w, "%s=%s\n", name, strings.Join(v, ","))
			}
		}
		w.Write(body)
	})
	mux["/redirect"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	}
	mux["/gzip"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "x-unknown")
		w.Write([]byte("as it is"))
	}
	mux["/cut"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("part"))
	}
	mux["/echo"] = func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		buf := make([]byte, 4096)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			http.NewResponseController(w).Flush()
			if err != nil {
				return
			}
		}
	}
	mux["/ws"] = func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			typ, data, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), typ, append([]byte("re:"), data...)) != nil {
				return
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := mux[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		echo(w, r)
	})
}

type fetchArgs struct {
	URL  string         `json:"url"`
	Init map[string]any `json:"init,omitempty"`
}

func TestRuntimeFetch(t *testing.T) {
	plain := httptest.NewServer(origin(t))
	defer plain.Close()
	secure := httptest.NewUnstartedServer(origin(t))
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // it is told of bad certificates
	secure.StartTLS()
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())

	s := bindings.New(bindings.Options{
		Resolver: resolve("origin.test", "127.0.0.1", "example.com", "127.0.0.1", "wrong.test", "127.0.0.1",
			"metadata.test", "169.254.169.254", "six.test", "::1"),
		RootCAs:    roots,
		WorkerZone: func(account string) string { return account + ".workers.test" },
	})
	w := startWorkerd(t, open(t, s, spec("app", plain.Listener.Addr(), secure.Listener.Addr())))
	http80 := "http://origin.test:" + port(plain.Listener.Addr())
	https := "https://example.com:" + port(secure.Listener.Addr())

	t.Run("fetch", func(t *testing.T) {
		r := w.do(t, "fetch", fetchArgs{URL: strings.Replace(http80, "//", "//user:pw@", 1) + "/a%2Fb|c?x=1;y=%zz#frag", Init: map[string]any{
			"method": "POST", "body": "hello", "cf": map[string]any{"cacheTtl": 5},
			"headers": map[string]string{
				"CF-Connecting-IP": "1.2.3.4", "CF-Worker": "evil", "selvage-proto": "https", "selvage-depth": "9", "Selvage-Ray": "x",
				"X-Forwarded-For": "5.6.7.8", "CF-Access-Client-Id": "mine",
			},
		}})
		want := "POST /a%2Fb|c?x=1;y=%zz HTTP/1.1 origin.test:" + port(plain.Listener.Addr()) + "\n" +
			"Cf-Worker=acc.workers.test\nX-Forwarded-For=5.6.7.8\nCf-Access-Client-Id=mine\nhello"
		if r.Status != 200 || r.Body != want || r.Header["selvage-error"] != "" || r.Header["x-origin"] != "yes" {
			t.Errorf("got %+v\nwant %s", r, want)
		}
	})
	t.Run("double slash", func(t *testing.T) {
		r := w.do(t, "fetch", fetchArgs{URL: http80 + "//evil.test/x?"})
		if !strings.HasPrefix(r.Body, "GET //evil.test/x? HTTP/1.1 origin.test:") {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("https and HTTP/2", func(t *testing.T) {
		r := w.do(t, "fetch", fetchArgs{URL: https + "/p|q", Init: map[string]any{"method": "PUT", "body": strings.Repeat("x", 1<<20)}})
		if !strings.HasPrefix(r.Body, "PUT /p|q HTTP/2.0 example.com:") || len(r.Body) < 1<<20 {
			t.Errorf("got %.200v", r)
		}
	})
	t.Run("certificate of another name", func(t *testing.T) {
		r := w.do(t, "fetch", fetchArgs{URL: strings.Replace(https, "example.com", "wrong.test", 1)})
		if r.Status != 526 || r.Header["selvage-error"] != "egress-certificate" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("TLS to a server without", func(t *testing.T) {
		r := w.do(t, "fetch", fetchArgs{URL: strings.Replace(http80, "http:", "https:", 1)})
		if r.Status != 525 || r.Header["selvage-error"] != "egress-tls" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("body untouched", func(t *testing.T) {
		if r := w.do(t, "fetch", fetchArgs{URL: http80 + "/gzip"}); r.Body != "as it is" || r.Header["content-encoding"] != "x-unknown" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("body that breaks off", func(t *testing.T) {
		if r := w.do(t, "fetch", fetchArgs{URL: http80 + "/cut"}); r.Threw == "" {
			t.Errorf("got %+v, want an error", r)
		}
	})
	t.Run("websocket", func(t *testing.T) {
		for _, base := range []string{http80, https} {
			r := w.do(t, "websocket", map[string]any{"url": base + "/ws", "messages": []string{"a", "b", strings.Repeat("c", 1<<17)}})
			if r.Status != 101 || r.Body != "re:a,re:b,re:"+strings.Repeat("c", 1<<17) {
				t.Errorf("%s: got %.200v", base, r)
			}
		}
	})
	t.Run("streaming both ways", func(t *testing.T) { streamBothWays(t, w, http80+"/echo") })
	t.Run("refused", func(t *testing.T) {
		for _, host := range []string{
			"127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
			"[2002:7f00:1::]", "10.1.2.3", "169.254.169.254", "[fd00:ec2::254]", "metadata.test", "six.test", "origin.test", "0.0.0.0", "1.1.1.1:25",
		} {
			r := w.do(t, "fetch", fetchArgs{URL: "http://" + host + "/latest/meta-data?secret=1"})
			if r.Status != 403 || r.Header["selvage-error"] != "egress-refused" || strings.Contains(r.Body, "secret") {
				t.Errorf("%s: got %+v", host, r)
			}
		}
	})
	t.Run("redirect to a private address", func(t *testing.T) {
		for _, to := range []string{"http://169.254.169.254/x", "http://metadata.test/x", "http://[::1]:1/"} {
			r := w.do(t, "fetch", fetchArgs{URL: http80 + "/redirect?to=" + to})
			if r.Status != 403 || r.Header["selvage-error"] != "egress-refused" {
				t.Errorf("%s: got %+v", to, r)
			}
		}
	})
	t.Run("name that does not resolve", func(t *testing.T) {
		if r := w.do(t, "fetch", fetchArgs{URL: "http://nowhere.test/"}); r.Status != 530 || r.Header["selvage-error"] != "egress-dns" {
			t.Errorf("got %+v", r)
		}
	})
}

// streamBothWays has the worker pass a request on whose body is written only
// as the answer comes back.
func streamBothWays(t *testing.T, w *worker, url string) {
	t.Helper()
	pr, pw := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://worker.test/passto", pr)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Url", url)
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer := bufio.NewReader(res.Body)
	for i := range 5 {
		line := fmt.Sprintf("line %d\n", i)
		if _, err := io.WriteString(pw, line); err != nil {
			t.Fatal(err)
		}
		if got, err := answer.ReadString('\n'); got != line || err != nil {
			t.Fatalf("got %q, %v, want %q", got, err, line)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(answer); len(rest) != 0 || err != nil {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

func TestRuntimeConnect(t *testing.T) {
	upper := listen(t, func(c net.Conn) { // answers at the end of what it gets
		in, _ := io.ReadAll(c)
		io.WriteString(c, strings.ToUpper(string(in)))
	})
	greet := listen(t, func(c net.Conn) { // speaks first, then hangs up after one line
		io.WriteString(c, "hello\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, "got "+line)
	})
	s := bindings.New(bindings.Options{
		Resolver:  resolve("db.test", "127.0.0.1", "self.test", "127.0.0.1"),
		LocalHost: func(h string) bool { return h == "self.test" },
		DialLocal: func(context.Context) (net.Conn, error) { panic("a raw socket into the edge") },
	})
	w := startWorkerd(t, open(t, s, spec("app", upper, greet)))
	type args struct {
		Address string         `json:"address"`
		Options map[string]any `json:"options,omitempty"`
		Send    string         `json:"send"`
	}
	half := map[string]any{"allowHalfOpen": true}

	if r := w.do(t, "connect", args{"db.test:" + port(upper), half, strings.Repeat("x", 1<<20)}); r.Body != strings.Repeat("X", 1<<20) {
		t.Errorf("half-open: got %.200v", r)
	}
	if r := w.do(t, "connect", args{"db.test:" + port(greet), nil, "ping\n"}); r.Body != "hello\ngot ping\n" {
		t.Errorf("greeting: got %+v", r)
	}
	for _, address := range []string{
		"127.0.0.1:1", "[::1]:5432", "[::ffff:10.0.0.1]:5432", "169.254.169.254:80", "db.test:25", "8.8.8.8:25", "self.test:80", "nowhere.test:1",
	} {
		if r := w.do(t, "connect", args{address, nil, "x"}); !strings.Contains(r.Threw, "cannot connect to the specified address") {
			t.Errorf("%s: got %+v", address, r)
		}
	}
	// Stock workerd has no TLS on these; the package comment says so.
	tls := args{"db.test:" + port(greet), map[string]any{"secureTransport": "on"}, "x"}
	if r := w.do(t, "connect", tls); !strings.Contains(r.Threw, "cannot connect to the specified address") {
		t.Errorf("TLS: got %+v: if the runtime has learned it, say so in the package comment", r)
	}
}

func TestRuntimeOwnHostnames(t *testing.T) {
	for _, op := range []string{"loop", "pass"} {
		t.Run(op, func(t *testing.T) {
			var w *worker
			var log lines
			s := bindings.New(bindings.Options{
				Log: log.logger(), Resolver: resolve(),
				LocalHost: func(h string) bool { return h == "self.test" },
				DialLocal: func(ctx context.Context) (net.Conn, error) { return w.dial(ctx) },
				Limits:    bindings.Limits{MaxLocal: 24, MaxDepth: 12},
			})
			w = startWorkerd(t, open(t, s, workers.DoorSpec{Account: "acc", Script: "app", Version: "v1"}))
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://self.test/"+op, strings.NewReader(`{"url":"http://self.test/loop"}`))
			res, err := w.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if !strings.Contains(string(body), "leads back to it") {
				t.Errorf("got %d %.300s", res.StatusCode, body)
			}
			if op == "pass" && (res.StatusCode != http.StatusLoopDetected || !strings.Contains(string(body), "more than 12 deep")) {
				t.Errorf("got %d %.300s", res.StatusCode, body)
			}
			if n := strings.Count(log.String(), `"outcome":"loop"`); n != 1 {
				t.Errorf("the loop ended %d times: %s", n, log.String())
			}
		})
	}
}
