package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/certs"
	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/edge"
)

// domainsEvery is how often it is looked which custom domains there are. A visitor of a new one does not wait for
// that: certificates are ordered for them too.
const domainsEvery = 10 * time.Second

// openTLS opens the certificates; it does nothing without HTTPS.
func (s *Server) openTLS(context.Context) error {
	c := s.cfg.Load()
	if c.TLS.Mode == config.TLSOff {
		return nil
	}
	o := certs.Options{Dir: filepath.Join(s.store.Dir, "certs"), Known: s.knownHost, Log: s.log}
	if c.TLS.Cert != "" {
		own, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return fmt.Errorf("load the certificate of tls.cert and tls.key: %w", err)
		}
		o.Own = &own
	}
	switch c.TLS.Mode {
	case config.TLSLocal:
		o.Local = c.Domain
	case config.TLSACME:
		roots, err := acmeRoots(c.TLS.ACMERoots)
		if err != nil {
			return err
		}
		o.ACME = &certs.ACME{
			Directory: c.TLS.ACME, Email: c.TLS.Email, Roots: roots,
			Host: c.Host, HTTPPort: portOf(s.edgeListener), TLSPort: portOf(s.tlsListener),
		}
	}
	m, err := certs.Open(o)
	if err != nil {
		return err
	}
	s.certs = m
	s.onClose("certificates", func(context.Context) error { return m.Close() })
	return nil
}

func portOf(ln net.Listener) int {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

func acmeRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator named it
	if err != nil {
		return nil, fmt.Errorf("read tls.acme_roots: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read tls.acme_roots: %s holds no certificate", file)
	}
	return roots, nil
}

// edgeTLS is the edge's side of it; nil without HTTPS.
func (s *Server) edgeTLS() *edge.TLS {
	if s.certs == nil {
		return nil
	}
	c := s.cfg.Load()
	t := &edge.TLS{Config: s.certs.TLSConfig(), Challenge: s.certs.Challenge, Port: c.TLS.PublicPort, HSTS: c.TLS.HSTS}
	if t.Port == 0 {
		t.Port = portOf(s.tlsListener)
	}
	if c.TLS.Redirect {
		t.Redirect = s.certs.Ready
	}
	return t
}

// knownHost reports whether a certificate may be made for a host: something answers there, by a name of its own. A
// route for all names of a zone is no reason to order certificates for as many as somebody outside can think of.
func (s *Server) knownHost(ctx context.Context, host string) bool {
	t, err := s.hosts().Lookup(ctx, host)
	if err != nil {
		return false
	}
	if t.Paths == nil || s.cfg.Load().TLS.Mode == config.TLSLocal {
		return true
	}
	owner, err := s.workers.HostOwner(ctx, host)
	if err != nil {
		s.log.WarnContext(ctx, "cannot look up a host for its certificate", "host", host, "error", err)
	}
	return owner != ""
}

// hosts says what answers on which host.
func (s *Server) hosts() edge.Workers { return edgeHosts{edgeWorkers{s.workers}, s.pages} }

// watchDomains keeps the certificates of custom domains in step with what there is.
func (s *Server) watchDomains(ctx context.Context) {
	if s.certs == nil || s.cfg.Load().TLS.Mode != config.TLSACME {
		return
	}
	tick := time.NewTicker(domainsEvery)
	defer tick.Stop()
	var had []string
	for {
		now, err := s.workers.CustomHosts(ctx)
		now = append(now, s.pages.CustomHosts()...)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.WarnContext(ctx, "cannot list the custom domains for their certificates; it is tried again", "error", err)
		default:
			s.certs.Manage(now...) //nolint:contextcheck // orders have a context of their own
			s.certs.Forget(slices.DeleteFunc(had, func(h string) bool { return slices.Contains(now, h) })...)
			had = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// certificates says where hosts stand; nil without certificates of the platform's own making.
func (s *Server) certificates() api.Certificates {
	if s.certs == nil || s.cfg.Load().TLS.Mode != config.TLSACME {
		return nil
	}
	return hostCertificates{s.certs}
}

type hostCertificates struct{ manager *certs.Manager }

// Certificate implements api.Certificates.
func (h hostCertificates) Certificate(host string) api.Certificate {
	s := h.manager.State(host)
	if h.manager.Ready(host) {
		return api.Certificate{State: api.CertificateReady, NotAfter: s.NotAfter}
	}
	out := api.Certificate{State: api.CertificatePending, NotAfter: s.NotAfter, Retry: s.Retry}
	if s.Status == certs.Failed {
		out.State = api.CertificateFailed
	}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	return out
}

// RetryCertificate implements api.Certificates.
func (h hostCertificates) RetryCertificate(host string) { h.manager.Retry(host) }
