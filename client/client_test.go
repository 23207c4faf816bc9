package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/client"
	"github.com/selvage-dev/selvage/internal/assets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = "0123456789abcdef0123456789abcdef"

// serve starts an API of one handler and returns a client of it that retries fast.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	c, err := client.New(srv.URL+"/client/v4/", "secret", account, client.Options{Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

func ok(w http.ResponseWriter, result string) {
	_, _ = io.WriteString(w, `{"success":true,"errors":[],"messages":[],"result":`+result+`}`)
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("CF-Ray", "00112233aabbccdd")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "errors": []any{map[string]any{"code": code, "message": message}}})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8788", "ftp://h/client/v4", "://"} {
		if _, err := client.New(base, "t", "a", client.Options{}); err == nil {
			t.Errorf("base %q was accepted", base)
		}
	}
	if _, err := client.New("http://127.0.0.1:1/client/v4", "", "a", client.Options{}); err == nil {
		t.Error("an empty token was accepted")
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Method + " " + r.URL.EscapedPath() + " " + r.Header.Get("Authorization"); got !=
			"GET /client/v4/accounts/"+account+"/workers/scripts/a%2Fb%20c/deployments Bearer secret" {
			t.Error(got)
		}
		ok(w, `{"deployments":[{"id":"d","versions":[{"version_id":"v","percentage":100}],"created_on":"2026-01-02T03:04:05.000006Z"}]}`)
	})
	got, err := c.Deployments(t.Context(), "a/b c")
	if err != nil {
		t.Fatal(err)
	}
	want := []client.Deployment{{
		ID: "d", Versions: []client.DeploymentVersion{{VersionID: "v", Percentage: 100}},
		CreatedOn: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		refuse(w, http.StatusNotFound, 10007, "no such worker")
	})
	_, err := c.Versions(t.Context(), "w")
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	want := client.Error{Code: 10007, Message: "no such worker", Status: 404, Ray: "00112233aabbccdd", Op: "GET /accounts/" + account + "/workers/scripts/w/versions"}
	if d := cmp.Diff(want, *e); d != "" {
		t.Error(d)
	}
	if !client.HasCode(err, client.CodeNotFound) || client.HasCode(err, 1) || calls != 1 {
		t.Errorf("calls %d, error %v", calls, err)
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		fail     int // how many calls fail before one succeeds
		status   int
		call     func(context.Context, *client.Client) error
		calls    int32
		succeeds bool
	}{
		{"get", 2, 503, func(ctx context.Context, c *client.Client) error { _, err := c.User(ctx); return err }, 3, true},
		{"get, for ever", 99, 500, func(ctx context.Context, c *client.Client) error { _, err := c.User(ctx); return err }, 4, false},
		{"too many requests", 1, 429, func(ctx context.Context, c *client.Client) error { return c.SetSubdomain(ctx, "x") }, 2, true},
		{"the caller's fault", 9, 400, func(ctx context.Context, c *client.Client) error { return c.SetSubdomain(ctx, "x") }, 1, false},
		{"post is not repeated", 1, 500, func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateToken(ctx, "n", []string{"*"}, nil)
			return err
		}, 1, false},
		{"a version's upload is", 1, 502, func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateVersion(ctx, "w", &client.Upload{MainModule: "m", Modules: []client.Module{{"m", client.TypeESModule, []byte("x")}}})
			return err
		}, 2, true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodGet && len(body) == 0 {
					t.Error("an attempt came without its body")
				}
				if int(calls.Add(1)) <= tc.fail {
					refuse(w, tc.status, 1, "no")
					return
				}
				ok(w, `{}`)
			})
			err := tc.call(t.Context(), c)
			if (err == nil) != tc.succeeds || calls.Load() != tc.calls {
				t.Errorf("%d calls, error %v", calls.Load(), err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			refuse(w, 503, 1, "busy")
			return
		}
		ok(w, `{}`)
	})
	begin := time.Now()
	if _, err := c.User(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("waited only %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	calls.Store(0)
	if _, err := c.User(ctx); !errors.Is(err, context.DeadlineExceeded) || !client.HasCode(err, 1) {
		t.Errorf("error = %v, want the deadline and what the API said", err)
	}
}

func TestNoAPI(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := c.User(t.Context()); err == nil || !strings.Contains(err.Error(), "is no JSON envelope") {
		t.Error(err)
	}
}

func TestDeployForm(t *testing.T) {
	t.Parallel()
	type part struct{ Name, File, Type, Body string }
	var got []part
	var length int64
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		got = readForm[part](t, r, func(name, file, typ, body string) part { return part{name, file, typ, body} })
		ok(w, `{"id":"w","deployment_id":"v1","startup_time_ms":7}`)
	})
	out, err := c.Deploy(t.Context(), "w", &client.Upload{
		MainModule: "index.js", CompatibilityDate: "2026-05-01",
		Bindings: []any{map[string]any{"name": "A", "type": "plain_text", "text": "1"}},
		Modules:  []client.Module{{"index.js", client.TypeESModule, []byte("export default {}")}, {"sub/a.txt", client.TypeText, nil}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.VersionID != "v1" || out.ID != "w" || out.StartupTimeMS != 7 || length <= 0 {
		t.Errorf("%+v, length %d", out, length)
	}
	want := []part{
		{"metadata", "", "", `{"main_module":"index.js","bindings":[{"name":"A","text":"1","type":"plain_text"}],"compatibility_date":"2026-05-01"}`},
		{"index.js", "index.js", client.TypeESModule, "export default {}"},
		{"sub/a.txt", "sub/a.txt", client.TypeText, ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// readForm reads a form with the names as they were sent.
func readForm[T any](t *testing.T, r *http.Request, part func(name, file, typ, body string) T) (out []T) {
	t.Helper()
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Error(err)
		return nil
	}
	form := multipart.NewReader(r.Body, params["boundary"])
	for {
		p, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Error(err)
			return out
		}
		body, _ := io.ReadAll(p)
		_, d, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		out = append(out, part(d["name"], d["filename"], p.Header.Get("Content-Type"), string(body)))
	}
}

func TestUploadAssets(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"index.html":   {Data: []byte("hello")},
		"sub/a.weird":  {Data: []byte("a")},
		"sub/skip.txt": {Data: []byte("skip")},
		"_headers":     {Data: []byte("/*\n  X: y")},
		"_redirects":   {Data: []byte("/a /b")},
	}
	a, err := client.ReadAssets(t.Context(), files, func(name string) bool { return name == "sub/skip.txt" })
	if err != nil {
		t.Fatal(err)
	}
	if a.Len() != 2 || a.Headers != "/*\n  X: y" || a.Redirects != "/a /b" {
		t.Errorf("%d files, headers %q, redirects %q", a.Len(), a.Headers, a.Redirects)
	}
	html, weird := assets.Hash([]byte("hello"), "html"), assets.Hash([]byte("a"), "weird")
	var done atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/assets-upload-session") {
			var in struct {
				Manifest map[string]struct {
					Hash string `json:"hash"`
					Size int64  `json:"size"`
				} `json:"manifest"`
			}
			_ = json.NewDecoder(r.Body).Decode(&in)
			if len(in.Manifest) != 2 || in.Manifest["/index.html"].Hash != html || in.Manifest["/sub/a.weird"].Size != 1 {
				t.Errorf("%+v", in.Manifest)
			}
			ok(w, `{"jwt":"session","buckets":[["`+html+`"],["`+weird+`"]]}`)
			return
		}
		if r.URL.RawQuery != "base64=true" || r.Header.Get("Authorization") != "Bearer session" {
			t.Errorf("%s, %s", r.URL, r.Header.Get("Authorization"))
		}
		for _, p := range readForm(t, r, func(name, file, typ, body string) [4]string { return [4]string{name, file, typ, body} }) {
			if p != [4]string{html, html, "text/html; charset=utf-8", "aGVsbG8="} && p != [4]string{weird, weird, "application/null", "YQ=="} {
				t.Error(p)
			}
		}
		if done.Add(1) == 2 {
			ok(w, `{"jwt":"complete"}`)
			return
		}
		ok(w, `{"jwt":null}`)
	})
	token, err := c.UploadAssets(t.Context(), "w", a)
	if err != nil || token != "complete" {
		t.Errorf("token %q, %v", token, err)
	}
	files[".assetsignore"] = &fstest.MapFile{}
	if _, err := client.ReadAssets(t.Context(), files, nil); !errors.Is(err, client.ErrAssetsIgnore) {
		t.Error(err)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	list := `{"deployments":[
		{"id":"3","versions":[{"version_id":"v3","percentage":100}]},
		{"id":"2","versions":[{"version_id":"v1","percentage":50},{"version_id":"v2","percentage":50}]},
		{"id":"1","versions":[{"version_id":"v1","percentage":100}]}]}`
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			ok(w, list)
			return
		}
		body, _ := io.ReadAll(r.Body)
		if want := `{"strategy":"percentage","versions":[{"version_id":"v1","percentage":100}],"annotations":{"workers/message":"undo"}}`; string(body) != want || r.URL.RawQuery != "force=true" {
			t.Errorf("%s %s", r.URL.RawQuery, body)
		}
		ok(w, `{"id":"4"}`)
	})
	if d, err := c.Rollback(t.Context(), "w", client.DeployOptions{Message: "undo", Force: true}); err != nil || d.ID != "4" {
		t.Errorf("%+v, %v", d, err)
	}
	list = `{"deployments":[{"id":"3","versions":[{"version_id":"v3","percentage":100}]}]}`
	if _, err := c.Rollback(t.Context(), "w", client.DeployOptions{}); !client.HasCode(err, client.CodeNotFound) {
		t.Error(err)
	}
}

func TestFollowLogs(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("follow") != "true" || r.URL.Query().Get("script") != "w" {
			t.Error(r.URL)
		}
		_, _ = io.WriteString(w, "\n{\"kind\":\"console\",\"message\":\"one\"}\n\n{\"message\":\"two\"}\n")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Get("ray") == "" {
			<-r.Context().Done()
		}
	})
	follow := func(f client.LogFilter, most int) (got []string, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err = c.FollowLogs(ctx, f, func(e client.Event) bool {
			got = append(got, e.Message)
			if most == 0 && len(got) == 2 {
				cancel()
			}
			return len(got) != most
		})
		return got, err
	}
	if got, err := follow(client.LogFilter{Script: "w"}, 1); err != nil || len(got) != 1 {
		t.Errorf("ended by yield: %v, %v", got, err)
	}
	if got, err := follow(client.LogFilter{Script: "w"}, 0); err != nil || len(got) != 2 {
		t.Errorf("ended by the context: %v, %v", got, err)
	}
	if got, err := follow(client.LogFilter{Script: "w", Ray: "x"}, 9); !errors.Is(err, io.ErrUnexpectedEOF) || len(got) != 2 {
		t.Errorf("broken off: %v, %v", got, err)
	}
}
