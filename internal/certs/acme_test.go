package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/certs"
	"github.com/selvage-dev/selvage/test/acmetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The ACME client keeps one for each account for good, and Pebble's validation goes on for ever.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop"),
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"),
	)
}

// doors are the two listeners that an authority comes to.
type doors struct {
	http, tls net.Listener
	manager   atomic.Pointer[certs.Manager]
	// deaf makes the plain door say nothing of challenges.
	deaf atomic.Bool
}

func openDoors(t *testing.T) *doors {
	t.Helper()
	d := &doors{http: listen(t), tls: listen(t)}
	plain := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		if answer, ok := d.manager.Load().Challenge(host, r.URL.Path); ok && !d.deaf.Load() {
			_, _ = io.WriteString(w, answer)
			return
		}
		http.NotFound(w, r)
	})}
	secure := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secure") }),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return d.manager.Load().TLSConfig(), nil
		}},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		// What ends after a TLS-ALPN handshake is no request.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){"acme-tls/1": func(_ *http.Server, c *tls.Conn, _ http.Handler) { _ = c.Close() }},
	}
	go func() { _ = plain.Serve(d.http) }()
	go func() { _ = secure.ServeTLS(d.tls, "", "") }()
	t.Cleanup(func() { _, _ = plain.Close(), secure.Close() })
	return d
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func port(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// open makes a manager over dir and puts it behind the doors.
func (d *doors) open(t *testing.T, dir string, p *acmetest.Server, known ...string) *certs.Manager {
	t.Helper()
	m, err := certs.Open(certs.Options{
		Dir: dir, Log: slog.New(slog.DiscardHandler), Known: knows(known...),
		ACME: &certs.ACME{Directory: p.Directory, Roots: p.Roots, Host: "127.0.0.1", HTTPPort: port(d.http), TLSPort: port(d.tls)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	d.manager.Store(m)
	return m
}

func knows(hosts ...string) func(context.Context, string) bool {
	return func(_ context.Context, host string) bool {
		return slices.Contains(hosts, host)
	}
}

// get asks the secure door for a host, and returns the certificate it showed.
func (d *doors) get(t *testing.T, host string, roots *x509.CertPool) (*x509.Certificate, error) {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 30 * time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, d.tls.Addr().String())
		},
	}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.TLS.PeerCertificates[0], nil
}

func await(t *testing.T, m *certs.Manager, host string, want certs.Status) certs.State {
	t.Helper()
	var s certs.State
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s = m.State(host); s.Status == want {
			return s
		}
	}
	t.Fatalf("%s is %s (%v), never %s", host, s.Status, s.Err, want)
	return s
}

// A host that is added has a certificate soon, keeps it over a restart without another order, and loses it to nobody.
func TestACME(t *testing.T) {
	d := openDoors(t)
	p := acmetest.Start(t, port(d.http), port(d.tls))
	dir := t.TempDir()
	m := d.open(t, dir, p, "visited.example.com")

	if s := m.State("added.example.com"); s.Status != certs.Unmanaged || m.Ready("added.example.com") {
		t.Errorf("before: %+v", s)
	}
	m.Manage("Added.example.com")
	s := await(t, m, "added.example.com", certs.Ready)
	if !m.Ready("added.example.com") || time.Until(s.NotAfter) < time.Hour || time.Until(s.NotAfter) > 25*time.Hour {
		t.Errorf("%+v", s)
	}
	first, err := d.get(t, "added.example.com", p.Issued)
	if err != nil {
		t.Fatal(err)
	}
	// On demand, for a host that is known.
	if _, err := d.get(t, "visited.example.com", p.Issued); err != nil {
		t.Errorf("a host that a visitor asks for first: %v", err)
	}
	// And for no other.
	if _, err := d.get(t, "stranger.example.com", p.Issued); err == nil {
		t.Error("a host that nobody added has a certificate")
	}
	if s := m.State("stranger.example.com"); s.Status != certs.Unmanaged {
		t.Errorf("a certificate was ordered for a stranger: %+v", s)
	}
	modes(t, dir)

	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	m = d.open(t, dir, p)
	m.Manage("added.example.com")
	await(t, m, "added.example.com", certs.Ready)
	again, err := d.get(t, "added.example.com", p.Issued)
	if err != nil || again.SerialNumber.Cmp(first.SerialNumber) != 0 {
		t.Errorf("after a restart, without the authority: %v", err)
	}
	m.Forget("added.example.com")
	if _, err := d.get(t, "added.example.com", p.Issued); err == nil || m.Ready("added.example.com") {
		t.Error("a host that was taken away still has its certificate")
	}
}

// modes holds that nobody else can read a key.
func modes(t *testing.T, dir string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if strings.HasSuffix(name, ".key") {
			keys++
		}
		if name != dir && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || keys == 0 {
		t.Errorf("%d keys, %v", keys, err)
	}
}

// retried waits for a certificate and tries again when it failed: the client tries one
// kind of challenge at a time, in any order.
func retried(m *certs.Manager, host string) certs.State {
	s := m.State(host)
	for end := time.Now().Add(40 * time.Second); s.Status != certs.Ready && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s = m.State(host); s.Status == certs.Failed {
			m.Retry(host)
		}
	}
	return s
}

// Without the plain door the authority comes to the secure one.
func TestTLSALPNChallenge(t *testing.T) {
	d := openDoors(t)
	d.deaf.Store(true)
	p := acmetest.Start(t, port(d.http), port(d.tls))
	m := d.open(t, t.TempDir(), p)
	m.Manage("alpn.example.com")
	s := retried(m, "alpn.example.com")
	if _, err := d.get(t, "alpn.example.com", p.Issued); err != nil {
		t.Errorf("%v; %+v", err, s)
	}
}

// A host that the authority refuses says why, and another one is not held up.
func TestRefused(t *testing.T) {
	d := openDoors(t)
	p := acmetest.Start(t, port(d.http), port(d.tls))
	p.Block(t, "blocked.example.com")
	m := d.open(t, t.TempDir(), p, "blocked.example.com")
	m.Manage("blocked.example.com", "good.example.com")
	s := await(t, m, "blocked.example.com", certs.Failed)
	if s.Err == nil || !strings.Contains(s.Err.Error(), "blocked") && !strings.Contains(s.Err.Error(), "policy") {
		t.Errorf("the reason is %v", s.Err)
	}
	if wait := time.Until(s.Retry); wait < 30*time.Second || wait > 2*time.Minute {
		t.Errorf("the next order follows in %v", wait)
	}
	await(t, m, "good.example.com", certs.Ready)
	began := time.Now()
	if _, err := d.get(t, "blocked.example.com", p.Issued); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	m.Retry("blocked.example.com")
	for end := time.Now().Add(20 * time.Second); !m.State("blocked.example.com").Since.After(s.Since); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a retry did nothing")
		}
	}
}

// An authority that takes connections and says nothing holds up nothing but its own order.
func TestAuthorityThatNeverAnswers(t *testing.T) {
	d := openDoors(t)
	silent := listen(t)
	t.Cleanup(func() { _ = silent.Close() })
	m, err := certs.Open(certs.Options{
		Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Known: knows("waiting.example.com"), OrderTime: 2 * time.Second,
		ACME: &certs.ACME{Directory: "https://" + silent.Addr().String() + "/dir", Host: "127.0.0.1", HTTPPort: port(d.http), TLSPort: port(d.tls)},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.manager.Store(m)
	m.Manage("waiting.example.com")
	s := await(t, m, "waiting.example.com", certs.Pending)
	if s.Since.IsZero() || m.Ready("waiting.example.com") {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: "waiting.example.com", MinVersion: tls.VersionTLS12}}
	if _, err := dialer.DialContext(ctx, "tcp", d.tls.Addr().String()); err == nil {
		t.Error("there was a handshake")
	}
	if s := await(t, m, "waiting.example.com", certs.Failed); s.Err == nil || !strings.Contains(s.Err.Error(), "the certificate authority did not finish within 2s") || s.Retry.IsZero() {
		t.Errorf("%+v", s)
	}
	began := time.Now()
	if err := m.Close(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("close after %v: %v", time.Since(began), err)
	}
}

func TestNoSource(t *testing.T) {
	if _, err := certs.Open(certs.Options{Dir: t.TempDir()}); err == nil {
		t.Error("a manager without a source of certificates was opened")
	}
}

func TestUnknownHostError(t *testing.T) {
	dir := t.TempDir()
	m, err := certs.Open(certs.Options{Dir: dir, Local: "selvage.localhost", Known: knows("app.selvage.localhost"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	_, err = m.TLSConfig().GetCertificate(&tls.ClientHelloInfo{ServerName: "nobody.selvage.localhost"})
	if e, ok := errors.AsType[*certs.UnknownHostError](err); !ok || e.Host != "nobody.selvage.localhost" {
		t.Errorf("%v", err)
	}
}
