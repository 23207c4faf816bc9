package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/client"
)

func TestTerminateFinishesRequests(t *testing.T) {
	t.Parallel()
	p := start(t)
	source := `export default { async fetch() { console.log("begun"); await scheduler.wait(1500); return new Response("finished") } }`
	if err := create(t.Context(), p.client(t), "slow", source); err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer)
	req := p.request(t, http.MethodGet, p.host("slow"), "/", nil)
	go func() { answers <- do(t, req) }()
	soon(t, "the request is inside the handler", func() bool {
		events, err := p.client(t).Logs(t.Context(), client.LogFilter{Script: "slow", Text: "begun"})
		return err == nil && len(events) == 1
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	soon(t, "no connection is taken", func() bool {
		c, err := net.DialTimeout("tcp", p.edgeAddr(t), time.Second)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	if a := <-answers; a.Status != 200 || a.Body != "finished" {
		t.Errorf("the request in flight: %d %q", a.Status, a.Body)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	p.cmd = nil
	if stdout, stderr, code := p.cli(t, "status"); code != 1 || !strings.Contains(stderr, "no platform runs") {
		t.Errorf("status: %d %q %q", code, stdout, stderr)
	}
}

// soon waits for something that another process does.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	eventually(t, func() error {
		if !ok() {
			return errors.New("never seen: " + what)
		}
		return nil
	})
}

// serviceManager is the receiving end of sd_notify.
type serviceManager struct{ *net.UnixConn }

func notifySocket(t *testing.T) (serviceManager, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return serviceManager{c}, path
}

func (m serviceManager) hears(t *testing.T, want string) {
	t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		n, err := m.Read(b)
		if err != nil {
			t.Fatalf("the service manager never hears %s: %v", want, err)
		}
		if strings.Contains(string(b[:n]), want) {
			return
		}
	}
}

func TestReloadAndServiceManager(t *testing.T) {
	t.Parallel()
	manager, socket := notifySocket(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "selvage.toml")
	configure := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("")
	p := &platform{data: filepath.Join(dir, "data"), args: []string{"--config", file}, env: []string{"NOTIFY_SOCKET=" + socket}}
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	manager.hears(t, "READY=1")
	source := `export default { async fetch(req) { return new Response((await req.text()).length) } }`
	if err := create(t.Context(), p.client(t), "w", source); err != nil {
		t.Fatal(err)
	}
	post := func() int {
		return do(t, p.request(t, http.MethodPost, p.host("w"), "/", strings.NewReader(strings.Repeat("x", 4<<10)))).Status
	}
	read := func() bool { // a request that is logged at level debug
		if _, err := p.client(t).Subdomain(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(p.stderr.String(), "/workers/subdomain")
	}
	if status := post(); status != 200 || read() {
		t.Errorf("before the reload: POST of 4 KiB answers %d, debug messages: %v", status, read())
	}
	reload := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		manager.hears(t, "RELOADING=1")
		manager.hears(t, "READY=1")
	}
	configure("[log]\nlevel = \"debug\"\n[limits]\nbody_size = \"1KiB\"\n")
	reload()
	if status := post(); status != http.StatusRequestEntityTooLarge {
		t.Errorf("after body_size = 1KiB: POST of 4 KiB answers %d", status)
	}
	soon(t, "debug messages", read)

	configure("[log]\nlevel = \"loud\"\n")
	reload()
	if status := post(); status != http.StatusRequestEntityTooLarge {
		t.Errorf("after a configuration that is refused: POST of 4 KiB answers %d", status)
	}
	soon(t, "the refusal with file and line", func() bool { return strings.Contains(p.stderr.String(), file+":2") })

	configure("domain = \"other.example\"\n")
	reload()
	if status := post(); status != 200 {
		t.Errorf("back at the defaults: POST of 4 KiB answers %d", status)
	}
	soon(t, "what waits for a restart", func() bool { return strings.Contains(p.stderr.String(), "needs a restart") })
	p.stop(t)
	manager.hears(t, "STOPPING=1")
}

func TestEnvForEveryShell(t *testing.T) {
	t.Parallel()
	p := start(t)
	want := map[string]string{
		"CLOUDFLARE_API_BASE_URL": p.APIURL + "/client/v4", "CLOUDFLARE_API_TOKEN": p.Token, "CLOUDFLARE_ACCOUNT_ID": p.AccountID,
		"WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false",
	}
	stdout, _, _ := p.cli(t, "env", "--json")
	var got map[string]string
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("env --json (-want +got):\n%s", diff)
	}

	fish, _, _ := p.cli(t, "env", "--fish")
	inFish := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^set -gx (\w+) '([^'\\]*)'$`).FindAllStringSubmatch(fish, -1) {
		inFish[m[1]] = m[2]
	}
	if diff := cmp.Diff(want, inFish); diff != "" {
		t.Errorf("env --fish (-want +got):\n%s", diff)
	}

	// The line of the README, and then wrangler with nothing else.
	dir := worker(t, "shell", hello("from a shell"))
	wrangler := filepath.Join(repo(t), "tools", "node_modules", "wrangler", "bin", "wrangler.js")
	stdout, stderr, code := p.run(t, "sh", "-c", `eval "$("$1" env --data "$2")" && cd "$3" && node "$4" deploy`, "sh", binary(t), p.data, dir, wrangler)
	if code != 0 || !strings.Contains(stdout, "Current Version ID") {
		t.Fatalf("wrangler in a shell: %d\n%s\n%s", code, stdout, stderr)
	}
	if a := p.get(t, p.host("shell"), "/"); a.Body != "from a shell" {
		t.Errorf("GET / = %d %q", a.Status, a.Body)
	}
}

func TestStatusAndVersion(t *testing.T) {
	t.Parallel()
	p := start(t)
	if err := create(t.Context(), p.client(t), "w", hello("x")); err != nil {
		t.Fatal(err)
	}
	p.get(t, p.host("w"), "/")
	p.get(t, p.host("w"), "/")
	stdout, _, _ := p.cli(t, "status", "--json")
	var s struct {
		Running bool `json:"running"`
		client.Status
	}
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Running || s.Platform.PID != p.PID || s.Platform.EdgeURL != p.EdgeURL || s.Platform.RequestsTotal != 2 || s.Scripts != 1 || len(s.Workers) != 1 {
		t.Fatalf("status: %s", stdout)
	}
	if w := s.Workers[0]; w.Script != "w" || w.RequestsTotal != 2 || w.RSSBytes < 1<<20 || syscall.Kill(w.PID, 0) != nil {
		t.Errorf("status of the worker: %+v", w)
	}
	if text, _, code := p.cli(t, "status"); code != 0 || !strings.Contains(text, "1 worker deployed, 1 process running") {
		t.Errorf("status: %d\n%s", code, text)
	}

	stdout, _, _ = p.cli(t, "version", "--json")
	var v map[string]string
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatal(err)
	}
	var pinned struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	text, err := os.ReadFile(filepath.Join(repo(t), "tools", "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &pinned); err != nil {
		t.Fatal(err)
	}
	if v["version"] == "" || v["version"] == "unknown" || !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(v["commit"]) || v["workerd"] != pinned.Dependencies["workerd"] || v["workerd_origin"] != "embedded" {
		t.Errorf("version: %s", stdout)
	}
	stdout, _, _ = (&platform{data: filepath.Join(t.TempDir(), "none")}).cli(t, "status", "--json")
	if stdout != "{\"running\":false}\n" {
		t.Errorf("status --json without a platform: %q", stdout)
	}
}

func (p *platform) as(t *testing.T, token string) *client.Client {
	t.Helper()
	c, err := client.New(p.APIURL+"/client/v4", token, p.AccountID, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p *platform) metrics(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.APIURL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// status is the HTTP status of an API error, 200 for none.
func status(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	var refused *client.Error
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	return refused.Status
}

func TestScopesAreEnforced(t *testing.T) {
	t.Parallel()
	p := start(t)
	ctx := t.Context()
	if err := create(ctx, p.client(t), "w", hello("x")); err != nil {
		t.Fatal(err)
	}
	calls := []struct {
		name string
		call func(c *client.Client, token string) int
	}{
		{"list workers", func(c *client.Client, _ string) int { _, err := c.Scripts(ctx); return status(t, err) }},
		{"deploy", func(c *client.Client, _ string) int { _, err := upload(ctx, c, "w", hello("y")); return status(t, err) }},
		{"secret", func(c *client.Client, _ string) int { return status(t, c.PutSecret(ctx, "w", "S", "v")) }},
		{"delete", func(c *client.Client, _ string) int { return status(t, c.DeleteScript(ctx, "none", false)) }},
		{"list tokens", func(c *client.Client, _ string) int { _, err := c.Tokens(ctx); return status(t, err) }},
		{"make a token with all rights", func(c *client.Client, _ string) int {
			_, err := c.CreateToken(ctx, "more", []string{"*"}, nil)
			return status(t, err)
		}},
		{"logs", func(c *client.Client, _ string) int { _, err := c.Logs(ctx, client.LogFilter{}); return status(t, err) }},
		{"status", func(c *client.Client, _ string) int { _, err := c.Status(ctx); return status(t, err) }},
		{"metrics", func(_ *client.Client, token string) int { return p.metrics(t, token) }},
		{"egress", func(c *client.Client, _ string) int {
			return status(t, c.SetEgress(ctx, "w", []client.EgressRule{}))
		}},
	}
	for _, c := range []struct {
		scopes string
		want   []int // in the order of calls
	}{
		{"workers:read", []int{200, 403, 403, 403, 403, 403, 403, 403, 403, 403}},
		{"workers:write", []int{200, 200, 200, 404, 403, 403, 403, 403, 403, 403}},
		{"tokens:read", []int{403, 403, 403, 403, 200, 403, 403, 403, 403, 403}},
		{"tokens:write", []int{403, 403, 403, 403, 200, 403, 403, 403, 403, 403}},
		{"logs:read", []int{403, 403, 403, 403, 403, 403, 200, 403, 403, 403}},
		{"platform:read", []int{403, 403, 403, 403, 403, 403, 403, 200, 200, 403}},
		{"*", []int{200, 200, 200, 404, 200, 200, 200, 200, 200, 200}},
	} {
		stdout, stderr, code := p.cli(t, "token", "create", "for "+c.scopes, "--scope", c.scopes)
		secret := strings.TrimSpace(stdout)
		if code != 0 || secret == "" {
			t.Fatalf("token create: %d %s", code, stderr)
		}
		for i, call := range calls {
			if got := call.call(p.as(t, secret), secret); got != c.want[i] {
				t.Errorf("%s with %s answers %d, want %d", call.name, c.scopes, got, c.want[i])
			}
		}
	}
	if got := p.metrics(t, ""); got != http.StatusUnauthorized {
		t.Errorf("metrics without a token answers %d", got)
	}
}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	p := start(t)
	token := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := p.cli(t, append([]string{"token"}, args...)...)
		if code != 0 {
			t.Fatalf("token %v: %d %s", args, code, stderr)
		}
		return strings.TrimSpace(stdout)
	}
	works := func(secret string) bool {
		t.Helper()
		_, err := p.as(t, secret).Scripts(t.Context())
		if got := status(t, err); got != http.StatusOK && got != http.StatusUnauthorized {
			t.Fatalf("%d %v", got, err)
		}
		return err == nil
	}
	first := token("create", "ci", "--scope", "workers:read", "--expires", "24h")
	brief := token("create", "brief", "--scope", "workers:read", "--expires", "1s")
	list := token("list")
	if !works(first) || strings.Contains(list, first) || !strings.Contains(list, "ci") || !strings.Contains(list, "workers:read") {
		t.Errorf("a new token, works: %v; list:\n%s", works(first), list)
	}
	second := token("roll", "ci")
	if works(first) || !works(second) {
		t.Errorf("after the roll the old secret works: %v, the new one: %v", works(first), works(second))
	}
	token("revoke", "ci")
	if works(second) {
		t.Error("a revoked token works")
	}
	soon(t, "the token of one second ends", func() bool { return !works(brief) })

	// wrangler prints the platform's words when a scope is missing.
	reader := *p
	reader.Token = token("create", "reader", "--scope", "workers:read", "--scope", "account:read")
	dir := worker(t, "w", hello("x"))
	out, err := reader.wrangler(t, dir, "deploy")
	if err == nil || !strings.Contains(out, "workers:write") || !strings.Contains(out, "10023") {
		t.Errorf("deploy with a reading token: %v\n%s", err, out)
	}
	reader.Token = token("create", "writer", "--scope", "workers:write", "--scope", "account:read")
	reader.must(t, dir, "deploy")
}

func TestOperatorTokenLost(t *testing.T) {
	t.Parallel()
	p := start(t)
	file := filepath.Join(p.data, "operator-token")
	lose := func() {
		t.Helper()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	for _, command := range []string{"env", "status", "logs", "whoami"} {
		stdout, stderr, code := p.cli(t, command)
		oneLine(t, stdout, stderr, code, file, "selvage token roll operator --data "+p.data)
	}
	stdout, stderr, code := p.cli(t, "token", "roll", "operator")
	oneLine(t, stdout, stderr, code, "stop the platform")
	p.stop(t)
	if stdout, stderr, code = p.cli(t, "token", "roll", "operator"); code != 0 {
		t.Fatalf("token roll operator: %s", stderr)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v, %v", info, err)
	}
	old := p.Token
	p.up(t)
	if p.Token == old || !strings.Contains(stdout, file) || strings.Contains(stdout, p.Token) {
		t.Errorf("the token after the roll is %q, was %q; roll printed %q", p.Token, old, stdout)
	}
	if _, err := p.as(t, old).Scripts(t.Context()); status(t, err) != http.StatusUnauthorized {
		t.Errorf("the lost token: %v", err)
	}
	if _, err := p.client(t).Scripts(t.Context()); err != nil {
		t.Error(err)
	}
	p.stop(t)

	// A start without the file serves, and says how to get a new one.
	lose()
	p.Token = ""
	p.up(t)
	if p.Token != "" {
		t.Errorf("a start without the file has the token %q", p.Token)
	}
	// Stderr comes through another pipe than the line that says ready.
	soon(t, "the command for a new token", func() bool { return strings.Contains(p.stderr.String(), "token roll operator") })
}
