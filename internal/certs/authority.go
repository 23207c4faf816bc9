package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Lives of the local authority's certificates.
const (
	rootLife = 10 * 365 * 24 * time.Hour
	leafLife = 30 * 24 * time.Hour
	leafRest = 10 * 24 * time.Hour // left: then a certificate is made anew
)

// maxLeaves bounds the certificates kept in memory.
const maxLeaves = 1024

// RootFile and rootKey are the names of the local authority's files, below "local".
const (
	RootFile = "root.crt"
	rootKey  = "root.key"
)

// localNames returns the domains below which the local authority can vouch for names: those that are nobody's on
// the internet (RFC 2606, RFC 6761, RFC 8375, and ICANN's for internal), and the platform's own.
func localNames(domain string) []string {
	return []string{strings.ToLower(domain), "localhost", "test", "internal", "home.arpa"}
}

// authority signs certificates for development.
type authority struct {
	root  *x509.Certificate
	pem   []byte
	key   *ecdsa.PrivateKey
	leaf  *ecdsa.PrivateKey // of all the certificates; it stays in memory
	names []string

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// openAuthority reads the authority in dir, or makes one.
func openAuthority(dir, domain string, log *slog.Logger) (*authority, error) {
	a := &authority{names: localNames(domain), leaves: make(map[string]*tls.Certificate)}
	if err := fsx.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	err := a.read(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = a.create(dir)
	case err == nil && !a.covers(domain):
		log.Warn("the local certificate authority is not for the platform's domain; a new one is made, run selvage trust again", "domain", domain)
		err = a.create(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("local certificate authority: %w", err)
	}
	a.leaf, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return a, err
}

func (a *authority) read(dir string) error {
	key, err := os.ReadFile(filepath.Join(dir, rootKey)) //nolint:gosec // in the data directory
	if err != nil {
		return err
	}
	if a.pem, err = os.ReadFile(filepath.Join(dir, RootFile)); err != nil { //nolint:gosec // in the data directory
		return err
	}
	pair, err := tls.X509KeyPair(a.pem, key)
	if err != nil {
		return fmt.Errorf("read %s and %s: %w; remove both for a new authority", RootFile, rootKey, err)
	}
	a.root = pair.Leaf
	var ok bool
	if a.key, ok = pair.PrivateKey.(*ecdsa.PrivateKey); !ok {
		return fmt.Errorf("%s holds another kind of key; remove it and %s for a new authority", rootKey, RootFile)
	}
	return nil
}

// covers reports whether the authority is still good for a domain.
func (a *authority) covers(domain string) bool {
	return slices.Contains(a.root.PermittedDNSDomains, strings.ToLower(domain)) && time.Now().Add(leafLife).Before(a.root.NotAfter)
}

func (a *authority) create(dir string) error {
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // only to tell roots apart
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: strings.TrimSpace("selvage local authority " + host), Organization: []string{"selvage"}},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: a.names,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	// The key first: a certificate without its key would be of no use.
	if err := fsx.WriteFile(filepath.Join(dir, rootKey), keyPEM, 0o600); err != nil {
		return err
	}
	return fsx.WriteFile(filepath.Join(dir, RootFile), a.pem, 0o644)
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// NotLocalError says that the local authority cannot vouch for a name.
type NotLocalError struct{ Host string }

// Error implements error.
func (e *NotLocalError) Error() string {
	return "the local certificate authority cannot vouch for " + e.Host + ": it is for names of development alone; use tls.mode acme, or a certificate of your own"
}

func (a *authority) mayName(host string) bool {
	for _, n := range a.names {
		if host == n || strings.HasSuffix(host, "."+n) {
			return true
		}
	}
	return false
}

// certificate returns the certificate for a host.
func (a *authority) certificate(host string) (*tls.Certificate, error) {
	if !a.mayName(host) {
		return nil, &NotLocalError{Host: host}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[host]; c != nil && time.Until(c.Leaf.NotAfter) > leafRest {
		return c, nil
	}
	c, err := a.sign(host)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for %s: %w", host, err)
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	a.leaves[host] = c
	return c, nil
}

func (a *authority) sign(host string) (*tls.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, &a.leaf.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.leaf, Leaf: leaf}, nil
}
