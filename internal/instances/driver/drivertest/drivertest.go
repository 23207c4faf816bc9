// Package drivertest has the tests that every driver of containers passes.
package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// Run runs the tests on a driver, which stays the caller's.
func Run(t *testing.T, d driver.Driver) {
	t.Helper()
	s := &suite{d: d, layer: Layer(t, d.Shift())}
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"Serves", testServes},
		{"Surroundings", testSurroundings},
		{"User", testUser},
		{"ExitCode", testExitCode},
		{"Signals", testSignals},
		{"CannotStart", testCannotStart},
		{"Isolated", testIsolated},
		{"OutOfMemory", testOutOfMemory},
		{"ForkBomb", testForkBomb},
		{"Processor", testProcessor},
		{"Exec", testExec},
		{"Output", testOutput},
		{"Files", testFiles},
		{"Writes", testWrites},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// Layer builds the guest and returns a layer that has nothing but it, as /guest.
func Layer(tb testing.TB, shift int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "layer")
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil { //nolint:gosec // users of the container pass through
		tb.Fatal(err)
	}
	Guest(tb, filepath.Join(dir, "guest"))
	write(tb, filepath.Join(dir, "etc/passwd"), "root:x:0:0::/:/\nweb:x:33:44::/:/\n")
	write(tb, filepath.Join(dir, "etc/group"), "web:x:44:\nextra:x:55:other,web\n")
	for _, name := range []string{".", "guest", "etc", "etc/passwd", "etc/group"} {
		if err := os.Lchown(filepath.Join(dir, name), shift, shift); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644) //nolint:gosec // a test's, read by users of the container
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
}

// Guest builds the guest, a static program.
func Guest(tb testing.TB, to string) {
	tb.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		tb.Fatal(err)
	}
	var mu sync.Mutex
	var said []string
	p, err := supervise.Start(tb.Context(), supervise.Spec{
		Path: tool, Args: []string{"build", "-ldflags=-s", "-o", to, "github.com/selvage-dev/selvage/internal/instances/driver/drivertest/testdata/guest"},
		Env: append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="),
		Stderr: func(line []byte) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, string(line))
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	<-p.Done()
	if err := p.Err(); err != nil {
		tb.Fatalf("build the guest: %v\n%s", err, strings.Join(said, "\n"))
	}
}

type suite struct {
	d     driver.Driver
	layer string

	mu sync.Mutex
	n  int
}

// container is one with what it printed.
type container struct {
	driver.Container

	mu  sync.Mutex
	out []string
	new chan struct{}
}

func (c *container) add(line []byte) {
	c.mu.Lock()
	c.out = append(c.out, string(line))
	c.mu.Unlock()
	select {
	case c.new <- struct{}{}:
	default:
	}
}

func (c *container) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.out, "\n")
}

const patience = 20 * time.Second

// prints waits until the container has printed what contains part.
func (c *container) prints(t *testing.T, part string) {
	t.Helper()
	end := time.After(patience)
	for !strings.Contains(c.text(), part) {
		select {
		case <-c.new:
		case <-end:
			t.Fatalf("it does not print %q but %q", part, c.text())
		}
	}
}

func (c *container) ends(t *testing.T) driver.Exit {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Fatalf("it does not end; it printed %q", c.text())
	}
	return c.Exit()
}

func (s *suite) spec(args ...string) driver.Spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return driver.Spec{
		ID: fmt.Sprintf("t%dx%d", os.Getpid(), s.n), Layers: []string{s.layer}, Args: append([]string{"/guest"}, args...), Hostname: "box",
		Resources: driver.Resources{Memory: 128 << 20, MilliCPU: 1000, PIDs: 64},
	}
}

func (s *suite) create(t *testing.T, spec driver.Spec) (*container, error) {
	t.Helper()
	c := &container{new: make(chan struct{}, 1)}
	spec.Stdout, spec.Stderr = c.add, c.add
	made, err := s.d.Create(t.Context(), spec)
	if err != nil {
		return nil, err
	}
	c.Container = made
	t.Cleanup(func() {
		if err := made.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c, nil
}

func (s *suite) start(t *testing.T, spec driver.Spec) *container {
	t.Helper()
	c, err := s.create(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatalf("%v; it printed %q", err, c.text())
	}
	return c
}

// get asks the server in a container.
func get(c driver.Container, path string) (string, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
			err = c.Network().Do(func() error {
				conn, err = new(net.Dialer).DialContext(ctx, "tcp4", "127.0.0.1:8080")
				return err
			})
			return conn, err
		},
	}}
	res, err := client.Get("http://guest" + path) //nolint:noctx // it has a time limit
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func testServes(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("serve"))
	c.prints(t, "listening")
	if got, err := get(c, "/x"); err != nil || got != "guest GET /x" {
		t.Errorf("%q, %v", got, err)
	}
	stats, err := c.Stats()
	if err != nil || stats.Memory <= 0 || stats.PIDs <= 0 || stats.CPU <= 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	if _, err := get(c, "/exit"); err == nil {
		t.Error("an answer from a server that ended")
	}
	if e := c.ends(t); e.Code != 3 || e.OutOfMemory {
		t.Errorf("%+v", e)
	}
	if err := c.Signal(syscall.SIGTERM); err == nil {
		t.Error("a signal reached what has ended")
	}
}

func testSurroundings(t *testing.T, s *suite) {
	t.Helper()
	spec := s.spec("show", "a b", "$c")
	spec.Env, spec.Dir, spec.Nameserver = []string{"A=1", "PATH=/p", "A=2"}, "/made/here", "127.0.0.53"
	c := s.start(t, spec)
	if e := c.ends(t); e.Code != 0 {
		t.Errorf("%+v", e)
	}
	for _, want := range []string{
		"uid 0 gid 0 pid 1 host box dir /made/here", "args a b|$c", "PATH=/p|HOME=/root|A=2", "nameserver 127.0.0.53", "127.0.0.1 box", "interface lo true", "on stderr",
	} {
		if !strings.Contains(c.text(), want) {
			t.Errorf("no %q in %q", want, c.text())
		}
	}
	if strings.Count(c.text(), "interface ") != 1 {
		t.Errorf("interfaces: %q", c.text())
	}
}

func testUser(t *testing.T, s *suite) {
	t.Helper()
	for user, want := range map[string]string{
		"web": "uid 33 gid 44", "web:root": "", "1000": "uid 1000 gid 0", "1000:7": "uid 1000 gid 7", "33:web": "uid 33 gid 44",
	} {
		spec := s.spec("show")
		spec.User = user
		if want == "" {
			if _, err := s.create(t, spec); !isStartError(err) {
				t.Errorf("user %s: %v", user, err)
			}
			continue
		}
		c := s.start(t, spec)
		c.ends(t)
		if !strings.Contains(c.text(), want) {
			t.Errorf("user %s: %q", user, c.text())
		}
		if user == "web" && !strings.Contains(c.text(), "groups [44 55]") && !strings.Contains(c.text(), "groups [55]") {
			t.Errorf("groups: %q", c.text())
		}
	}
}

func testExitCode(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("exit", "42"))
	if e := c.ends(t); e.Code != 42 || e.OutOfMemory {
		t.Errorf("%+v", e)
	}
}

func testSignals(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("polite"))
	c.prints(t, "up")
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if e := c.ends(t); e.Code != 7 || !strings.Contains(c.text(), "bye") {
		t.Errorf("%+v, %q", e, c.text())
	}
	c = s.start(t, s.spec("stubborn"))
	c.prints(t, "up")
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := c.ends(t); e.Code != 137 || e.OutOfMemory {
		t.Errorf("%+v", e)
	}
}

func testOutput(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("print", "5000"))
	c.ends(t)
	if n := strings.Count(c.text(), strings.Repeat("x", 1000)); n != 5000 {
		t.Errorf("%d lines of 5000", n)
	}
}

func testFiles(t *testing.T, s *suite) {
	t.Helper()
	c, err := s.create(t, s.spec("serve"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Files()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var b bytes.Buffer
	if err := f.ReadTar(t.Context(), "/etc", &b); err != nil || !bytes.Contains(b.Bytes(), []byte("etc/passwd")) {
		t.Fatalf("%d bytes, %v", b.Len(), err)
	}
	if err := f.WriteTar(t.Context(), "/", &b); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteTar(t.Context(), "/nowhere", &b); err == nil {
		t.Error("a folder that is not there takes files")
	}
	if err := f.ReadTar(t.Context(), "/nowhere", io.Discard); err == nil {
		t.Error("a file that is not there can be read")
	}
}
