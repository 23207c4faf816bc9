package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/selvage-dev/selvage/internal/certs"
)

func openLocal(t *testing.T, dir, domain string, known ...string) *certs.Manager {
	t.Helper()
	m, err := certs.Open(certs.Options{Dir: dir, Local: domain, Known: knows(known...), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func TestLocalAuthority(t *testing.T) {
	dir := t.TempDir()
	known := []string{"app.selvage.localhost", "shop.test", "bank.example.com"}
	m := openLocal(t, dir, "selvage.localhost", known...)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(m.Root()) {
		t.Fatalf("the root is no certificate: %s", m.Root())
	}
	for _, host := range known[:2] {
		c, err := m.TLSConfig().GetCertificate(&tls.ClientHelloInfo{ServerName: host})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if !m.Ready(host) {
			t.Errorf("%s is not ready", host)
		}
	}
	_, err := m.TLSConfig().GetCertificate(&tls.ClientHelloInfo{ServerName: "bank.example.com"})
	if _, ok := errors.AsType[*certs.NotLocalError](err); !ok || m.Ready("bank.example.com") {
		t.Errorf("a name that is somebody's: %v", err)
	}
	if _, err := m.TLSConfig().GetCertificate(&tls.ClientHelloInfo{}); err == nil {
		t.Error("no name, but a certificate")
	}
	for name, mode := range map[string]os.FileMode{"local/root.key": 0o600, "local": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if again := openLocal(t, dir, "selvage.localhost"); string(again.Root()) != string(m.Root()) {
		t.Error("the second start has another root")
	}
	if other := openLocal(t, dir, "edge.example.net", "app.edge.example.net"); string(other.Root()) == string(m.Root()) || !other.Ready("app.edge.example.net") {
		t.Error("a root for another domain was not made")
	}
}

// A folder that a crash left in the midst of making a root opens, and one that was tampered with says so.
func TestBrokenAuthority(t *testing.T) {
	dir := t.TempDir()
	openLocal(t, dir, "a.test")
	root := filepath.Join(dir, "local", "root.crt")
	if err := os.Remove(root); err != nil {
		t.Fatal(err)
	}
	openLocal(t, dir, "a.test")
	if err := os.WriteFile(root, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Open(certs.Options{Dir: dir, Local: "a.test", Known: knows(), Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("an authority with a broken root was opened")
	}
}
