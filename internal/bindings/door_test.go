package bindings_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/workers"
)

// counted is an origin that remembers the requests it got.
func counted(t *testing.T) (srv *httptest.Server, seen func() []string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.Host+" "+r.RequestURI+" "+string(body))
		if n := r.URL.Query().Get("header"); n != "" {
			w.Header().Set("X-Big", strings.Repeat("x", 1<<18))
		}
		fmt.Fprint(w, "origin")
	}))
	t.Cleanup(srv.Close)
	return srv, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), got...)
	}
}

// TestHostileRequests writes to the socket what the runtime never would.
func TestHostileRequests(t *testing.T) {
	srv, seen := counted(t)
	host := "origin.test:" + port(srv.Listener.Addr())
	s := bindings.New(bindings.Options{Resolver: resolve("origin.test", "127.0.0.1")})
	dir := open(t, s, spec("app", srv.Listener.Addr()))

	tests := []struct {
		name, text string
		status     int
	}{
		{"no scheme", "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 400},
		{"other scheme", "GET / HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: ftp\r\n\r\n", 400},
		{"two schemes", "GET / HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: http\r\nselvage-proto: https\r\n\r\n", 400},
		{"absolute form", "GET http://169.254.169.254/ HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: http\r\n\r\n", 400},
		{"absolute form of an allowed host", "GET http://" + host + "/ HTTP/1.1\r\nHost: 10.0.0.1\r\nselvage-proto: http\r\n\r\n", 400},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: http\r\n\r\n", 400},
		{"authority form", "GET " + host + " HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: http\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: " + host + "\r\nHost: 10.0.0.1\r\nselvage-proto: http\r\n\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\nselvage-proto: http\r\n\r\n", 400},
		{"empty host", get("", "/"), 400},
		{"user information", get("a:b@"+host, "/"), 400},
		{"host with path", get(host+"/x", "/"), 400},
		{"decimal address", get("2130706433:"+port(srv.Listener.Addr()), "/"), 400},
		{"octal address", get("0177.0.0.1", "/"), 400},
		{"hexadecimal address", get("0x7f.0.0.1", "/"), 400},
		{"zone", get("[fe80::1%25lo]", "/"), 400},
		{"IPv4 in IPv6", get("[::ffff:10.0.0.1]", "/"), 403},
		{"line folding", get(host, "/", "X-A: b", " c: d"), 200}, // unfolded, RFC 9112 section 5.2
		{"bare CR", get(host, "/", "X-A: b\rX-B: c"), 400},
		{"space before colon", get(host, "/", "Transfer-Encoding : chunked"), 400},
		{"unknown transfer coding", get(host, "/", "Transfer-Encoding: gzip"), 501},
		{"two lengths", get(host, "/", "Content-Length: 1", "Content-Length: 2"), 400},
		{"negative length", get(host, "/", "Content-Length: -1"), 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"big header", get(host, "/", "X-A: "+strings.Repeat("x", 140<<10)), 431},
		{"upgrade to HTTP/2", get(host, "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 200},
		{"connect with path", "CONNECT /x HTTP/1.1\r\n\r\n", 400},
		{"connect without port", "CONNECT origin.test HTTP/1.1\r\n\r\n", 400},
		{"connect with user", "CONNECT a@" + host + " HTTP/1.1\r\n\r\n", 400},
		{"connect to another than Host", "CONNECT 10.0.0.1:1 HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 403},
		{"connect to a whole URL", "CONNECT http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(seen())
			res, body := raw(t, dir, tt.text)
			if res.StatusCode != tt.status {
				t.Errorf("got %d %s, want %d", res.StatusCode, body, tt.status)
			}
			if after := len(seen()); (tt.status == 200) != (after == before+1) {
				t.Errorf("the origin got %v", seen()[before:])
			}
		})
	}
}

// TestSmuggling sends requests whose end two parsers could see differently.
func TestSmuggling(t *testing.T) {
	srv, seen := counted(t)
	host := "origin.test:" + port(srv.Listener.Addr())
	s := bindings.New(bindings.Options{Resolver: resolve("origin.test", "127.0.0.1")})
	dir := open(t, s, spec("app", srv.Listener.Addr()))
	post := "POST /one HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: http\r\n"
	inner := "GET /smuggled HTTP/1.1\r\nHost: " + host + "\r\n\r\n"

	raw(t, dir, post+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"+inner)
	raw(t, dir, post+"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5;x=\"\r\n\r\n0\"\r\nhello\r\n0\r\n\r\n"+inner)
	raw(t, dir, post+fmt.Sprintf("Content-Length: %d\r\nConnection: close, Content-Length\r\n\r\n", len(inner))+inner)
	for _, r := range seen() {
		if strings.HasPrefix(r, "GET ") {
			t.Errorf("smuggled: %q", seen())
		}
	}
}

// TestRebinding has a name change its address between look-ups, and answer
// with public and private addresses at once.
func TestRebinding(t *testing.T) {
	srv, _ := counted(t)
	var mu sync.Mutex
	var dialled []string
	s := bindings.New(bindings.Options{
		Resolver: resolve("rebind.test", "93.184.216.34", "rebind.test", "127.0.0.1",
			"mixed.test", "10.0.0.1 ::1 93.184.216.35 2606:4700::1 93.184.216.35 fe80::1 93.184.216.36"),
		OwnAddrs: func() ([]netip.Addr, error) { return nil, nil },
	})
	bindings.SetDial(s, func(ctx context.Context, _, address string) (net.Conn, error) {
		mu.Lock()
		dialled = append(dialled, address)
		mu.Unlock()
		if !strings.HasPrefix(address, "93.184.216.34") && !strings.HasPrefix(address, "93.184.216.36") {
			return nil, errors.New("down")
		}
		var d net.Dialer
		return d.DialContext(ctx, "tcp", srv.Listener.Addr().String())
	})
	dir := open(t, s, workers.DoorSpec{Account: "acc", Script: "app", Version: "v1"})
	take := func() string {
		mu.Lock()
		defer mu.Unlock()
		out := strings.Join(dialled, " ")
		dialled = nil
		return out
	}

	if res, body := raw(t, dir, get("rebind.test", "/", "Connection: close")); res.StatusCode != http.StatusOK {
		t.Errorf("first: %d %s", res.StatusCode, body)
	}
	if got := take(); got != "93.184.216.34:80" {
		t.Errorf("first: dialled %s", got)
	}
	// Another port, so that no pooled connection answers.
	if res, body := raw(t, dir, get("rebind.test:8080", "/")); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "loopback") {
		t.Errorf("second: %d %s", res.StatusCode, body)
	}
	if res, body := raw(t, dir, get("mixed.test", "/")); res.StatusCode != http.StatusOK {
		t.Errorf("mixed: %d %s", res.StatusCode, body)
	}
	if got := take(); got != "93.184.216.35:80 [2606:4700::1]:80 93.184.216.36:80" {
		t.Errorf("mixed: dialled %s", got)
	}
}

// TestControl asks the check that sits on the socket itself.
func TestControl(t *testing.T) {
	s := bindings.New(bindings.Options{OwnAddrs: func() ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.216.40")}, nil
	}})
	tests := []struct {
		network, address string
		ok               bool
	}{
		{"tcp4", "93.184.216.34:80", true},
		{"tcp6", "[2606:4700::1]:443", true},
		{"tcp4", "127.0.0.1:80", false},
		{"tcp6", "[::1]:80", false},
		{"tcp6", "[::ffff:10.0.0.1]:80", false},
		{"tcp6", "[fe80::1%lo]:80", false},
		{"tcp4", "93.184.216.34:25", false},
		{"tcp4", "93.184.216.40:80", false},
		{"tcp6", "[::ffff:93.184.216.40]:80", false},
		{"udp4", "93.184.216.34:53", false},
		{"unix", "/run/x.sock", false},
		{"tcp4", "name.test:80", false},
	}
	for _, tt := range tests {
		if err := bindings.Control(s, tt.network, tt.address); (err == nil) != tt.ok {
			t.Errorf("%s %s: %v", tt.network, tt.address, err)
		}
	}
	broken := bindings.New(bindings.Options{OwnAddrs: func() ([]netip.Addr, error) { return nil, errors.New("no netlink") }})
	if bindings.Control(broken, "tcp4", "93.184.216.34:80") == nil {
		t.Error("allowed although this machine's addresses are unknown")
	}
}

// TestRules covers what a rule opens and what it does not.
func TestRules(t *testing.T) {
	allow := func(prefix string, from, to uint16) workers.EgressRule {
		return workers.EgressRule{Prefix: netip.MustParsePrefix(prefix), FromPort: from, ToPort: to}
	}
	s := bindings.New(bindings.Options{
		Allow:    []workers.EgressRule{allow("10.9.0.0/16", 0, 0)},
		OwnAddrs: func() ([]netip.Addr, error) { return nil, nil },
	})
	bindings.SetDial(s, func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("allowed") })
	dir := open(t, s, workers.DoorSpec{Account: "acc", Script: "app", Version: "v1", Egress: workers.EgressPolicy{Allow: []workers.EgressRule{
		allow("10.1.2.3/24", 8000, 8010), allow("fd00::/8", 0, 0), allow("::ffff:192.168.1.0/120", 80, 80), allow("1.1.1.0/24", 20, 30),
	}}})
	tests := []struct {
		host    string
		allowed bool
	}{
		{"10.1.2.200:8000", true},
		{"10.1.2.3:8010", true},
		{"[::ffff:10.1.2.3]:8005", true},
		{"10.1.2.3:8011", false},
		{"10.1.2.3:7999", false},
		{"10.1.3.1:8000", false},
		{"[fd12::1]:1", true},
		{"[fd12::1]:25", false},
		{"[fc00::1]:1", false},
		{"192.168.1.77", true},
		{"192.168.1.77:81", false},
		{"192.168.2.1", false},
		{"1.1.1.1:25", true},
		{"1.1.1.1:443", true},
		{"8.8.8.8:25", false},
		{"10.9.1.1:5432", true},
		{"10.9.1.1:25", false},
		{"[64:ff9b::a09:101]:80", false},
	}
	for _, tt := range tests {
		res, body := raw(t, dir, get(tt.host, "/"))
		if want := map[bool]string{true: "egress-upstream", false: "egress-refused"}[tt.allowed]; res.Header.Get("Selvage-Error") != want {
			t.Errorf("%s: %d %s, want %s", tt.host, res.StatusCode, body, want)
		}
	}
	for _, bad := range []workers.EgressRule{{}, allow("10.0.0.0/8", 9, 8), allow("10.0.0.0/8", 0, 8), allow("10.0.0.0/8", 9, 0), allow("::ffff:0:0/90", 0, 0)} {
		_, err := s.Open(t.Context(), t.TempDir(), workers.DoorSpec{Account: "acc", Script: "app", Egress: workers.EgressPolicy{Allow: []workers.EgressRule{bad}}})
		if err == nil {
			t.Errorf("rule %+v was taken", bad)
		}
	}
}

// TestPoolsAreApart holds that a version cannot use a connection that another was
// allowed to open.
func TestPoolsAreApart(t *testing.T) {
	srv, seen := counted(t)
	s := bindings.New(bindings.Options{})
	host := srv.Listener.Addr().String()
	may := open(t, s, spec("app", srv.Listener.Addr()))
	mayNot := open(t, s, spec("app"))
	for range 3 {
		if res, body := raw(t, may, get(host, "/")); res.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		if res, body := raw(t, mayNot, get(host, "/")); res.StatusCode != http.StatusForbidden {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
	if len(seen()) != 3 {
		t.Errorf("the origin got %q", seen())
	}
}

func TestErrors(t *testing.T) {
	srv, _ := counted(t)
	closed := listen(t, func(net.Conn) {})
	junk := listen(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "SSH-2.0-OpenSSH\r\n")
	})
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	var log lines
	s := bindings.New(bindings.Options{Log: log.logger(), Resolver: resolve("none.test", "", "priv.test", "10.0.0.7")})
	dir := open(t, s, spec("app", srv.Listener.Addr(), closed, junk, gone.Addr()))
	tests := []struct {
		host, path, code string
		status           int
	}{
		{srv.Listener.Addr().String(), "/?header=big", "egress-upstream", 520},
		{closed.String(), "/", "egress-upstream", 520},
		{junk.String(), "/", "egress-upstream", 520},
		{gone.Addr().String(), "/", "egress-connect", 521},
		{"none.test", "/", "egress-dns", 530},
		{"nx.test", "/", "egress-dns", 530},
		{"priv.test", "/p?token=secret", "egress-refused", 403},
	}
	for _, tt := range tests {
		res, body := raw(t, dir, get(tt.host, tt.path, "Authorization: Bearer secret"))
		if res.StatusCode != tt.status || res.Header.Get("Selvage-Error") != tt.code || !strings.HasPrefix(body, "selvage: ") {
			t.Errorf("%s%s: %d %v %s", tt.host, tt.path, res.StatusCode, res.Header, body)
		}
		if strings.Contains(body, "10.0.0.7") {
			t.Errorf("the worker learns what a name resolves to: %s", body)
		}
	}
	out := log.String()
	for _, want := range []string{`"script":"app"`, `"version":"v1"`, `"host":"priv.test"`, `"address":"10.0.0.7"`, `"class":"private network"`} {
		if !strings.Contains(out, want) {
			t.Errorf("log lacks %s: %s", want, out)
		}
	}
	if strings.Contains(out, "secret") {
		t.Errorf("log has a query or a credential: %s", out)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s)
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		"selvage_egress_in_flight 0\n",
		`selvage_egress_requests_total{kind="fetch",outcome="connect"} 1` + "\n",
		`selvage_egress_requests_total{kind="fetch",outcome="dns"} 2` + "\n",
		`selvage_egress_requests_total{kind="fetch",outcome="refused"} 1` + "\n",
		`selvage_egress_requests_total{kind="fetch",outcome="upstream"} 3` + "\n",
	} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("metrics lack %q: %s", want, rec.Body)
		}
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	hold := make(chan struct{})
	var entered atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered.Add(1)
		<-hold
	}))
	defer srv.Close()
	s := bindings.New(bindings.Options{Limits: bindings.Limits{MaxConcurrent: 2}})
	old := open(t, s, spec("app", srv.Listener.Addr()))
	young := open(t, s, spec("app", srv.Listener.Addr()))
	other := open(t, s, spec("other", srv.Listener.Addr()))
	host := srv.Listener.Addr().String()
	var wg sync.WaitGroup
	for _, dir := range []string{old, young, other} {
		wg.Go(func() { raw(t, dir, get(host, "/")) })
	}
	for entered.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	// The bound is the script's, over all its running versions.
	for _, dir := range []string{old, young} {
		if res, body := raw(t, dir, get(host, "/")); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Selvage-Error") != "egress-busy" {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	}
	close(hold)
	wg.Wait()
	if res, body := raw(t, old, get(host, "/")); res.StatusCode != http.StatusOK {
		t.Errorf("after: %d %s", res.StatusCode, body)
	}
}

// TestLogIsBounded holds that a worker cannot fill the log with refusals.
func TestLogIsBounded(t *testing.T) {
	var log lines
	dir := open(t, bindings.New(bindings.Options{Log: log.logger()}), spec("app"))
	for range 100 {
		raw(t, dir, get("127.0.0.1", "/"))
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || n > 30 {
		t.Errorf("%d lines", n)
	}
}

// TestClose closes a door on a request, a WebSocket and a tunnel in flight.
func TestClose(t *testing.T) {
	hold := make(chan struct{})
	srv := httptest.NewServer(origin(t))
	defer srv.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).Flush()
		<-hold
	}))
	defer slow.Close()
	defer close(hold)
	mute := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })

	s := bindings.New(bindings.Options{Resolver: resolve()})
	dir := shortDir(t)
	door, err := s.Open(t.Context(), dir, spec("app", srv.Listener.Addr(), slow.Listener.Addr(), mute))
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, bindings.EgressSocket)
	if fi, err := os.Stat(sock); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", fi.Mode(), err)
	}
	var conns []net.Conn
	for _, text := range []string{
		get(slow.Listener.Addr().String(), "/"),
		get(srv.Listener.Addr().String(), "/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
		"CONNECT " + mute.String() + " HTTP/1.1\r\n\r\n",
		"GET / HT",
	} {
		c, err := net.Dial("unix", sock)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, text)
		if !strings.HasSuffix(text, " HT") {
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatalf("%q: %q, %v", text, line, err)
			}
		}
		conns = append(conns, c)
	}
	start := time.Now()
	if err := door.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %s", d)
	}
	for i, c := range conns {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is still open", i)
		}
	}
	if _, err := os.Stat(sock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket: %v", err)
	}
	if err := door.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestOpen(t *testing.T) {
	s := bindings.New(bindings.Options{})
	dir := open(t, s, spec("app"))
	sock := filepath.Join(dir, bindings.EgressSocket)
	if _, err := os.Stat(filepath.Join(dir, bindings.AssetsSocket)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a version without assets has a socket for them: %v", err)
	}
	// What a killed platform leaves behind.
	stale := shortDir(t)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stale, bindings.EgressSocket)})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	c, err := s.Open(t.Context(), stale, spec("app"))
	if err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	if res, _ := raw(t, stale, get("127.0.0.1", "/")); res.StatusCode != http.StatusForbidden {
		t.Errorf("stale socket: %d", res.StatusCode)
	}
	c.Close()

	if err := os.WriteFile(filepath.Join(stale, bindings.EgressSocket), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), stale, spec("in the way")); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a plain file in the way: %v", err)
	}
	if _, err := s.Open(t.Context(), filepath.Join(stale, strings.Repeat("d", 100)), spec("too long")); err == nil || !strings.Contains(err.Error(), "shorter data directory") {
		t.Errorf("long path: %v", err)
	}
	if _, err := os.Stat(sock); err != nil {
		t.Errorf("the first door's socket: %v", err)
	}
	if n := bindings.Scripts(s); n != 1 {
		t.Errorf("%d scripts are counted, one has a door", n)
	}
}
