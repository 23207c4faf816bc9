package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tailItem is what the tests read of an item.
type tailItem struct {
	WallTime       int64  `json:"wallTime"`
	CPUTime        int64  `json:"cpuTime"`
	Outcome        string `json:"outcome"`
	ScriptName     string `json:"scriptName"`
	ExecutionModel string `json:"executionModel"`
	ScriptVersion  struct {
		ID string `json:"id"`
	} `json:"scriptVersion"`
	Logs []struct {
		Level   string            `json:"level"`
		Message []json.RawMessage `json:"message"`
	} `json:"logs"`
	Exceptions []struct {
		Name    string `json:"name"`
		Message string `json:"message"`
		Stack   string `json:"stack"`
	} `json:"exceptions"`
	EventTimestamp int64 `json:"eventTimestamp"`
	Event          struct {
		Request *struct {
			URL     string            `json:"url"`
			Method  string            `json:"method"`
			Headers map[string]string `json:"headers"`
			CF      map[string]any    `json:"cf"`
		} `json:"request"`
		Response *struct {
			Status int `json:"status"`
		} `json:"response"`
		RayID          string `json:"rayId"`
		Cron           string `json:"cron"`
		ScheduledTime  int64  `json:"scheduledTime"`
		ConsumedEvents []struct {
			ScriptName string `json:"scriptName"`
		} `json:"consumedEvents"`
	} `json:"event"`
}

// follower is a command that prints what happens.
type follower struct {
	cmd    *exec.Cmd
	stdout *lockedBuffer
	stderr *lockedBuffer
}

// background runs a command until the test ends.
func (p *platform) background(t *testing.T, dir string, env []string, args ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{cmd: exec.CommandContext(ctx, args[0], args[1:]...), stdout: &lockedBuffer{}, stderr: &lockedBuffer{}}
	f.cmd.Env, f.cmd.Dir, f.cmd.Stdout, f.cmd.Stderr = env, dir, f.stdout, f.stderr
	f.cmd.Cancel = func() error { return f.cmd.Process.Signal(syscall.SIGINT) }
	f.cmd.WaitDelay = 10 * time.Second
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); f.cmd.Wait() })
	return f
}

// wranglerTail starts "wrangler tail" and returns when it is connected, which only
// an event shows: so requests to /ready are made until one is there.
func (p *platform) wranglerTail(t *testing.T, name string, args ...string) *follower {
	t.Helper()
	return p.wranglerFollow(t, slices.Concat([]string{"tail", name}, args)...)
}

// wranglerFollow runs a command of wrangler that does not end by itself.
func (p *platform) wranglerFollow(t *testing.T, args ...string) *follower {
	t.Helper()
	env := append(cleanEnv(t), "HOME="+t.TempDir(), "CLOUDFLARE_API_BASE_URL="+p.APIURL+"/client/v4", "CLOUDFLARE_API_TOKEN="+p.Token,
		"CLOUDFLARE_ACCOUNT_ID="+p.AccountID, "WRANGLER_SEND_METRICS=false", "CLOUDFLARE_CF_FETCH_ENABLED=false", "FORCE_COLOR=0")
	script := filepath.Join(repo(t), "tools", "node_modules", "wrangler", "bin", "wrangler.js")
	return p.background(t, t.TempDir(), env, slices.Concat([]string{nodePath(env), script}, args)...)
}

// items are those that were printed, without the probes.
func (f *follower) items(t *testing.T) (out []tailItem) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(f.stdout.String()))
	for {
		var it tailItem
		if err := d.Decode(&it); err != nil {
			return out
		}
		if it.Event.Request == nil || !strings.HasSuffix(it.Event.Request.URL, "/probe") {
			out = append(out, it)
		}
	}
}

func (f *follower) waitFor(t *testing.T, n int) []tailItem {
	t.Helper()
	var got []tailItem
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = f.items(t); len(got) >= n {
			return got
		}
	}
	t.Fatalf("%d of %d items came\n%s\n%s", len(got), n, f.stdout, f.stderr)
	return nil
}

// connected makes requests until the tail shows one.
func (p *platform) connected(t *testing.T, name string, f *follower, header ...string) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		p.send(t, http.MethodGet, name, "/probe", header...)
		if strings.Contains(f.stdout.String(), "/probe") {
			time.Sleep(500 * time.Millisecond) // the probes that are under way
			return
		}
	}
	t.Fatalf("the tail shows nothing\n%s\n%s\nplatform:\n%s", f.stdout, f.stderr, tail(p.stderr.String(), 2000))
}

func (p *platform) send(t *testing.T, method, name, path string, header ...string) answer {
	t.Helper()
	req := p.request(t, method, p.host(name), path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return do(t, req)
}

const tailed = `export default {
  async fetch(req, env, ctx) {
    const { pathname } = new URL(req.url);
    if (pathname === "/probe") return new Response("probe");
    console.log("hello %s", { a: [1, null] }, pathname);
    console.error("bad", new TypeError("t"));
    if (pathname === "/later") ctx.waitUntil(scheduler.wait(1500).then(() => console.warn("later")));
    if (pathname === "/boom") throw new RangeError("boom");
    if (pathname === "/burn") { const end = performance.now(); let n = 0; while (n < 3e8) n++; }
    return new Response("ok", { status: 201 });
  },
  async scheduled(controller) { console.log("tick", controller.cron) },
}`

// compact is JSON as it was before wrangler indented it.
func compact(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestWranglerTailJSON(t *testing.T) {
	t.Parallel()
	p := start(t)
	id := currentVersion(t, p.must(t, worker(t, "app", tailed), "deploy"))
	f := p.wranglerTail(t, "app", "--format", "json")
	p.connected(t, "app", f)

	a := p.send(t, http.MethodPost, "app", "/path?q=1", "Authorization", "Bearer x", "X-Some", "thing")
	it := f.waitFor(t, 1)[0]
	switch r := it.Event.Request; {
	case it.Outcome != "ok" || it.ScriptName != "app" || it.ScriptVersion.ID != id || it.ExecutionModel != "stateless" || it.EventTimestamp < time.Now().Add(-time.Minute).UnixMilli():
		t.Errorf("item %+v", it)
	case r == nil || r.Method != http.MethodPost || r.URL != "http://"+p.host("app")+"/path?q=1" || r.Headers["x-some"] != "thing" || r.Headers["authorization"] != "REDACTED" || r.CF["httpProtocol"] != "HTTP/1.1":
		t.Errorf("request %+v", r)
	case it.Event.Response == nil || it.Event.Response.Status != 201 || it.Event.RayID != a.Header.Get("CF-Ray"):
		t.Errorf("event %+v", it.Event)
	case len(it.Logs) != 2 || compact(t, it.Logs[0].Message) != `["hello %s",{"a":[1,null]},"/path"]` || it.Logs[1].Level != "error" || compact(t, it.Logs[1].Message) != `["bad","TypeError: t"]`:
		t.Errorf("logs %s", it.Logs)
	}

	p.send(t, http.MethodGet, "app", "/boom")
	it = f.waitFor(t, 2)[1]
	if it.Outcome != "exception" || len(it.Exceptions) != 1 || it.Exceptions[0].Name != "RangeError" || it.Exceptions[0].Message != "boom" || !strings.Contains(it.Exceptions[0].Stack, "index.js") {
		t.Errorf("after an exception: %+v", it)
	}

	// What is given to waitUntil belongs to the item, and its time to the wall time.
	p.send(t, http.MethodGet, "app", "/later")
	it = f.waitFor(t, 3)[2]
	if len(it.Logs) != 3 || string(it.Logs[2].Message[0]) != `"later"` || it.WallTime < 1500 {
		t.Errorf("after waitUntil: %+v", it)
	}

	p.send(t, http.MethodGet, "app", "/burn")
	it = f.waitFor(t, 4)[3]
	if it.CPUTime < 10 || it.CPUTime > it.WallTime+100 {
		t.Errorf("cpu time %d ms, wall time %d ms of a busy request", it.CPUTime, it.WallTime)
	}

	if out, stderr, code := p.cli(t, "trigger", "cron", "app", "--cron", "*/7 * * * *", "--at", "2026-12-24T18:00:00Z"); code != 0 {
		t.Fatalf("trigger: %q %q", out, stderr)
	}
	it = f.waitFor(t, 5)[4]
	if it.Event.Cron != "*/7 * * * *" || it.Event.ScheduledTime != time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC).UnixMilli() || it.Outcome != "ok" || len(it.Logs) != 1 || it.ScriptVersion.ID != id {
		t.Errorf("of a cron trigger: %+v", it)
	}
	if n := len(f.waitFor(t, 5)); n != 5 {
		t.Errorf("%d items, want 5", n)
	}
}

func TestWranglerTailPretty(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, worker(t, "app", tailed), "deploy")
	f := p.wranglerTail(t, "app", "--format", "pretty")
	p.connected(t, "app", f)
	p.send(t, http.MethodGet, "app", "/boom")
	eventually(t, func() error {
		out := f.stdout.String() + f.stderr.String()
		for _, want := range []string{"GET http://" + p.host("app") + "/boom - Exception", "(log) hello %s { a: [ 1, null ] } /boom", "RangeError: boom"} {
			if !strings.Contains(out, want) {
				return fmt.Errorf("%q is not in:\n%s", want, out)
			}
		}
		return nil
	})
	// Wrangler pings every ten seconds and gives up when no pong comes.
	time.Sleep(21 * time.Second)
	p.send(t, http.MethodGet, "app", "/after-pings")
	eventually(t, func() error {
		if out := f.stdout.String(); !strings.Contains(out, "/after-pings") || strings.Contains(out+f.stderr.String(), "connection lost") {
			return fmt.Errorf("after two pings:\n%s\n%s", out, f.stderr)
		}
		return nil
	})
}

func TestWranglerTailFilters(t *testing.T) {
	t.Parallel()
	p := start(t)
	id := currentVersion(t, p.must(t, worker(t, "app", tailed), "deploy"))
	for _, c := range []struct {
		name string
		args []string
		head []string // that the probe needs
	}{
		{"status", []string{"--status", "error"}, nil},
		{"method", []string{"--method", "PUT"}, nil},
		{"header", []string{"--header", "x-want: yes"}, []string{"X-Want", "oh yes"}},
		{"ip", []string{"--ip", "self"}, nil},
		{"search", []string{"--search", "/needle"}, nil},
		{"version", []string{"--version-id", id}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := p.wranglerTail(t, "app", append(c.args, "--format", "json")...)
			seen := func() string { return f.stdout.String() }
			for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && seen() == ""; time.Sleep(200 * time.Millisecond) {
				p.send(t, http.MethodGet, "app", "/boom/needle")
				p.send(t, http.MethodGet, "app", "/boom")
				p.send(t, http.MethodPut, "app", "/put", "X-Want", "oh yes")
				p.send(t, http.MethodPut, "app", "/put", "X-Want", "no")
				p.send(t, http.MethodGet, "app", "/probe")
			}
			time.Sleep(time.Second)
			items := f.items(t)
			if len(items) == 0 && c.name != "ip" && c.name != "version" {
				t.Fatalf("nothing was shown\n%s", f.stderr)
			}
			for _, it := range items {
				r := it.Event.Request
				ok := map[string]bool{
					"status": it.Outcome == "exception", "method": r.Method == http.MethodPut, "header": strings.Contains(r.Headers["x-want"], "yes"),
					"ip": r.Headers["cf-connecting-ip"] == "127.0.0.1", "search": strings.Contains(r.URL, "needle"), "version": it.ScriptVersion.ID == id,
				}[c.name]
				if !ok {
					t.Errorf("shown in spite of the filter: %+v", it)
				}
			}
		})
	}
}

// TestTailAPI is what wrangler does not try: bad filters, too many, and tickets.
func TestTailAPI(t *testing.T) {
	t.Parallel()
	p := start(t)
	if err := create(t.Context(), p.client(t), "app", tailed); err != nil {
		t.Fatal(err)
	}
	call := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, p.APIURL+"/client/v4/accounts/"+p.AccountID+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+p.Token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	const tails = "/workers/scripts/app/tails"
	for body, want := range map[string]string{
		`outcome=ok`: "not JSON", `{"filters": {"outcome": ["ok"]}}`: "not JSON", `{"filters": [{"outcome": "ok"}]}`: "outcome must be a list",
		`{"filters": [{"sampling_rate": 2}]}`: "sampling_rate", `{"filters": [{"client_ip": ["me"]}]}`: "client_ip", `{"filters": [{"colour": ["red"]}]}`: "colour",
	} {
		if status, text := call("POST", tails, body); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if status, text := call("POST", "/workers/scripts/nobody/tails", `{}`); status != 404 || !strings.Contains(text, "10007") {
		t.Errorf("a tail of nobody: %d %s", status, text)
	}
	var first string
	for i := range 11 {
		status, text := call("POST", tails, `{"filters": []}`)
		if i < 10 && status != 200 || i == 10 && status != 409 {
			t.Fatalf("tail %d: %d %s", i+1, status, text)
		}
		if i == 0 {
			var in struct {
				Result struct {
					ID  string `json:"id"`
					URL string `json:"url"`
				} `json:"result"`
			}
			if err := json.Unmarshal([]byte(text), &in); err != nil || !strings.HasPrefix(in.Result.URL, "ws://") {
				t.Fatalf("%v: %s", err, text)
			}
			first = in.Result.ID
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(in.Result.URL, "ws://", "http://", 1), nil)
			if err != nil {
				t.Fatal(err)
			}
			if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusBadRequest { // the ticket is right, but it is no WebSocket
				t.Errorf("%v %v", res, err)
			}
		}
	}
	if status, text := call("DELETE", tails+"/"+first, ""); status != 200 {
		t.Errorf("delete: %d %s", status, text)
	}
	if status, text := call("POST", tails, ""); status != 200 {
		t.Errorf("after one was deleted: %d %s", status, text)
	}
	if bytes.Contains([]byte(p.stderr.String()), []byte("ticket=")) {
		t.Error("a ticket is in the platform's log")
	}
}

const tailWorker = `export default {
  async tail(events) {
    for (const e of events) console.log("got", e.scriptName, e.outcome, e.event.request?.url, JSON.stringify(e.logs[0]?.message), e.event.request?.getUnredacted().headers.authorization);
  },
}`

func TestTailWorker(t *testing.T) {
	t.Parallel()
	p := start(t)
	producer := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "app", "main": "index.js", "compatibility_date": "2026-09-01", "tail_consumers": [{"service": "watcher"}]}`,
		"index.js":       tailed,
	})
	if out, err := p.wrangler(t, producer, "deploy"); err == nil || !strings.Contains(out, "tail consumer watcher does not exist") {
		t.Fatalf("a tail worker that is not there: %v\n%s", err, out)
	}
	watcher := worker(t, "watcher", hello("no tail"))
	p.must(t, watcher, "deploy")
	if out, err := p.wrangler(t, producer, "deploy"); err == nil || !strings.Contains(out, "has no tail handler") {
		t.Fatalf("a tail worker without a handler: %v\n%s", err, out)
	}
	rewrite(t, watcher, "index.js", tailWorker)
	p.must(t, watcher, "deploy")
	p.must(t, producer, "deploy")
	check := func(path string) {
		t.Helper()
		p.send(t, http.MethodGet, "app", path, "Authorization", "Bearer x")
		eventually(t, func() error {
			out, _, _ := p.cli(t, "logs", "--worker", "watcher", "--kind", "console")
			want := fmt.Sprintf(`got app ok http://%s%s ["hello %%s",{"a":[1,null]},"%s"] Bearer x`, p.host("app"), path, path)
			if n := strings.Count(out, want); n != 1 {
				return fmt.Errorf("%q is there %d times:\n%s", want, n, out)
			}
			return nil
		})
	}
	check("/one")
	p.stop(t)
	p.up(t)
	check("/two") // the producer's tail worker is known after a restart
	// Its own events are told to those who tail it, not to itself.
	if out, _, _ := p.cli(t, "logs", "--worker", "watcher", "--kind", "console"); strings.Contains(out, "got watcher") {
		t.Errorf("the tail worker gets its own events:\n%s", out)
	}
	if err := p.client(t).DeleteScript(t.Context(), "watcher", false); err == nil || !strings.Contains(err.Error(), "tail worker of app") {
		t.Errorf("a tail worker that is used is deleted: %v", err)
	}
}

func TestTailByCommand(t *testing.T) {
	t.Parallel()
	p := start(t)
	if err := create(t.Context(), p.client(t), "app", tailed); err != nil {
		t.Fatal(err)
	}
	tailOf := func(args ...string) *follower {
		f := p.background(t, t.TempDir(), cleanEnv(t), slices.Concat([]string{binary(t), "tail", "app", "--data", p.data}, args)...)
		p.connected(t, "app", f)
		return f
	}
	pretty, raw := tailOf(), tailOf("--json", "--status", "ok")
	p.send(t, http.MethodGet, "app", "/boom")
	p.send(t, http.MethodGet, "app", "/fine")
	eventually(t, func() error {
		for _, want := range []string{
			"GET http://" + p.host("app") + "/boom 500 exception", "\n  (log) hello %s {\"a\":[1,null]} /boom\n  (error) bad TypeError: t\n  RangeError: boom\n    at", "/fine 201 ok",
		} {
			if out := pretty.stdout.String(); !strings.Contains(out, want) {
				return fmt.Errorf("%q is not in:\n%s", want, out)
			}
		}
		if out := raw.stdout.String(); !strings.Contains(out, "/fine") || strings.Contains(out, "/boom") {
			return fmt.Errorf("with --status ok:\n%s", out)
		}
		return nil
	})
	for _, args := range [][]string{{"--status", "fine"}, {"--sampling-rate", "2"}} {
		if _, stderr, code := p.cli(t, append([]string{"tail", "app"}, args...)...); code != 2 || !strings.Contains(stderr, args[0]) {
			t.Errorf("%v: code %d, %q", args, code, stderr)
		}
	}
	if _, stderr, code := p.cli(t, "tail", "nobody"); code != 1 || !strings.Contains(stderr, "nobody") {
		t.Errorf("a tail of nobody: code %d, %q", code, stderr)
	}
}

// TestLogsAreSearchable holds that each of worker, version, level, text and time
// selects.
func TestLogsAreSearchable(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, name := range []string{"one", "two"} {
		if err := create(t.Context(), p.client(t), name, tailed); err != nil {
			t.Fatal(err)
		}
		p.send(t, http.MethodGet, name, "/needle")
	}
	script, err := p.client(t).Version(t.Context(), "one", versionOf(t, p, "one"))
	if err != nil {
		t.Fatal(err)
	}
	lines := func(args ...string) int {
		out, _, _ := p.cli(t, append([]string{"logs", "--kind", "console", "--json"}, args...)...)
		return strings.Count(out, "\n")
	}
	eventually(t, func() error {
		if n := lines(); n != 4 {
			return fmt.Errorf("%d console lines of 4", n)
		}
		return nil
	})
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--worker", "one"}, 2},
		{[]string{"--version-id", script.ID}, 2},
		{[]string{"--version-id", "00000000-0000-0000-0000-000000000000"}, 0},
		{[]string{"--level", "error"}, 2},
		{[]string{"--worker", "one", "--level", "error"}, 1},
		{[]string{"--text", "NEEDLE"}, 2},
		{[]string{"--since", "1h"}, 4},
		{[]string{"--until", "1h"}, 0},
		{[]string{"--since", "2h", "--until", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, 4},
	} {
		if n := lines(c.args...); n != c.want {
			t.Errorf("%v: %d lines, want %d", c.args, n, c.want)
		}
	}
	if _, stderr, code := p.cli(t, "logs", "--until", "yesterday"); code != 2 || !strings.Contains(stderr, "--until") {
		t.Errorf("a bad time: code %d, %q", code, stderr)
	}
}

// versionOf is the version that serves.
func versionOf(t *testing.T, p *platform, name string) string {
	t.Helper()
	d, err := p.client(t).Deployments(t.Context(), name)
	if err != nil || len(d) == 0 {
		t.Fatalf("%v %v", d, err)
	}
	return d[0].Versions[0].VersionID
}
