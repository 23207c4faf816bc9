package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/config"
	"github.com/selvage-dev/selvage/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// configured returns a configuration on free ports.
func configured(t *testing.T, flags map[string]string) *config.Config {
	t.Helper()
	all := map[string]string{"data": filepath.Join(t.TempDir(), "data"), "port": "0", "api-port": "0"}
	maps.Copy(all, flags)
	c, err := config.Load(config.Sources{Getenv: func(name string) string {
		if name == "SELVAGE_WORKERD" {
			return os.Getenv(name)
		}
		return ""
	}, Flags: all})
	if err != nil {
		t.Fatal(err)
	}
	return &c.Config
}

// start starts a platform as the command does.
func start(t *testing.T, c *config.Config) (*server.Server, server.Info, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	s := server.New(server.Options{Config: c, Version: "test", Log: log})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v\n%s", err, log)
		}
	})
	info, err := s.Info()
	if err != nil {
		t.Fatal(err)
	}
	return s, info, log
}

func get(t *testing.T, c *http.Client, url, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String()
}

// lone is a client that keeps no connection.
func lone() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
}

func TestServesAndStops(t *testing.T) {
	c := configured(t, nil)
	s, info, _ := start(t, c)
	if status, body := get(t, lone(), info.APIURL+"/readyz", ""); status != 200 {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, body := get(t, lone(), info.APIURL+"/metrics", info.Token); status != 200 ||
		!strings.Contains(body, "selvage_log_events_total") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %d %.500s", status, body)
	}
	if status, _ := get(t, lone(), info.EdgeURL, ""); status != 404 {
		t.Errorf("the edge answers %d for a host it does not know", status)
	}
	if run, ok := server.ReadRunFile(c.Data); !ok || run.EdgeURL != info.EdgeURL || run.Token != "" {
		t.Errorf("platform.json: %+v, %v", run, ok)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("second close: %v", err)
	}
	for _, url := range []string{info.EdgeURL, info.APIURL} {
		if conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
			conn.Close()
			t.Errorf("%s still listens", url)
		}
	}
	if _, ok := server.ReadRunFile(c.Data); ok {
		t.Error("platform.json says that it runs")
	}
	// The data directory is free, and its state whole.
	_, again, _ := start(t, c)
	if again.AccountID != info.AccountID || again.Token != info.Token {
		t.Errorf("another platform: %+v", again)
	}
}

func TestFailedStartLeavesNothingRunning(t *testing.T) {
	// Short, so that the run folder is in the data directory.
	dir, err := os.MkdirTemp("/tmp", "sv") //nolint:usetesting // whose paths are long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run := filepath.Join(dir, "run")
	if err := os.WriteFile(run, nil, 0o600); err != nil { // a file where a folder must be
		t.Fatal(err)
	}
	c := configured(t, map[string]string{"data": dir})
	err = server.New(server.Options{Config: c}).Start(t.Context())
	if failed, ok := errors.AsType[*server.StartError](err); !ok || failed.Step != "open the workers" {
		t.Fatalf("start: %v", err)
	}
	if err := os.Remove(run); err != nil {
		t.Fatal(err)
	}
	start(t, c) // ports and lock are free again
}

func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := configured(t, nil)
	if err := server.New(server.Options{Config: c}).Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("the data directory was made")
	}
}

func TestLongDataPath(t *testing.T) {
	temp, err := os.MkdirTemp("/tmp", "sv") //nolint:usetesting // whose paths are long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	t.Setenv("XDG_RUNTIME_DIR", "")
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 120), "data")
	t.Setenv("TMPDIR", temp)
	s, info, _ := start(t, configured(t, map[string]string{"data": long}))
	if status, _ := get(t, lone(), info.APIURL+"/readyz", ""); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	if made, err := os.ReadDir(temp); err != nil || len(made) == 0 {
		t.Errorf("no run folder: %v, %v", made, err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "selvage-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestReload(t *testing.T) {
	c := configured(t, map[string]string{"log-level": "warn"})
	s, info, log := start(t, c)
	now := *c
	now.Log.Level, now.Domain, now.DrainTimeout, now.Limits.HeaderSize = "info", "other.example", time.Second, 4096
	if diff := cmp.Diff([]string{"domain"}, s.Reload(t.Context(), &now)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(log.String(), "needs a restart") || strings.Contains(log.String(), "the platform serves") {
		t.Errorf("log: %s", log)
	}
	s.Log().Info("now seen")
	if !strings.Contains(log.String(), "now seen") {
		t.Error("the log level did not change")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(info.EdgeURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 8000))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, " 431 ") {
		t.Errorf("a head above the new limit: %q, %v", line, err)
	}
	if again, err := s.Info(); err != nil || again != info {
		t.Errorf("the domain changed while running: %+v, %v", again, err)
	}
	if diff := cmp.Diff([]string{"domain"}, s.Reload(t.Context(), &now)); diff != "" {
		t.Errorf("what waits for a restart is told again: %s", diff)
	}
}

func TestFollowersDoNotHoldTheStop(t *testing.T) {
	s, info, _ := start(t, configured(t, map[string]string{"drain-timeout": "30s"}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		info.APIURL+"/client/v4/accounts/"+info.AccountID+"/selvage/logs?follow=true&limit=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+info.Token)
	res, err := lone().Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestAPIWithTLS(t *testing.T) {
	cert, key := certificate(t)
	c := configured(t, map[string]string{"api-tls-cert": cert, "api-tls-key": key, "api-host": "0.0.0.0"})
	_, info, _ := start(t, c)
	if !strings.HasPrefix(info.APIURL, "https://127.0.0.1:") {
		t.Fatalf("API at %s", info.APIURL)
	}
	insecure := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if status, _ := get(t, insecure, info.APIURL+"/readyz", ""); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	if run, ok := server.ReadRunFile(c.Data); !ok || len(run.CertSHA256) != 64 {
		t.Errorf("platform.json: %+v, %v", run, ok)
	}
}

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "api.example"}, DNSNames: []string{"api.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
