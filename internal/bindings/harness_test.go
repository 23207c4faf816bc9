package bindings_test

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/workers"
)

func TestMain(m *testing.M) {
	// net/http waits half a second for a client that was refused in mid-body.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// names is a resolver: each look-up of a name takes the next of its answers, the
// last one again and again.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   []string
}

func resolve(pairs ...string) *names {
	n := &names{answers: map[string][][]string{}}
	for i := 0; i < len(pairs); i += 2 {
		n.answers[pairs[i]] = append(n.answers[pairs[i]], strings.Fields(pairs[i+1]))
	}
	return n
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	left := n.answers[strings.TrimSuffix(host, ".")]
	if len(left) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(left) > 1 {
		n.answers[strings.TrimSuffix(host, ".")] = left[1:]
	}
	var out []netip.Addr
	for _, s := range left[0] {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

// spec is a version that may reach the ports of the listeners on loopback.
func spec(script string, addrs ...net.Addr) workers.DoorSpec {
	s := workers.DoorSpec{Account: "acc", Script: script, Version: "v1"}
	for _, a := range addrs {
		ap := netip.MustParseAddrPort(a.String())
		s.Egress.Allow = append(s.Egress.Allow, workers.EgressRule{
			Prefix: netip.PrefixFrom(ap.Addr(), ap.Addr().BitLen()), FromPort: ap.Port(), ToPort: ap.Port(),
		})
	}
	return s
}

// shortDir is a temporary folder whose path leaves room for a socket's name:
// t.TempDir puts the test's name into it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func port(a net.Addr) string {
	return strconv.Itoa(int(netip.MustParseAddrPort(a.String()).Port()))
}

// open opens the doors of a version in a folder of its own.
func open(t *testing.T, s *bindings.Server, spec workers.DoorSpec) (dir string) {
	t.Helper()
	dir = shortDir(t)
	c, err := s.Open(t.Context(), dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// raw writes text to the egress socket as it is and reads one answer.
func raw(t *testing.T, dir, text string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(dir, bindings.EgressSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, text) // a server that has read enough answers and closes
	method, _, _ := strings.Cut(text, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("answer to %q: %v", text, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("answer to %q: %v", text, err)
	}
	return res, string(body)
}

// get is what the runtime sends for fetch(scheme://host/path).
func get(host, path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nselvage-proto: http\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

//go:embed testdata/worker.js
var workerJS []byte

const workerdConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "w", worker = (modules = [(name = "worker.js", esModule = embed "worker.js")], compatibilityDate = "2026-11-01",
      globalOutbound = "egress", bindings = [(name = "ASSETS", service = "assets")])),
    (name = "egress", external = (address = "unix:egress.sock",
      http = (style = host, forwardedProtoHeader = "selvage-proto", cfBlobHeader = "selvage-cf"))),
    (name = "assets", external = (address = "unix:assets.sock",
      http = (style = host, forwardedProtoHeader = "selvage-proto")))],
  sockets = [(name = "h", address = "unix:up.sock", http = (), service = "w")]);`

// startWorkerd runs testdata/worker.js with the doors in dir.
func startWorkerd(t *testing.T, dir string) *worker {
	t.Helper()
	bin := os.Getenv("SELVAGE_WORKERD")
	if bin == "" {
		bin, _ = filepath.Abs("../../tools/node_modules/@cloudflare/workerd-linux-64/bin/workerd")
	}
	for name, data := range map[string][]byte{"worker.js": workerJS, "config.capnp": []byte(workerdConfig)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out lines
	cmd := exec.Command(bin, "serve", "config.capnp")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start workerd (set SELVAGE_WORKERD, or install the tools): %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("workerd: %s", out.String())
		}
	})
	w := &worker{sock: filepath.Join(dir, "up.sock")}
	w.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx) },
	}}
	t.Cleanup(w.client.CloseIdleConnections)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := w.dial(t.Context()); err == nil {
			c.Close()
			return w
		}
		if time.Now().After(deadline) {
			t.Fatal("workerd does not listen")
		}
	}
}

type worker struct {
	sock   string
	client *http.Client
}

func (w *worker) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", w.sock)
}

// result is what worker.js reports.
type result struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
	Threw  string            `json:"threw"`
	Name   string            `json:"name"`
}

// do has the worker run one of its operations.
func (w *worker) do(t *testing.T, op string, args any) result {
	t.Helper()
	in, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Post("http://worker.test/"+op, "application/json", bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%s: %d %s", op, res.StatusCode, body)
	}
	return r
}

// listen serves each TCP connection on loopback with f.
func listen(t *testing.T, f func(net.Conn)) net.Addr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				f(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr()
}
