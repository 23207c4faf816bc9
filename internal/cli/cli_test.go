package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/cli"
)

// binary is built once; tests that need signals run it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "selvage-cli")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "selvage")
		build := exec.Command("go", "build", "-o", binary, "-ldflags", "-X main.version=v0.0.0-test -X main.commit=abc", "../../cmd/selvage")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// environ is a clean environment, whose home is dir.
func environ(dir string, more ...string) []string {
	env := []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	if w := os.Getenv("SELVAGE_WORKERD"); w != "" {
		env = append(env, "SELVAGE_WORKERD="+w)
	}
	return append(env, more...)
}

type result struct {
	code           int
	stdout, stderr string
}

// run runs a command in this process.
func run(t *testing.T, args ...string) result { t.Helper(); return runWith(t, nil, "", args...) }

func runWith(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code := cli.Run(ctx, cli.Process{
		Args: args, Environ: environ(t.TempDir(), env...), Version: "v0.0.0-test", Commit: "abc",
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errOut,
	})
	return result{code, out.String(), errOut.String()}
}

// platform is one that "up" runs in this process.
type platform struct {
	Ready         bool   `json:"ready"`
	EdgeURL       string `json:"edge_url"`
	APIURL        string `json:"api_url"`
	AccountID     string `json:"account_id"`
	Token         string `json:"token"`
	Domain        string `json:"domain"`
	WorkersDomain string `json:"workers_domain"`
	PagesDomain   string `json:"pages_domain"`
	PID           int    `json:"pid"`

	data   string
	line   string
	stderr *lockedBuffer
	stop   func() int
}

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

// start starts a platform on free ports and stops it when the test ends.
func start(t *testing.T, data string, args ...string) *platform {
	t.Helper()
	p := &platform{data: data, stderr: &lockedBuffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	out, write := io.Pipe()
	exited := make(chan int, 1)
	go func() {
		code := cli.Run(ctx, cli.Process{
			Args:    append([]string{"up", "--json", "--data", data, "--port", "0", "--api-port", "0"}, args...),
			Environ: environ(data), Version: "v0.0.0-test", Commit: "abc",
			Stdin: strings.NewReader(""), Stdout: write, Stderr: p.stderr,
		})
		write.Close()
		exited <- code
	}()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("up said %q: %v\n%s", line, err, p.stderr)
	}
	p.line = line
	rest := make(chan string, 1)
	go func() {
		more, _ := io.ReadAll(lines)
		rest <- string(more)
	}()
	p.stop = sync.OnceValue(func() int {
		cancel()
		code := <-exited
		if more := <-rest; more != "" {
			t.Errorf("up printed more than one line: %q", more)
		}
		return code
	})
	t.Cleanup(func() {
		if code := p.stop(); code != 0 {
			t.Errorf("up ended with %d\n%s", code, p.stderr)
		}
	})
	if err := json.Unmarshal([]byte(line), p); err != nil {
		t.Fatal(err)
	}
	return p
}

// tree lists a folder with the content of its files.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// oneLine checks that a failure is one clear line.
func oneLine(t *testing.T, r result, code int, wants ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if r.stdout != "" {
		t.Errorf("stdout has %q", r.stdout)
	}
	first, rest, _ := strings.Cut(r.stderr, "\n")
	if !strings.HasPrefix(first, "selvage: ") || (code == 1 && rest != "") {
		t.Errorf("not one line that begins with selvage: %q", r.stderr)
	}
	for _, want := range wants {
		if !strings.Contains(first, want) {
			t.Errorf("the line lacks %q: %s", want, first)
		}
	}
}

func TestWrongCalls(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"nosuch", `has no command "nosuch"`},
		{"statsu", `did you mean "status"?`},
		{"token rol", `has no command "rol"`},
		{"up --nosuch", "--nosuch"},
		{"up extra", "extra"},
		{"env --json --fish", "exclude each other"},
		{"token create", "one argument"},
		{"token create x", "--scope"},
		{"token create x --scope * --expires yesterday", "--expires"},
		{"logs a b", "at most one"},
		{"logs --level loud", "--level"},
		{"logs --kind x", "--kind"},
		{"logs --since x", "--since"},
		{"logs --limit -1", "--limit"},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := run(t, strings.Fields(c.args)...)
			oneLine(t, r, 2, c.want)
			if !strings.Contains(r.stderr, "--help") {
				t.Errorf("no way to the help: %s", r.stderr)
			}
		})
	}
}

func TestHelpEverywhere(t *testing.T) {
	for _, args := range []string{
		"", "up", "env", "status", "logs", "token", "token create", "token list", "token roll", "token revoke", "whoami", "version", "config", "doctor",
		"kv", "kv namespace", "kv namespace create", "kv namespace delete", "kv key", "kv key put", "kv key get", "kv key list", "kv bulk", "kv bulk put", "kv bulk get", "kv bulk delete",
	} {
		r := run(t, append(strings.Fields(args), "--help")...)
		if r.code != 0 || !strings.Contains(r.stdout, "Examples:") || !strings.Contains(r.stdout, "selvage") {
			t.Errorf("%q --help: exit code %d, no examples in:\n%s", args, r.code, r.stdout)
		}
	}
	if r := run(t, "completion", "bash"); r.code != 0 || !strings.Contains(r.stdout, "selvage") {
		t.Errorf("completion bash: %d", r.code)
	}
}

func TestReadyLine(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := start(t, data, "--subdomain", "me")
	if strings.Count(p.line, "\n") != 1 || !p.Ready || p.PID != os.Getpid() || len(p.AccountID) != 32 || p.Token == "" {
		t.Errorf("ready line %s", p.line)
	}
	if p.Domain != "selvage.localhost" || p.WorkersDomain != "me.workers.selvage.localhost" || p.PagesDomain != "pages.selvage.localhost" {
		t.Errorf("domains in %s", p.line)
	}
	for _, url := range []string{p.APIURL + "/healthz", p.APIURL + "/readyz"} {
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", url, res.StatusCode)
		}
	}
	for name, perm := range map[string]fs.FileMode{"platform.json": 0o600, "operator-token": 0o600, "": fs.ModeDir | 0o700} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode() != perm {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	if strings.Contains(tree(t, data)["/platform.json"], p.Token) {
		t.Error("platform.json holds the token")
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(data, "platform.json")); err == nil {
		t.Error("platform.json is still there")
	}
	// The second start is the same platform.
	again := start(t, data, "--subdomain", "other")
	if again.AccountID != p.AccountID || again.Token != p.Token || again.WorkersDomain != p.WorkersDomain {
		t.Errorf("another platform: %s", again.line)
	}
}

func TestFriendlyText(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, write := io.Pipe()
	exited := make(chan int, 1)
	data := filepath.Join(t.TempDir(), "my data")
	go func() {
		exited <- cli.Run(ctx, cli.Process{
			Args: []string{"up", "--data", data, "--port", "0", "--api-port", "0"}, Environ: environ(data),
			Stdin: strings.NewReader(""), Stdout: write, Stderr: io.Discard, Program: "/opt/our tools/selvage",
		})
		write.Close()
	}()
	r := bufio.NewReader(out)
	var text strings.Builder
	for !strings.Contains(text.String(), "wrangler deploy") {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", text.String(), err)
		}
		text.WriteString(line)
	}
	go io.Copy(io.Discard, r)
	cancel()
	if code := <-exited; code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"http://<name>.", "API", `eval "$('/opt/our tools/selvage' env --data '` + data + `')"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, text.String())
		}
	}
}

func TestSecondStart(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "data"))
	r := run(t, "up", "--data", p.data, "--port", "0", "--api-port", "0")
	oneLine(t, r, 1, "already runs", p.data, fmt.Sprint(os.Getpid()), "--data")
	// With the running one's port too: still the same reason, not the port's.
	port := p.EdgeURL[strings.LastIndexByte(p.EdgeURL, ':')+1:]
	oneLine(t, run(t, "up", "--data", p.data, "--port", port, "--api-port", "0"), 1, "already runs", p.data)
	if r := run(t, "status", "--data", p.data); r.code != 0 {
		t.Errorf("the first one no longer answers: %s", r.stderr)
	}
}

func TestTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	data := filepath.Join(t.TempDir(), "data")
	oneLine(t, run(t, "up", "--data", data, "--port", port, "--api-port", "0"), 1, port, "--port", "taken")
	oneLine(t, run(t, "up", "--data", data, "--port", "0", "--api-port", port), 1, port, "--api-port", "taken")
	if _, err := os.Stat(data); err == nil {
		t.Error("the data directory was made")
	}
}

func TestRefusedBeforeAnythingIsMade(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("port = 1\nprot = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	for _, c := range []struct {
		name  string
		args  []string
		wants []string
	}{
		{"unknown key", []string{"--config", file}, []string{file + ":2", "prot", `"port"`}},
		{"no such file", []string{"--config", file + "x"}, []string{file + "x"}},
		{"bad value", []string{"--limits-connections", "0"}, []string{"--limits-connections", "from 1"}},
		{"API off loopback", []string{"--api-host", "0.0.0.0"}, []string{"--insecure-http"}},
		{"foreign address", []string{"--host", "192.0.2.1", "--api-host", "127.0.0.1"}, []string{"192.0.2.1", "--host"}},
		{"no workerd", []string{"--workerd", file + "x"}, []string{file + "x", "--workerd"}},
		{"not a workerd", []string{"--workerd", "/bin/true"}, []string{"/bin/true", "--workerd"}},
		{"no certificate", []string{"--api-tls-cert", file, "--api-tls-key", file}, []string{"api.tls_cert"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"up", "--data", data}, c.args...)
			if c.name != "unknown key" {
				args = append(args, "--port", "0", "--api-port", "0")
			}
			oneLine(t, run(t, args...), 1, c.wants...)
			if _, err := os.Stat(data); err == nil {
				t.Error("the data directory was made")
			}
		})
	}
	oneLine(t, run(t, "up", "--data", file, "--port", "0", "--api-port", "0"), 1, file)
}

func TestOperatorTokenLost(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "data"))
	if err := os.Remove(filepath.Join(p.data, "operator-token")); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"env", "status", "logs", "whoami"} {
		oneLine(t, run(t, command, "--data", p.data), 1, "operator-token", "selvage token roll operator")
	}
	oneLine(t, run(t, "token", "roll", "operator", "--data", p.data), 1, "stop the platform")
	p.stop()
	if r := run(t, "token", "roll", "operator", "--data", p.data); r.code != 0 {
		t.Fatal(r.stderr)
	}
	again := start(t, p.data)
	if again.Token == p.Token || again.Token == "" {
		t.Errorf("token after the roll: %q", again.Token)
	}
	if r := run(t, "whoami", "--data", p.data); r.code != 0 || !strings.Contains(r.stdout, p.AccountID) {
		t.Errorf("whoami: %+v", r)
	}
	oneLine(t, run(t, "token", "roll", "operator", "--data", t.TempDir()), 1, "no data directory")
}

func TestNothingRuns(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "platform.json")
	for _, prepare := range []func() error{
		func() error { return nil },
		func() error {
			return os.WriteFile(stale, []byte(`{"pid":2147483646,"api_url":"http://127.0.0.1:1"}`), 0o600)
		},
		func() error { return os.WriteFile(stale, []byte(`garbage`), 0o600) },
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"env", "status", "logs", "whoami"} {
			oneLine(t, run(t, command, "--data", dir), 1, "no platform runs", dir, "selvage up")
		}
		if r := run(t, "status", "--json", "--data", dir); r.code != 1 || r.stdout != "{\"running\":false}\n" || r.stderr != "" {
			t.Errorf("status --json: %+v", r)
		}
	}
}

func TestEnv(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "data"))
	want := map[string]string{
		"CLOUDFLARE_API_BASE_URL": p.APIURL + "/client/v4", "CLOUDFLARE_API_TOKEN": p.Token, "CLOUDFLARE_ACCOUNT_ID": p.AccountID,
		"WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false",
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(run(t, "env", "--json", "--data", p.data).stdout), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, value := range want {
		script := run(t, "env", "--data", p.data).stdout + "\nprintf %s \"$" + name + "\""
		out, err := exec.Command("sh", "-c", script).Output()
		if err != nil || string(out) != value {
			t.Errorf("a shell takes %s for %q, want %q (%v)", name, out, value, err)
		}
		if fish := run(t, "env", "--fish", "--data", p.data).stdout; !strings.Contains(fish, "set -gx "+name+" '"+value+"'\n") {
			t.Errorf("fish: %s", fish)
		}
	}
}

func TestTokens(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "data"))
	in := func(stdin string, args ...string) result {
		return runWith(t, nil, stdin, append(args, "--data", p.data)...)
	}
	made := in("", "token", "create", "ci", "--scope", "workers:write", "--scope", "logs:read", "--expires", "1h")
	secret := strings.TrimSpace(made.stdout)
	if made.code != 0 || secret == "" || strings.ContainsAny(secret, " \n") {
		t.Fatalf("create: %+v", made)
	}
	var list []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(in("", "token", "list", "--json").stdout), &list); err != nil || len(list) != 2 {
		t.Fatalf("list: %v, %v", list, err)
	}
	rolled := in("", "token", "roll", "ci")
	if s := strings.TrimSpace(rolled.stdout); rolled.code != 0 || s == secret || s == "" {
		t.Errorf("roll: %+v", rolled)
	}
	if r := in("", "token", "revoke", "ci"); r.code != 0 {
		t.Errorf("revoke: %+v", r)
	}
	oneLine(t, in("", "token", "revoke", "ci"), 1, "ci", "token list")
	if r := in("n\n", "token", "revoke", "operator"); r.code != 1 || !strings.Contains(r.stderr, "--yes") {
		t.Errorf("revoke operator, no: %+v", r)
	}
	if r := in("", "token", "roll", "operator"); r.code != 0 || strings.Contains(r.stdout, p.Token) {
		t.Errorf("roll operator while it runs: %+v", r)
	}
	if r := in("", "token", "list"); r.code != 0 || !strings.Contains(r.stdout, "operator") {
		t.Errorf("list: %+v", r)
	}
	if r := in("yes\n", "token", "revoke", "operator"); r.code != 0 {
		t.Errorf("revoke operator, yes: %+v", r)
	}
	if r := in("", "token", "list"); r.code != 1 {
		t.Errorf("list without the operator's token: %+v", r)
	}
}

func TestLogsFindARequest(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "data"))
	res, err := http.Get(p.EdgeURL + "/some/path?q=1")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	ray := res.Header.Get("CF-Ray")
	if res.StatusCode != http.StatusNotFound || ray == "" {
		t.Fatalf("status %d, ray %q", res.StatusCode, ray)
	}
	r := run(t, "logs", ray, "--json", "--data", p.data)
	var e struct {
		Kind   string `json:"kind"`
		Status int    `json:"status"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &e); err != nil || e.Kind != "access" || e.Status != 404 {
		t.Errorf("logs %s: %+v, %v", ray, r, err)
	}
	if r := run(t, "logs", ray, "--data", p.data); !strings.Contains(r.stdout, "404 GET") || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("logs %s: %q", ray, r.stdout)
	}
	oneLine(t, run(t, "logs", "0000000000000000", "--data", p.data), 1, "0000000000000000")
	if r := run(t, "logs", "--kind", "platform", "--since", "1h", "--level", "info", "--data", p.data); !strings.Contains(r.stdout, "the platform serves") {
		t.Errorf("platform events: %+v", r)
	}
}

func TestStatusVersionConfig(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "data"))
	if r := run(t, "status", "--data", p.data); r.code != 0 || !strings.Contains(r.stdout, "Nothing runs") || !strings.Contains(r.stdout, "v0.0.0-test") {
		t.Errorf("status: %+v", r)
	}
	var s struct {
		Running  bool `json:"running"`
		Platform struct {
			PID int `json:"pid"`
		} `json:"platform"`
	}
	if err := json.Unmarshal([]byte(run(t, "status", "--json", "--data", p.data).stdout), &s); err != nil || !s.Running || s.Platform.PID != os.Getpid() {
		t.Errorf("status --json: %+v, %v", s, err)
	}
	var v map[string]string
	if err := json.Unmarshal([]byte(run(t, "version", "--json").stdout), &v); err != nil || v["version"] != "v0.0.0-test" || v["commit"] != "abc" || v["workerd"] == "" {
		t.Errorf("version: %v, %v", v, err)
	}
	r := runWith(t, []string{"SELVAGE_DOMAIN=x.example"}, "", "config", "--json", "--data", p.data)
	var options []struct {
		Key    string `json:"key"`
		Value  string `json:"value"`
		Origin string `json:"origin"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &options); err != nil {
		t.Fatal(err)
	}
	for _, o := range options {
		if (o.Key == "domain" && (o.Value != "x.example" || o.Origin != "SELVAGE_DOMAIN")) || (o.Key == "data" && (o.Value != p.data || o.Origin != "--data")) {
			t.Errorf("config: %+v", o)
		}
	}
	if r := run(t, "doctor", "--data", p.data); r.code != 0 || !strings.Contains(r.stdout, "isolation") {
		t.Errorf("doctor: %+v", r)
	}
	// Without git the platform works, but takes no pushes.
	for path, want := range map[string]string{os.Getenv("PATH"): "ok    git ", t.TempDir(): "warn  git            git is not installed, so sites take no pushes"} {
		t.Setenv("PATH", path)
		if r := run(t, "doctor", "--data", p.data); r.code != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("doctor: %+v, want %q", r, want)
		}
	}
}
