package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// platform is one running "selvage up".
type platform struct {
	Ready         bool   `json:"ready"`
	EdgeURL       string `json:"edge_url"`
	TLSURL        string `json:"tls_url"`
	APIURL        string `json:"api_url"`
	AccountID     string `json:"account_id"`
	Token         string `json:"token"`
	Domain        string `json:"domain"`
	WorkersDomain string `json:"workers_domain"`
	PagesDomain   string `json:"pages_domain"`
	PID           int    `json:"pid"`

	data   string
	args   []string
	env    []string // besides cleanEnv
	prefix []string // the command that runs selvage, such as nsenter
	line   []byte   // the ready line
	cmd    *exec.Cmd
	stdout *lockedBuffer // what came after the ready line
	stderr *lockedBuffer
	exited chan error
}

// lockedBuffer keeps what a process said for the message of a failed test.
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

// repo is the top of the checkout.
func repo(t *testing.T) string {
	t.Helper()
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// binary is the selvage under test, which "make build" makes.
func binary(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("SELVAGE_BIN")
	if bin == "" {
		bin = filepath.Join(repo(t), "bin", "selvage")
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("%v: run \"make build\" first", err)
	}
	return bin
}

// start starts a platform on free ports in a directory of its own and stops it
// when the test ends.
func start(t *testing.T, args ...string) *platform {
	t.Helper()
	p := &platform{data: filepath.Join(t.TempDir(), "data"), args: args}
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

// up starts the process on p's data directory and waits until it is ready.
func (p *platform) up(t *testing.T) {
	t.Helper()
	args := slices.Concat(p.prefix, []string{binary(t), "up", "--json", "--data", p.data, "--port", "0", "--api-port", "0"}, p.args)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(append(cleanEnv(t), "HOME="+filepath.Dir(p.data)), p.env...)
	p.stdout, p.stderr = &lockedBuffer{}, &lockedBuffer{}
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	p.line, err = lines.ReadBytes('\n')
	exited, cmd, rest := make(chan error, 1), p.cmd, p.stdout
	p.exited = exited
	go func() {
		io.Copy(rest, lines)
		exited <- cmd.Wait()
	}()
	if err != nil {
		t.Fatalf("selvage up said nothing: %v\n%s", err, p.stderr)
	}
	if err := json.Unmarshal(p.line, p); err != nil || !p.Ready {
		t.Fatalf("selvage up said %q: %v", p.line, err)
	}
}

// stop drains the platform and checks that it exits with 0.
func (p *platform) stop(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.exited:
		if err != nil {
			t.Errorf("selvage ended with %v\n%s", err, tail(p.stderr.String(), 4000))
		}
	case <-time.After(60 * time.Second):
		t.Errorf("selvage did not end within 60 s of SIGTERM\n%s", tail(p.stderr.String(), 4000))
		p.kill()
	}
	if more := p.stdout.String(); more != "" {
		t.Errorf("selvage up --json printed more than one line: %q", tail(more, 1000))
	}
	p.cmd = nil
}

// kill is kill -9.
func (p *platform) kill() {
	p.cmd.Process.Kill()
	<-p.exited
	p.cmd = nil
}

func (p *platform) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(p.APIURL+"/client/v4", p.Token, p.AccountID, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// host is the hostname of a worker.
func (p *platform) host(worker string) string { return worker + "." + p.WorkersDomain }

// edgeAddr is the host:port the edge listens on.
func (p *platform) edgeAddr(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.EdgeURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// request makes a request to the edge for a hostname of the platform.
func (p *platform) request(t *testing.T, method, host, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.edgeAddr(t)+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return req
}

// answer is a response read whole.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (p *platform) get(t *testing.T, host, path string) answer {
	t.Helper()
	return do(t, p.request(t, http.MethodGet, host, path, nil))
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	c := http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// cleanEnv is what a child process gets: no variable by which wrangler detects
// a CI or an agent, no SELVAGE_* of the caller.
func cleanEnv(t *testing.T) []string {
	t.Helper()
	node, err := filepath.Glob(filepath.Join(repo(t), "tools", "node_modules", "node-"+runtime.GOOS+"-*", "bin"))
	if err != nil || len(node) == 0 {
		t.Fatal("node is not installed under tools/: run \"make test\"")
	}
	return []string{"PATH=" + node[0] + ":" + os.Getenv("PATH"), "LANG=C.UTF-8", "NO_COLOR=1"}
}

// wrangler runs the unmodified wrangler in dir against p.
func (p *platform) wrangler(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	return p.wranglerIn(t, dir, "", args...)
}

// wranglerIn is wrangler with text on its standard input.
func (p *platform) wranglerIn(t *testing.T, dir, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	script := filepath.Join(repo(t), "tools", "node_modules", "wrangler", "bin", "wrangler.js")
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Env = p.wranglerEnv(t)
	cmd.Path = nodePath(cmd.Env)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// wranglerEnv is what wrangler needs to find p, beside a clean environment.
func (p *platform) wranglerEnv(t *testing.T) []string {
	t.Helper()
	return append(
		cleanEnv(t),
		"HOME="+filepath.Dir(p.data),
		"CLOUDFLARE_API_BASE_URL="+p.APIURL+"/client/v4",
		"CLOUDFLARE_API_TOKEN="+p.Token,
		"CLOUDFLARE_ACCOUNT_ID="+p.AccountID,
		"WRANGLER_SEND_METRICS=false",
		"CLOUDFLARE_CF_FETCH_ENABLED=false",
		"FORCE_COLOR=0",
		"NODE_COMPILE_CACHE="+filepath.Join(repo(t), "tools", "node_modules", ".compile-cache"), // a fifth of what a start costs
	)
}

func nodePath(env []string) string {
	path := strings.TrimPrefix(env[0], "PATH=")
	first, _, _ := strings.Cut(path, ":")
	return filepath.Join(first, "node")
}

// must runs wrangler and fails the test when it fails.
func (p *platform) must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := p.wrangler(t, dir, args...)
	if err != nil {
		t.Fatalf("wrangler %s: %v\n%s\nplatform:\n%s", strings.Join(args, " "), err, out, tail(p.stderr.String(), 3000))
	}
	return out
}

// cli runs the selvage command against p's data directory.
func (p *platform) cli(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return p.run(t, append(slices.Concat(p.prefix, []string{binary(t)}, args), "--data", p.data)...)
}

// run runs a command to its end with p's environment.
func (p *platform) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(append(cleanEnv(t), "HOME="+filepath.Dir(p.data)), p.env...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// project writes files into a fresh folder.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// worker is a project of one module.
func worker(t *testing.T, name, source string) string {
	t.Helper()
	return project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01"}`, name),
		"index.js":       source,
	})
}

func hello(text string) string {
	return fmt.Sprintf("export default { fetch() { return new Response(%q) } }", text)
}

// rounds is n in full and a tenth of it otherwise.
func rounds(n int) int {
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		return n
	}
	return max(1, n/10)
}

// seeded gives the test's randomness and prints its seed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SELVAGE_TEST_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("SELVAGE_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// dialEdge opens a raw connection to the edge.
func (p *platform) dialEdge(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.edgeAddr(t), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}
