package certs_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/certs"
	"github.com/selvage-dev/selvage/test/acmetest"
)

// A certificate is renewed in time, by an authority whose certificates hold some seconds. No visitor is without one
// meanwhile, and HTTPS counts as working after the first one has ended.
func TestRenewal(t *testing.T) {
	const life = 21 * time.Second // the last third is for the renewal
	d := openDoors(t)
	p := acmetest.StartWithLife(t, port(d.http), port(d.tls), life)
	dir := t.TempDir()
	m, err := certs.Open(certs.Options{
		Dir: dir, Log: slog.New(slog.DiscardHandler), Known: knows(), RenewEvery: 100 * time.Millisecond,
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
	m.Manage("short.example.com")
	first := await(t, m, "short.example.com", certs.Ready)
	cert, err := d.get(t, "short.example.com", p.Issued)
	if err != nil {
		t.Fatal(err)
	}
	serials := map[string]bool{cert.SerialNumber.String(): true}
	for time.Now().Before(first.NotAfter.Add(2 * time.Second)) {
		if cert, err = d.get(t, "short.example.com", p.Issued); err != nil {
			t.Fatalf("a visitor %v after the first one ended: %v", time.Since(first.NotAfter), err)
		}
		serials[cert.SerialNumber.String()] = true
		if !m.Ready("short.example.com") {
			t.Fatalf("HTTPS does not count as working %v after the first one ended: %+v", time.Since(first.NotAfter), m.State("short.example.com"))
		}
		time.Sleep(100 * time.Millisecond)
	}
	if len(serials) < 2 {
		t.Error("there was one certificate")
	}
	if s := m.State("short.example.com"); s.Status != certs.Ready || !s.NotAfter.After(first.NotAfter) {
		t.Errorf("first %v, now %+v", first.NotAfter, s)
	}
	modes(t, dir)
}

// Without the secure door the authority comes to the plain one.
func TestHTTPChallenge(t *testing.T) {
	d := openDoors(t)
	nobody := listen(t)
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	p := acmetest.Start(t, port(d.http), port(nobody))
	m := d.open(t, t.TempDir(), p)
	m.Manage("plain.example.com")
	s := retried(m, "plain.example.com")
	if _, err := d.get(t, "plain.example.com", p.Issued); err != nil {
		t.Errorf("%v; %+v", err, s)
	}
}

// A certificate that ended while the platform was down is replaced when it starts, and is never shown.
func TestEndedOnDisk(t *testing.T) {
	d := openDoors(t)
	p := acmetest.StartWithLife(t, port(d.http), port(d.tls), 6*time.Second)
	dir := t.TempDir()
	m := d.open(t, dir, p)
	m.Manage("slept.example.com")
	first := await(t, m, "slept.example.com", certs.Ready)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(first.NotAfter.Add(time.Second)))
	m = d.open(t, dir, p, "slept.example.com")
	if m.Ready("slept.example.com") {
		t.Error("HTTPS counts as working with a certificate that has ended")
	}
	if _, err := d.get(t, "slept.example.com", p.Issued); err != nil {
		t.Errorf("the first visitor after the start: %v", err)
	}
	if s := m.State("slept.example.com"); s.Status != certs.Ready || !s.NotAfter.After(first.NotAfter) {
		t.Errorf("first %v, now %+v", first.NotAfter, s)
	}
}
