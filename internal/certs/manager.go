package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// handshakeWait is how long a visitor waits for the certificate of a host that has none yet.
const handshakeWait = 20 * time.Second

// acmeTLS is the protocol of a TLS-ALPN-01 challenge (RFC 8737).
const acmeTLS = "acme-tls/1"

// Options of Open. Dir, Known and Log are compulsory, and one of Local, ACME and Own.
type Options struct {
	// Dir is a folder for what is to be kept; it is made.
	Dir string
	// Known reports whether somebody added a host here. It must be quick, and is called for handshakes.
	Known func(ctx context.Context, host string) bool
	Log   *slog.Logger

	// Own is the operator's certificate. It is used for the names in it.
	Own *tls.Certificate
	// Local is the domain whose names a local authority is to sign, besides those reserved for
	// development; "" for no local authority.
	Local string
	// RenewEvery is how often it is looked at which certificates are to be renewed; 0: every ten minutes.
	RenewEvery time.Duration
	// OrderTime bounds one order; 0: five minutes.
	OrderTime time.Duration
	// ACME says where to order certificates; nil: nowhere.
	ACME *ACME
}

// ACME is an account with a certificate authority.
type ACME struct {
	Directory string         // URL; "" is Let's Encrypt
	Email     string         // where the authority writes to; may be empty
	Roots     *x509.CertPool // that vouch for the authority itself; nil: the system's
	// Host, HTTPPort and TLSPort are what the edge listens on. The authority comes to ports 80 and 443 of
	// the host, which must lead there.
	Host              string
	HTTPPort, TLSPort int
}

// Manager has the certificates. It is safe for concurrent use.
type Manager struct {
	o     Options
	local *authority        // nil without a local authority
	magic *certmagic.Config // nil without ACME
	cache *certmagic.Cache

	ctx    context.Context //nolint:containedctx // of the orders, which outlive a handshake
	cancel context.CancelFunc
	orders sync.WaitGroup

	mu     sync.RWMutex
	hosts  map[string]*order
	closed bool
}

// Open reads what is there. It asks nobody outside.
func Open(o Options) (*Manager, error) {
	if o.Own == nil && o.Local == "" && o.ACME == nil {
		return nil, errors.New("certs: no source of certificates is set")
	}
	if err := fsx.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if o.OrderTime == 0 {
		o.OrderTime = orderTime
	}
	m := &Manager{o: o, hosts: make(map[string]*order)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if o.Local != "" {
		var err error
		if m.local, err = openAuthority(filepath.Join(o.Dir, "local"), o.Local, o.Log); err != nil {
			return nil, err
		}
	}
	if o.ACME != nil {
		m.openACME()
	}
	return m, nil
}

func (m *Manager) openACME() {
	log := newLogger(m.o.Log)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		Logger:           log, RenewCheckInterval: m.o.RenewEvery,
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: newStorage(filepath.Join(m.o.Dir, "acme")),
		Logger:  log,
		OnEvent: m.event,
		// The authorities that still offer OCSP do not need it stapled, and it is one more server to ask.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	a := m.o.ACME
	directory := a.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	m.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(m.magic, certmagic.ACMEIssuer{
		CA: directory, TestCA: directory, Email: a.Email, Agreed: true, TrustedRoots: a.Roots,
		ListenHost: a.Host, AltHTTPPort: a.HTTPPort, AltTLSALPNPort: a.TLSPort, Logger: log,
	})}
}

// Close ends orders and renewals.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.orders.Wait()
	if m.cache != nil {
		m.cache.Stop()
	}
	return nil
}

// TLSConfig returns the edge's. It takes certificates as they come and go.
func (m *Manager) TLSConfig() *tls.Config {
	protocols := []string{"h2", "http/1.1"}
	if m.magic != nil {
		protocols = append(protocols, acmeTLS)
	}
	return &tls.Config{GetCertificate: m.certificate, NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// Challenge returns the answer to a certificate authority that asks a host for a path (HTTP-01).
func (m *Manager) Challenge(host, path string) (answer string, ok bool) {
	if m.magic == nil {
		return "", false
	}
	c, ok := certmagic.GetACMEChallenge(host)
	if !ok || c.HTTP01ResourcePath() != path {
		return "", false
	}
	return c.KeyAuthorization, true
}

// Root returns the local authority's certificate as PEM; nil without one.
func (m *Manager) Root() []byte {
	if m.local == nil {
		return nil
	}
	return m.local.pem
}

// errNoName is what a visitor without a server name gets.
var errNoName = errors.New("the client names no server (SNI), and there is no certificate for that")

// UnknownHostError says that there is no certificate for a host because nobody added it.
type UnknownHostError struct{ Host string }

// Error implements error.
func (e *UnknownHostError) Error() string {
	return "no certificate for " + e.Host + ": nothing here has that name"
}

// certificate is what a handshake asks.
func (m *Manager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeTLS && m.magic != nil {
		return m.magic.GetCertificate(hello)
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		if m.o.Own != nil {
			return m.o.Own, nil
		}
		return nil, errNoName
	}
	if m.o.Own != nil && hello.SupportsCertificate(m.o.Own) == nil {
		return m.o.Own, nil
	}
	if m.magic != nil && m.ready(name) {
		return m.magic.GetCertificate(hello)
	}
	ctx := hello.Context()
	if net.ParseIP(name) != nil || !m.o.Known(ctx, name) {
		return nil, &UnknownHostError{Host: name}
	}
	switch {
	case m.local != nil:
		return m.local.certificate(name)
	case m.magic == nil:
		return nil, &UnknownHostError{Host: name}
	}
	wait, cancel := context.WithTimeout(ctx, handshakeWait)
	defer cancel()
	if err := m.manage(name).wait(wait); err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", name, err)
	}
	return m.magic.GetCertificate(hello)
}

// Ready reports whether HTTPS works for a host now.
func (m *Manager) Ready(host string) bool {
	host = strings.ToLower(host)
	if m.o.Own != nil && m.o.Own.Leaf != nil && m.o.Own.Leaf.VerifyHostname(host) == nil {
		return true
	}
	if m.local != nil {
		return m.local.mayName(host)
	}
	return m.magic != nil && m.ready(host)
}
