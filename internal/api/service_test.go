package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/upstream"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// stillborn is a script that does not start on stillRuntime.
const stillborn = `throw new Error("stillborn")`

// stillRuntime starts workers that answer nothing. These tests end where a request would begin.
type stillRuntime struct{}

func (stillRuntime) Start(_ context.Context, _ string, w *workerd.Worker, _ func(workerd.LogLine)) (workers.Process, error) {
	for _, m := range w.Modules {
		if bytes.Contains(m.Body, []byte(stillborn)) {
			return nil, &workerd.StartError{Text: "Uncaught Error: stillborn\n  at " + m.Name + ":1:7", Message: "Uncaught Error: stillborn", Stack: "at " + m.Name + ":1:7"}
		}
	}
	return &stillProcess{done: make(chan struct{}), pool: upstream.New("/nonexistent")}, nil
}

// MaxCompatibilityDate is later than any that these tests ask for.
func (stillRuntime) MaxCompatibilityDate(context.Context) (string, error) { return "2026-11-17", nil }

type stillProcess struct {
	done chan struct{}
	pool *upstream.Pool
}

func (p *stillProcess) Upstream() *upstream.Pool   { return p.pool }
func (p *stillProcess) Pid() int                   { return 4711 }
func (p *stillProcess) Done() <-chan struct{}      { return p.done }
func (p *stillProcess) Err() error                 { return nil }
func (p *stillProcess) Handlers() []string         { return []string{"fetch"} }
func (p *stillProcess) Exports() []string          { return nil }
func (p *stillProcess) Entrypoints() []string      { return nil }
func (p *stillProcess) StartupTime() time.Duration { return 12500 * time.Microsecond }
func (p *stillProcess) Usage() (int64, time.Duration, error) {
	return 9 << 20, 30 * time.Millisecond, nil
}

func (p *stillProcess) Dispatch(_ context.Context, _ string, e *workerd.Event) (workerd.Outcome, error) {
	if e.Cron == "0 0 1 1 *" {
		return workerd.Outcome{Outcome: "exception", Error: &workerd.Thrown{Name: "TypeError", Message: "boom"}}, nil
	}
	return workerd.Outcome{Outcome: "ok", NoRetry: true}, nil
}

func (p *stillProcess) Watch(context.Context, bool) error { return nil }

func (p *stillProcess) Stop(context.Context) error {
	close(p.done)
	p.pool.Close()
	return nil
}

func (p *stillProcess) Sample() (supervise.Sample, error) {
	return supervise.Sample{Anon: 9 << 20}, nil
}
func (p *stillProcess) Ping(context.Context) error           { return nil }
func (p *stillProcess) SetPriority(supervise.Priority) error { return nil }
func (p *stillProcess) Kill()                                { close(p.done) }
func (p *stillProcess) OutOfMemory() bool                    { return false }

type noDoors struct{}

func (noDoors) Open(context.Context, string, workers.DoorSpec) (io.Closer, error) {
	return io.NopCloser(nil), nil
}

// realWorkers is the workers service on a runtime.
func realWorkers(rt workers.Runtime) func(*bench) api.Workers {
	return func(b *bench) api.Workers {
		// Short: unix sockets lie below it.
		dir, err := os.MkdirTemp("", "sv")
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { _ = os.RemoveAll(dir) })
		s, err := workers.New(workers.Options{
			Store: b.store, Runtime: rt, Doors: noDoors{}, RunDir: dir, Domain: "selvage.localhost",
			AccountBySubdomain: func(sub string) (string, bool) {
				a := b.accounts.Account()
				return a.ID, sub == a.Subdomain
			},
			Subdomain:   func(string) string { return b.accounts.Account().Subdomain },
			IssueTicket: func(t workers.Ticket) string { return b.accounts.IssueTicket(accounts.Ticket(t)) },
			VerifyTicket: func(token, action string) (workers.Ticket, error) {
				t, err := b.accounts.VerifyTicket(token, action)
				return workers.Ticket(t), err
			},
		})
		if err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := s.Close(ctx); err != nil {
				b.t.Error(err)
			}
		})
		return s
	}
}

func (b *bench) client() *client.Client {
	b.t.Helper()
	c, err := client.New(b.url+"/client/v4", b.token, b.account, client.Options{Attempts: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

func hello(text string) *client.Upload {
	return &client.Upload{
		MainModule: "index.js", CompatibilityDate: "2026-05-01", KeepBindings: []string{"secret_text", "secret_key"},
		Modules: []client.Module{
			{Name: "index.js", ContentType: client.TypeESModule, Body: []byte("export default { fetch() { return new Response(" + text + ") } }")},
			{Name: "./sub/x.txt", ContentType: client.TypeText, Body: []byte(text)},
			{Name: "index.js.map", ContentType: client.TypeSourceMap, Body: []byte(`{"version":3}`)},
		},
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()

	first, err := c.Deploy(ctx, "w", hello(`"one"`))
	if err != nil {
		t.Fatal(err)
	}
	if first.StartupTimeMS != 13 || first.ID != "w" || len(first.VersionID) != 36 {
		t.Errorf("%+v", first)
	}
	second, err := c.CreateVersion(ctx, "w", hello(`"two"`))
	if err != nil || second.Number != 2 {
		t.Fatalf("%+v, %v", second, err)
	}
	if again, err := c.CreateVersion(ctx, "w", hello(`"two"`)); err != nil || again.ID != second.ID {
		t.Errorf("the retry made version %s (%v), not %s", again.ID, err, second.ID)
	}
	if _, err := c.DeployVersion(ctx, "w", second.ID, client.DeployOptions{Message: "go"}); err != nil {
		t.Fatal(err)
	}
	ds, err := c.Deployments(ctx, "w")
	if err != nil || len(ds) != 2 || ds[0].Versions[0].VersionID != second.ID || ds[0].Annotations[client.AnnotationMessage] != "go" {
		t.Errorf("%+v, %v", ds, err)
	}
	if d, err := c.Rollback(ctx, "w", client.DeployOptions{Message: "undo"}); err != nil || d.Versions[0].VersionID != first.VersionID {
		t.Errorf("%+v, %v", d, err)
	}

	vs, err := c.Versions(ctx, "w")
	if err != nil || len(vs) != 2 || vs[0].Number != 2 || vs[1].Metadata.Source != "api" {
		t.Errorf("%+v, %v", vs, err)
	}
	if v, err := c.Version(ctx, "w", strings.ReplaceAll(first.VersionID, "-", "")); err != nil || v.ID != first.VersionID {
		t.Errorf("an id without hyphens: %+v, %v", v, err)
	}

	if err := c.DeleteScript(ctx, "w", false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Worker(ctx, "w"); !client.HasCode(err, client.CodeNotFound) {
		t.Error(err)
	}
	if err := c.DeleteScript(ctx, "w", false); !client.HasCode(err, client.CodeNotFound) {
		t.Error(err)
	}
}

func TestStartErrorChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()
	bad := hello(`"x"`)
	bad.Modules[0].Body = []byte(stillborn)
	_, err := c.Deploy(ctx, "w", bad)
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.CodeInvalidScript || e.Status != 400 || !strings.Contains(e.Message, "Uncaught Error: stillborn\n  at index.js:1:7") {
		t.Errorf("%v", err)
	}
	if list, err := c.Scripts(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()
	if err := c.PutSecret(ctx, "w", "TOKEN", "s3cret"); !client.HasCode(err, client.CodeNotFound) {
		t.Errorf("a secret of no worker: %v", err)
	}
	if _, err := c.Deploy(ctx, "w", hello(`"one"`)); err != nil {
		t.Fatal(err)
	}
	if err := c.PutSecret(ctx, "w", "TOKEN", "s3cret"); err != nil {
		t.Fatal(err)
	}
	x := "x"
	all, err := c.PatchSecrets(ctx, "w", map[string]*string{"A": &x, "TOKEN": nil})
	if err != nil || len(all) != 1 || all[0] != (client.Secret{Name: "A", Type: "secret_text"}) {
		t.Errorf("%+v, %v", all, err)
	}
	// As wrangler sends it, content type and all.
	a := b.do("PATCH", "/A/workers/workers/w/versions/latest", `{"env":{"VS":{"type":"secret_text","text":"v"}},"annotations":{"workers/message":"m"}}`,
		"Content-Type", "application/merge-patch+json")
	if a.Status != 200 || !strings.Contains(string(a.Body.Result), `"name":"VS"`) || strings.Contains(a.Text, `"v"`) {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	if a := b.do("PATCH", "/A/workers/workers/w/versions/latest", `{"env":{"N":{"type":"plain_text","text":"v"}}}`); a.Status != 400 || !strings.Contains(a.message(), `"N"`) {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	if err := c.PutSecret(ctx, "w", "B", "y"); !client.HasCode(err, workers.CodeVersionNotDeployed) {
		t.Errorf("a secret while the latest version is not deployed: %v", err)
	}
	if strings.Contains(b.log.String(), "s3cret") {
		t.Error("a secret is in the log")
	}
}

func TestPlaceAndSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()
	if _, err := c.Deploy(ctx, "w", hello(`"one"`)); err != nil {
		t.Fatal(err)
	}
	no := false
	p, err := c.SetPlace(ctx, "w", true, &no)
	want := client.Place{Enabled: true, URL: "http://w.acme.workers.selvage.localhost:8787", PreviewURLSuffix: "-w.acme.workers.selvage.localhost:8787"}
	if err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	if w, err := c.Worker(ctx, "w"); err != nil || w.Subdomain != want {
		t.Errorf("%+v, %v", w, err)
	}
	if err := c.SetSubdomain(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	if w, err := c.Worker(ctx, "w"); err != nil || w.Subdomain.URL != "http://w.other.workers.selvage.localhost:8787" {
		t.Errorf("%+v, %v", w, err)
	}
	if err := c.SetSubdomain(ctx, "a.b"); err == nil {
		t.Error("the subdomain a.b was accepted")
	}
	for name, code := range map[string]int{"other": 10031, "free": 10032} {
		if a := b.do("GET", "/A/workers/subdomains/"+name, ""); a.code() != code {
			t.Errorf("%s: %s", name, a.Text)
		}
	}
	if a := b.do("PATCH", "/A/workers/scripts/w/script-settings", `{"tail_consumers":[{"service":"x"}]}`); a.code() != 10230 || !strings.Contains(a.Text, "tail consumer x does not exist") {
		t.Errorf("a tail worker that is not there is taken: %d %s", a.Status, a.Text)
	}
	a := b.do("PATCH", "/A/workers/scripts/w/script-settings", `{"observability":{"enabled":true},"tags":["a"],"logpush":false}`, "Content-Type", "text/plain;charset=UTF-8")
	if a.Status != 200 || string(a.Body.Result) != `{"tags":["a"],"logpush":false,"observability":{"enabled":true},"tail_consumers":null}` {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}

func TestEgress(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	c, ctx := b.client(), t.Context()
	if _, err := c.Deploy(ctx, "w", hello(`"one"`)); err != nil {
		t.Fatal(err)
	}
	rules := []client.EgressRule{{Prefix: "10.0.0.0/8", FromPort: 5432, ToPort: 5432}, {Prefix: "fd00::/8"}}
	if err := c.SetEgress(ctx, "w", rules); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Egress(ctx, "w"); err != nil || len(got) != 2 || got[0] != rules[0] || got[1] != rules[1] {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.SetEgress(ctx, "w", []client.EgressRule{{Prefix: "everything"}}); err == nil {
		t.Error("a network that is none was accepted")
	}
	b.token = b.newToken(accounts.ScopeWorkersWrite)
	if a := b.do("PUT", "/A/selvage/workers/w/egress", `{"allow":[]}`); a.Status != 403 {
		t.Errorf("one who may deploy may open the network: %s", a.Text)
	}
}
