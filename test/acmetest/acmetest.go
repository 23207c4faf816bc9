// Package acmetest runs a real ACME certificate authority, Pebble, for tests.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log" //nolint:depguard // what Pebble takes
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// life is that of the certificates.
const life = 24 * time.Hour

// Server is a certificate authority, with a name server of its own that sends all names to this machine.
type Server struct {
	// Directory is the URL to begin with.
	Directory string
	// Roots vouch for the server itself, as RootsPEM do; Issued for what it issues.
	Roots, Issued *x509.CertPool
	RootsPEM      []byte
	// Stop ends it before the test does.
	Stop func()

	store *db.MemoryStore
}

// Start starts an authority that comes to these ports of this machine to see who has a host. The test may not run
// in parallel, because Pebble is told by the environment not to wait.
func Start(t *testing.T, httpPort, tlsPort int) *Server {
	t.Helper()
	return StartWithLife(t, httpPort, tlsPort, life)
}

// StartWithLife is Start with certificates that hold for that long, in whole seconds.
func StartWithLife(t *testing.T, httpPort, tlsPort int, life time.Duration) *Server {
	t.Helper()
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"} {
		t.Setenv(name, value)
	}
	logger := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "test", ValidityPeriod: uint64(life.Seconds())}})
	validation := va.New(logger, httpPort, tlsPort, false, nameServer(t), store)
	front := wfe.New(logger, store, validation, authority, []string{"pebble.letsencrypt.org"}, false, false, 0, 0)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	s := &Server{
		Directory: server.URL + wfe.DirectoryPath, Roots: x509.NewCertPool(), Issued: x509.NewCertPool(), Stop: server.Close, store: store,
		RootsPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
	s.Roots.AddCert(server.Certificate())
	s.Issued.AddCert(authority.GetRootCert(0).Cert)
	return s
}

// Block makes the authority refuse a host.
func (s *Server) Block(t *testing.T, host string) {
	t.Helper()
	if err := s.store.AddBlockedDomain(host); err != nil {
		t.Fatal(err)
	}
}

// nameServer answers every question for an address with 127.0.0.1. Pebble asks over TCP.
func nameServer(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		for _, q := range r.Question {
			if q.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)})
			}
		}
		_ = w.WriteMsg(m) // A client that is gone asks again.
	})}
	started, done := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() {
		defer close(done)
		_ = server.ActivateAndServe() // It ends by Shutdown.
	}()
	<-started
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-done
	})
	return ln.Addr().String()
}
