package edge_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/edge"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

// secure is a platform that speaks HTTPS besides.
type secure struct {
	*platform

	tlsAddr string
	roots   *x509.CertPool
}

func startTLS(t *testing.T, h http.Handler, change ...func(*edge.Options, *worker)) *secure {
	t.Helper()
	cert, roots := selfSigned(t)
	s := &secure{roots: roots}
	s.platform = start(t, h, append([]func(*edge.Options, *worker){func(o *edge.Options, _ *worker) {
		o.TLS = &edge.TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}}
	}}, change...)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.tlsAddr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.edge.ServeTLS(ln) }()
	t.Cleanup(func() { // before that of the plain listener, which shuts the edge down
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.edge.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, edge.ErrServerClosed) {
			t.Errorf("serve HTTPS: %v", err)
		}
	})
	return s
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host, "other.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// client makes requests over one protocol.
func (s *secure) client(t *testing.T, protocol string) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.tlsAddr)
		},
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	tr.Protocols.SetHTTP1(protocol == "HTTP/1.1")
	tr.Protocols.SetHTTP2(protocol == "HTTP/2.0")
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

var bothProtocols = []string{"HTTP/1.1", "HTTP/2.0"}

func TestHTTPS(t *testing.T) {
	s := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
			b, _ := io.ReadAll(r.Body) // The length that comes tells.
			_, _ = w.Write(b)
		case "/trailers":
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "42")
		case "/cookies":
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.WriteHeader(http.StatusNoContent)
		default:
			dump(w, r)
		}
	}))
	for _, protocol := range bothProtocols {
		t.Run(protocol, func(t *testing.T) {
			c := s.client(t, protocol)
			resp, body := fetch(t, c, "GET", "https://"+host+"/a%2Fb?x=%zz", nil)
			if resp.Proto != protocol || resp.StatusCode != http.StatusOK || !strings.Contains(body, "GET /a%2Fb?x=%zz host="+host+"\n") {
				t.Errorf("%s %d: %s", resp.Proto, resp.StatusCode, body)
			}
			for _, want := range []string{"X-Forwarded-Proto: https", `Cf-Visitor: {"scheme":"https"}`, `"httpProtocol":"` + strings.TrimSuffix(protocol, ".0") + `"`, "Cf-Connecting-Ip: 127.0.0.1"} {
				if !strings.Contains(body, want) {
					t.Errorf("the worker is not told %s:\n%s", want, body)
				}
			}
			big := bytes.Repeat([]byte("0123456789"), 50_000)
			if resp, body := fetch(t, c, "POST", "https://"+host+"/echo", bytes.NewReader(big)); body != string(big) || resp.Header.Get("X-Length") != "500000" {
				t.Errorf("an echo of %d bytes has %d; length %s", len(big), len(body), resp.Header.Get("X-Length"))
			}
			if resp, body := fetch(t, c, "POST", "https://"+host+"/echo", io.MultiReader(bytes.NewReader(big))); body != string(big) || resp.Header.Get("X-Length") != "-1" {
				t.Errorf("an echo of a stream of %d bytes has %d; length %s", len(big), len(body), resp.Header.Get("X-Length"))
			}
			if resp, body := fetch(t, c, "GET", "https://"+host+"/trailers", nil); body != "body" || resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("%q with the trailers %v", body, resp.Trailer)
			}
			if resp, _ := fetch(t, c, "GET", "https://"+host+"/cookies", nil); resp.StatusCode != http.StatusNoContent || len(resp.Header["Set-Cookie"]) != 2 || resp.Header["Content-Type"] != nil {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
			if resp, body := fetch(t, c, "HEAD", "https://"+host+"/", nil); resp.StatusCode != http.StatusOK || body != "" {
				t.Errorf("HEAD: %d %q", resp.StatusCode, body)
			}
			if resp, body := fetch(t, c, "GET", "https://nobody.test/", nil); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "unknown_host") {
				t.Errorf("unknown host: %d %s", resp.StatusCode, body)
			}
		})
	}
}

func fetch(t *testing.T, c *http.Client, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(url, "nobody.test") {
		r.URL.Host, r.Host = host, "nobody.test" // The certificate is for another name.
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// Files go out whole over TLS, where the kernel cannot copy them, and in parts.
func TestHTTPSFiles(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("selvage "), 200_000)
	const page = `<link rel=preload href=/app.css as=style>`
	for name, b := range map[string][]byte{"big": content, "page": []byte(page)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	site, err := assets.NewPages(assets.Manifest{
		"/big.bin":    {Hash: strings.Repeat("a", 32), Blob: "big", Size: int64(len(content)), ContentType: "application/octet-stream"},
		"/index.html": {Hash: strings.Repeat("b", 32), Blob: "page", Size: int64(len(page)), ContentType: "text/html"},
	}, assets.PagesConfig{Redirects: "/old /new 301\n"}, folder(dir))
	if err != nil {
		t.Fatal(err)
	}
	s := startTLS(t, http.HandlerFunc(hello), func(o *edge.Options, w *worker) {
		o.Workers = lookup{host: {Account: "acc", Script: "app", Version: "v1", Site: site, Worker: w}, "other.test": {Site: site}}
	})
	for _, protocol := range bothProtocols {
		t.Run(protocol, func(t *testing.T) {
			c := s.client(t, protocol)
			if resp, body := fetch(t, c, "GET", "https://other.test/big.bin", nil); resp.StatusCode != http.StatusOK || body != string(content) {
				t.Errorf("%d with %d bytes of %d", resp.StatusCode, len(body), len(content))
			}
			if resp, body := fetch(t, c, "POST", "https://other.test/old", strings.NewReader("x")); resp.StatusCode != http.StatusMovedPermanently || resp.Header.Get("Location") != "/new" || body != "Redirecting to /new" {
				t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
			}
			if resp, body := fetch(t, c, "POST", "https://other.test/", strings.NewReader("x")); resp.StatusCode != http.StatusMethodNotAllowed || body != "" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			if _, body := fetch(t, c, "GET", "https://"+host+"/big.bin", nil); body != "hello" {
				t.Errorf("with a function, which comes first: %.20q", body)
			}
			var hints []string
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints {
					hints = append(hints, header["Link"]...)
				}
				return nil
			}}
			r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "https://other.test/", nil)
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			want := 0
			if protocol == "HTTP/2.0" {
				want = 1
			}
			if len(hints) != want || resp.Header.Get("Link") != "</app.css>; rel=preload; as=style" {
				t.Errorf("hints %q, then %v", hints, resp.Header)
			}
		})
	}
}

// folder gives the files of a folder as assets.
type folder string

func (f folder) Open(blob string) (*os.File, error) { return os.Open(filepath.Join(string(f), blob)) }

func (folder) Variant(context.Context, string, string) (id string, size int64, ok bool) {
	return "", 0, false
}

func TestRedirectToHTTPS(t *testing.T) {
	ready := map[string]bool{host: true}
	s := startTLS(t, http.HandlerFunc(dump), func(o *edge.Options, w *worker) {
		o.Workers.(lookup)["other.test"] = edge.Target{Worker: w}
		o.TLS.Redirect = func(host string) bool { return ready[host] }
		o.TLS.Port = 8443
		o.TLS.HSTS = time.Hour
		o.TLS.Challenge = func(h, path string) (string, bool) {
			return "token.key", h == host && path == "/.well-known/acme-challenge/token"
		}
	})
	resp, _ := s.do("POST /a?b=c HTTP/1.1\r\nHost: " + host + ":80\r\nContent-Length: 0\r\n\r\n")
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "https://"+host+":8443/a?b=c" || resp.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := s.do("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n"); resp.StatusCode != http.StatusOK || !strings.Contains(body, "X-Forwarded-Proto: http\n") {
		t.Errorf("a host without a certificate: %d %s", resp.StatusCode, body)
	}
	if resp, body := s.do("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); resp.StatusCode != http.StatusOK || body != "token.key" {
		t.Errorf("challenge: %d %q", resp.StatusCode, body)
	}
	if resp, _ := s.do("GET /.well-known/acme-challenge/other HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); resp.StatusCode != http.StatusPermanentRedirect {
		t.Errorf("a challenge nobody asked for: %d", resp.StatusCode)
	}
	for _, protocol := range bothProtocols {
		if resp, _ := fetch(t, s.client(t, protocol), "GET", "https://"+host+"/", nil); resp.StatusCode != http.StatusOK || resp.Header.Get("Strict-Transport-Security") != "max-age=3600" {
			t.Errorf("%s: %d %v", protocol, resp.StatusCode, resp.Header)
		}
	}
}

// A client that goes away in the middle ends the worker's work.
func TestHTTP2ClientGoesAway(t *testing.T) {
	ended := make(chan struct{})
	begun := make(chan struct{})
	s := startTLS(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
	go func() {
		<-begun
		cancel()
	}()
	if resp, err := s.client(t, "HTTP/2.0").Do(r); err == nil {
		_ = resp.Body.Close()
		t.Fatal("there was an answer")
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the worker was not told")
	}
	s.events.wait(t, telemetry.KindAccess, func(e telemetry.Event) bool { return e.Status == 499 })
}

// An answer that breaks off is not taken for complete.
func TestHTTP2CutAnswer(t *testing.T) {
	s := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	c := s.client(t, "HTTP/2.0")
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/", nil)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a cut answer was read without an error: %q", b)
	}
}

// What HTTP/1.1 could not carry, or would read in another way, does not come through.
func TestHTTP2RefusesWhatIsAmbiguous(t *testing.T) {
	s := startTLS(t, http.HandlerFunc(dump))
	ok := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: host}, {Name: ":path", Value: "/"}}
	with := func(i int, value string) []hpack.HeaderField {
		out := append([]hpack.HeaderField(nil), ok...)
		out[i].Value = value
		return out
	}
	and := func(f ...hpack.HeaderField) []hpack.HeaderField {
		return append(append([]hpack.HeaderField(nil), ok...), f...)
	}
	many := and()
	for i := range 200 {
		many = append(many, hpack.HeaderField{Name: fmt.Sprintf("x-%d", i), Value: "1"})
	}
	for _, c := range []struct {
		name   string
		fields []hpack.HeaderField
		status string // "" for a reset stream or a closed connection
	}{
		{"plain", ok, "200"},
		{"a space in the method", with(0, "GET / HTTP/1.1\r\nX: y"), ""},
		{"a word as method", with(0, "GET x"), ""},
		{"a space in the path", with(3, "/ HTTP/1.1"), "400"},
		{"a line break in the path", with(3, "/\r\nX: y"), ""},
		{"a whole URL as path", with(3, "http://other.test/"), "400"},
		{"two hosts", and(hpack.HeaderField{Name: "host", Value: "other.test"}), ""},
		{"a host with a slash", with(2, host+"/x"), "400"},
		{"a user in the host", with(2, "u@"+host), ""},
		{"transfer-encoding", and(hpack.HeaderField{Name: "transfer-encoding", Value: "chunked"}), "400"},
		{"connection", and(hpack.HeaderField{Name: "connection", Value: "x-a"}), "400"},
		{"too many fields", many, "431"},
		{"a path that is too long", with(3, "/"+strings.Repeat("a", 20_000)), "414"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := rawStream(t, s, c.fields)
			if c.status == "" && strings.HasPrefix(got, "2") || c.status != "" && got != c.status {
				t.Errorf("answered %q, want %q", got, c.status)
			}
		})
	}
}

// rawStream sends one request, with fields as they are, and returns the status, or how it ended.
func rawStream(t *testing.T, s *secure, fields []hpack.HeaderField) string {
	t.Helper()
	tc, err := tls.Dial("tcp", s.tlsAddr, &tls.Config{RootCAs: s.roots, ServerName: host, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tc.Close() }()
	_ = tc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(tc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	fr := http2.NewFramer(tc, tc)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = enc.WriteField(f)
	}
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for first := true; first || block.Len() > 0; first = false {
		part := block.Next(16 << 10)
		if first {
			err = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: part, EndStream: true, EndHeaders: block.Len() == 0})
		} else {
			err = fr.WriteContinuation(1, block.Len() == 0, part)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			return "go away"
		}
	}
}

// A handshake that does not come to an end does not hold the edge up, and a plain request to the TLS port is no
// reason to fail.
func TestHandshakesThatNeverEnd(t *testing.T) {
	s := startTLS(t, http.HandlerFunc(hello), func(o *edge.Options, _ *worker) { o.Limits.HeadTimeout = 200 * time.Millisecond })
	silent, err := net.Dial("tcp", s.tlsAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	plain, err := net.Dial("tcp", s.tlsAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	_, _ = io.WriteString(plain, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	for _, c := range []net.Conn{silent, plain} {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadAll(c); err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection was not closed")
		}
	}
	if _, body := fetch(t, s.client(t, "HTTP/2.0"), "GET", "https://"+host+"/", nil); body != "hello" {
		t.Errorf("%q", body)
	}
}

// A shutdown lets a stream finish, and tells the client to go.
func TestHTTP2Shutdown(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "finished")
	}))
	c := s.client(t, "HTTP/2.0")
	down := make(chan error, 1)
	go func() {
		<-begun
		go func() { down <- s.edge.Shutdown(context.Background()) }()
		time.Sleep(50 * time.Millisecond) // so that it has begun
		close(release)
	}()
	if _, body := fetch(t, c, "GET", "https://"+host+"/", nil); body != "finished" {
		t.Errorf("%q", body)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
