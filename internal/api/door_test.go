package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/telemetry"
)

func jsonInto(a *answer, v any) error { return json.Unmarshal(a.Body.Result, v) }

// TestHugeUpload sends 200 MB and holds that the answer comes at once, as an answer and not as a
// broken pipe.
func TestHugeUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	const head = "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"main_module\":\"i\"}\r\n--b\r\n" +
		"Content-Disposition: form-data; name=\"i\"\r\nContent-Type: application/javascript+module\r\n\r\n"
	for name, length := range map[string]int64{"length given": int64(len(head)) + 200<<20, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			body := io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, 200<<20))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, b.path("/A/workers/scripts/w"), body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			req.Header.Set("Authorization", "Bearer "+b.token)
			req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			if a := b.send(req); a.Status != 413 || a.code() != client.CodeTooLarge {
				t.Errorf("%d %s", a.Status, a.Text)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestBodies(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	if _, err := b.client().Deploy(t.Context(), "w", hello(`"one"`)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, path, body string
		status, code             int
		text                     string
	}{
		{"no JSON", "POST", "/A/workers/scripts/w/deployments", "{", 400, 10001, "breaks off"},
		{"nothing", "PUT", "/A/workers/scripts/w/secrets", "", 400, 10001, "empty"},
		{"two values", "PUT", "/A/workers/scripts/w/secrets", `{"name":"a","text":"b"} {}`, 400, 10001, "more than one"},
		{"wrong type", "PUT", "/A/workers/scripts/w/secrets", `{"name":1}`, 400, 10001, "field name"},
		{"a number for a text", "PUT", "/A/workers/scripts/w/secrets", `{"name":"a","text":123456}`, 400, 10001, "field text must not be of type number"},
		{"no text", "PUT", "/A/workers/scripts/w/secrets", `{"name":"a"}`, 400, 10001, `"a" needs a text`},
		{"other secret", "PUT", "/A/workers/scripts/w/secrets", `{"name":"a","text":"b","type":"secret_key"}`, 400, 100327, "secret_key"},
		{"too large", "PATCH", "/A/workers/scripts/w/script-settings", strings.Repeat(" ", 70<<10), 413, 10413, "65536 bytes"},
		{"no form", "PUT", "/A/workers/scripts/w", "{}", 400, 10021, "multipart/form-data"},
		{"bad query", "GET", "/A/selvage/logs?limit=ten", "", 400, 10001, "limit"},
		{"inherit", "POST", "/A/workers/scripts/w/versions?bindings_inherit=loose", "", 400, 10001, "strict"},
		{"routes", "PUT", "/A/workers/scripts/w/routes", `[{"pattern":"example.test/api/*","zone_name":"example.test"}]`, 404, 1001, "selvage zone add example.test"},
		{"a zone that is none", "POST", "/zones", `{"name":"*.test"}`, 400, 1002, "not a domain"},
		{"a zone of others", "POST", "/zones", `{"name":"a.test","account":{"id":"b"}}`, 403, 10023, "no access"},
		{"zone", "POST", "/zones", `{"name":"zoned.test"}`, 200, 0, ""},
		{"zone again", "POST", "/zones", `{"name":"zoned.test"}`, 400, 1061, "exists already"},
		{"an infix wildcard", "PUT", "/A/workers/scripts/w/routes", `[{"pattern":"zoned.test/*.jpg"}]`, 400, 10022, "at the end only"},
		{"routes of a zone", "PUT", "/A/workers/scripts/w/routes", `[{"pattern":"zoned.test/*","zone_name":"zoned.test"}]`, 200, 0, ""},
		{"unknown zone", "GET", "/zones/x/workers/routes", "", 404, 1001, "no zone"},
		{"unknown domain", "GET", "/A/workers/domains/records/x", "", 404, 100116, "no custom domain"},
		{"no routes", "PUT", "/A/workers/scripts/w/routes", `[]`, 200, 0, ""},
		{"crons", "PUT", "/A/workers/scripts/w/schedules", `[{"cron":"*/5 * * * *"}]`, 200, 0, ""},
		{"a bad cron", "PUT", "/A/workers/scripts/w/schedules", `[{"cron":"99 * *"}]`, 400, 10100, "it has 3 fields"},
		{"a bad minute", "PUT", "/A/workers/scripts/w/schedules", `[{"cron":"* * * * *"},{"cron":"99 * * * *"}]`, 400, 10100, `minute "99" is not a number`},
		{"a cron that is no text", "PUT", "/A/workers/scripts/w/schedules", `[{"cron":5}]`, 400, 10001, "cron"},
		{"trigger", "POST", "/A/selvage/workers/w/scheduled", `{"cron":"0 0 1 1 *","scheduled_time":"2026-01-01T00:00:00Z"}`, 200, 0, ""},
		{"trigger a bad cron", "POST", "/A/selvage/workers/w/scheduled", `{"cron":"99 * *"}`, 400, 10100, "it has 3 fields"},
		{"trigger nobody", "POST", "/A/selvage/workers/nobody/scheduled", `{}`, 404, 10007, ""},
		{"no crons", "PUT", "/A/workers/scripts/w/schedules", `[]`, 200, 0, ""},
		{"crons of none", "PUT", "/A/workers/scripts/nobody/schedules", `[]`, 404, 10007, ""},
		{"domains", "POST", "/A/workers/scripts/w/domains/changeset?replace_state=true", `[{"hostname":"app.example.test"}]`, 404, 1001, "app.example.test"},
		{"domain records", "PUT", "/A/workers/scripts/w/domains/records", `{"origins":[{"hostname":"app.example.test"}]}`, 404, 1001, "app.example.test"},
		{"no domains", "POST", "/A/workers/scripts/w/domains/changeset", `[]`, 200, 0, ""},
		{"encoded name", "GET", "/A/workers/services/a%2Fb", "", 404, 10007, "a/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := b.do(c.method, c.path, c.body, "Content-Type", "application/json; charset=utf-8;")
			if a.Status != c.status || a.code() != c.code || !strings.Contains(a.message(), c.text) {
				t.Errorf("%d, code %d: %s", a.Status, a.code(), a.Text)
			}
			if a.Body.Success != (c.status == 200) || a.Body.Errors == nil {
				t.Errorf("envelope: %s", a.Text)
			}
		})
	}
}

// TestStalledBodies holds that silence in the middle of a body costs nobody a connection for long,
// whether or not the caller is known.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, func(o *api.Options) { o.StallTimeout = 100 * time.Millisecond })
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"unknown caller": {"Content-Length: 100", 401},
		"known caller":   {"Content-Length: 100\r\nAuthorization: Bearer " + b.token, 408},
		"in chunks":      {"Transfer-Encoding: chunked\r\nAuthorization: Bearer " + b.token, 408},
		"no such route":  {"Content-Length: 100", 404},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/client/v4/accounts/" + b.account + "/selvage/tokens"
			if c.status == 404 {
				path = "/nothing"
			}
			conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			begin := "{"
			if strings.HasPrefix(c.header, "Transfer") {
				begin = "1\r\n{\r\n"
			}
			if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: h\r\n"+c.header+"\r\n\r\n"+begin); err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(conn) // the server hangs up after its answer
			if want := "HTTP/1.1 " + strconv.Itoa(c.status); err != nil || !strings.HasPrefix(string(all), want) {
				t.Errorf("%v, %.300s; want %s and the end of the connection", err, all, want)
			}
		})
	}
}

// TestSlowBody holds that a body may take long as a whole.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, func(o *api.Options) { o.StallTimeout = 500 * time.Millisecond })
	r, w := io.Pipe()
	go func() {
		for _, piece := range []string{`{"name":`, `"slow","sco`, `pes":["workers`, `:read"]}`} {
			time.Sleep(200 * time.Millisecond)
			_, _ = io.WriteString(w, piece)
		}
		_ = w.Close()
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.path("/A/selvage/tokens"), r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	if a := b.send(req); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}

// TestOpenMetrics holds that a web page whose name was made to resolve to the API reads nothing.
func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, func(o *api.Options) { o.OpenMetrics = true })
	for host, status := range map[string]int{
		"127.0.0.1:8788": 200, "[::1]:8788": 200, "[::1]": 200, "LOCALHOST:8788": 200, "localhost": 200,
		"evil.example:8788": 401, "localhost.evil.example": 401, "127.0.0.1.evil.example:80": 401,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		if a := b.send(req); a.Status != status || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("Host %s: %d, want %d", host, a.Status, status)
		}
		req.Header.Set("Authorization", "Bearer "+b.token)
		if a := b.send(req); a.Status != 200 {
			t.Errorf("Host %s with a token: %d", host, a.Status)
		}
	}
}

// TestCleanupLists holds the three ways in which clients end their paging.
func TestCleanupLists(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	for _, path := range []string{
		"/A/storage/kv/namespaces?per_page=100&order=title&direction=asc&page=1",
		"/A/workers/durable_objects/namespaces?per_page=1000&page=1",
		"/A/workers/tails/by-consumer/w",
		"/A/workers/domains/records?page=0&per_page=5&service=w&environment=production",
		"/accounts?page=2",
	} {
		if a := b.do("GET", path, ""); a.Status != 200 || string(a.Body.Result) != "[]" {
			t.Errorf("%s: %s", path, a.Text)
		}
	}
	a := b.do("GET", "/accounts?page=1", "")
	if a.Body.Info["page"] != 1.0 || a.Body.Info["total_count"] != 1.0 || a.Body.Info["per_page"] != 20.0 {
		t.Errorf("%v", a.Body.Info)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil) // a nil interface: any call panics
	a := b.do("GET", "/A/workers/services/w", "")
	if a.Status != 500 || a.code() != 10013 || strings.Contains(a.Text, "nil pointer") {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	if log := b.log.String(); !strings.Contains(log, a.Header.Get("CF-Ray")) || !strings.Contains(log, "nil pointer") {
		t.Errorf("log: %s", log)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	ready := io.ErrNoProgress
	b := newBench(t, noWorkers, func(o *api.Options) { o.Ready = func(context.Context) error { return ready } })
	get := func(path string) *answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b.send(req)
	}
	if a := get("/readyz"); a.Status != 503 || !strings.Contains(a.Text, ready.Error()) {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	ready = nil
	if a := get("/readyz"); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	if a := get("/healthz"); a.Status != 200 || a.Text != "ok\n" {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil)
	c, ctx := b.client(), t.Context()
	made, err := c.CreateToken(ctx, "ci", []string{"tokens:write", "workers:write"}, nil)
	if err != nil || made.Secret == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	list, err := c.Tokens(ctx)
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if a := b.do("GET", "/A/selvage/tokens", ""); strings.Contains(a.Text, "secret") {
		t.Error("the list shows secrets: ", a.Text)
	}
	operator := list[0].ID
	if operator == made.ID {
		operator = list[1].ID
	}

	// One who may make tokens may not make more of them than they are.
	b.token = made.Secret
	limited := b.client()
	for name, err := range map[string]error{
		"create": second(limited.CreateToken(ctx, "root", []string{"*"}, nil)),
		"roll":   second(limited.RollToken(ctx, operator)),
		"revoke": limited.RevokeToken(ctx, operator),
	} {
		if !client.HasCode(err, 10023) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := limited.CreateToken(ctx, "less", []string{"workers:read"}, nil); err != nil {
		t.Error(err)
	}

	// Nor one that lives longer.
	hour := time.Now().Add(time.Hour)
	passing, err := c.CreateToken(ctx, "passing", []string{"*"}, &hour)
	if err != nil {
		t.Fatal(err)
	}
	b.token = passing.Secret
	brief := b.client()
	sooner, later := hour.Add(-time.Minute), hour.Add(time.Minute)
	for name, err := range map[string]error{
		"for ever": second(brief.CreateToken(ctx, "x", []string{"*"}, nil)),
		"longer":   second(brief.CreateToken(ctx, "x", []string{"*"}, &later)),
		"roll":     second(brief.RollToken(ctx, operator)),
	} {
		if !client.HasCode(err, 10023) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := brief.CreateToken(ctx, "shorter", []string{"*"}, &sooner); err != nil {
		t.Error(err)
	}

	rolled, err := c.RollToken(ctx, made.ID)
	if err != nil || rolled.Secret == made.Secret {
		t.Fatalf("%+v, %v", rolled, err)
	}
	if _, err := limited.Verify(ctx); !client.HasCode(err, 9109) {
		t.Errorf("the old secret: %v", err)
	}
	if err := c.RevokeToken(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.RevokeToken(ctx, made.ID); !client.HasCode(err, 10404) {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := c.CreateToken(ctx, "x", []string{"everything"}, nil); err == nil {
		t.Error("an unknown scope was accepted")
	}
	soon := time.Now().Add(-time.Second)
	if _, err := c.CreateToken(ctx, "x", []string{"*"}, &soon); err == nil {
		t.Error("a token that expired before it was made was accepted")
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhoami(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil)
	c, ctx := b.client(), t.Context()
	if s, err := c.Verify(ctx); err != nil || s.Status != "active" {
		t.Errorf("%+v, %v", s, err)
	}
	if u, err := c.User(ctx); err != nil || u.Email != accounts.DefaultEmail {
		t.Errorf("%+v, %v", u, err)
	}
	if l, err := c.Accounts(ctx); err != nil || len(l) != 1 || l[0].ID != b.account {
		t.Errorf("%+v, %v", l, err)
	}
	if v, err := c.Build(ctx); err != nil || v.Version != "0.0.0-test" {
		t.Errorf("%+v, %v", v, err)
	}
	a := b.do("GET", "/user", "", "Authorization", "", "X-Auth-Key", "k", "X-Auth-Email", "e")
	if a.Status != 401 || !strings.Contains(a.message(), "CLOUDFLARE_API_TOKEN") {
		t.Error(a.Text)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	b := newBench(t, noWorkers, nil)
	c, ctx := b.client(), t.Context()
	add := func(script, text string) {
		b.logs.Append(&telemetry.Event{Time: time.Now(), Kind: telemetry.KindConsole, Level: "info", Script: script, Message: text})
	}
	add("a", "one")
	add("b", "two")
	if err := b.logs.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := c.Logs(ctx, client.LogFilter{Script: "a", Since: time.Now().Add(-time.Hour)})
	if err != nil || len(got) != 1 || got[0].Message != "one" {
		t.Errorf("%+v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var followed []string
	err = c.FollowLogs(ctx, client.LogFilter{Limit: 1}, func(e client.Event) bool {
		followed = append(followed, e.Message)
		if len(followed) == 1 {
			add("c", "three")
		}
		return len(followed) < 2
	})
	if err != nil || strings.Join(followed, " ") != "two three" {
		t.Errorf("%q, %v", followed, err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t, realWorkers(stillRuntime{}), func(o *api.Options) {
		o.Status = func(context.Context) api.Platform { return api.Platform{PID: 1, Requests: 7} }
	})
	c, ctx := b.client(), t.Context()
	if _, err := c.Deploy(ctx, "w", hello(`"one"`)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Status(ctx)
	if err != nil || s.Scripts != 1 || s.Platform.RequestsTotal != 7 || len(s.Workers) != 1 || s.Workers[0].PID != 4711 || s.Workers[0].RSSBytes != 9<<20 {
		t.Errorf("%+v, %v", s, err)
	}
}
