package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
	"github.com/selvage-dev/selvage/internal/d1"
	"github.com/selvage-dev/selvage/internal/kv"
	"github.com/selvage-dev/selvage/internal/registry"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/vectorize"
)

// bench is an API on real accounts, store and logs. What stands behind Workers is the test's choice.
type bench struct {
	t        *testing.T
	store    *store.Store
	accounts *accounts.Service
	logs     *telemetry.Logs
	images   *registry.Service
	handler  http.Handler
	url      string
	token    string
	account  string
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newBench starts everything but the workers service, which workers makes.
func newBench(t *testing.T, workers func(*bench) api.Workers, change func(*api.Options)) *bench {
	t.Helper()
	b := &bench{t: t, log: &lockedBuffer{}}
	var err error
	if b.store, err = store.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	if b.accounts, err = accounts.New(t.Context(), b.store, accounts.Options{Subdomain: "acme"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.accounts.Close() })
	if b.token, err = b.accounts.OperatorToken(); err != nil {
		t.Fatal(err)
	}
	b.account = b.accounts.Account().ID
	if b.logs, err = telemetry.OpenLogs(t.TempDir(), telemetry.LogOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.logs.Close() })
	namespaces, err := kv.New(kv.Options{Store: b.store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = namespaces.Close() })
	databases, err := d1.New(d1.Options{Store: b.store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = databases.Close() })
	indexes, err := vectorize.New(vectorize.Options{Store: b.store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = indexes.Close() })
	if b.images, err = registry.New(registry.Options{Store: b.store}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.images.Close() })
	tails := tail.New(tail.Options{})
	t.Cleanup(tails.Close)
	o := api.Options{
		Vectorize: indexes,
		Images:    b.images,

		Tails:    tails,
		Accounts: b.accounts, Workers: workers(b), KV: namespaces, D1: databases, Logs: b.logs, Registry: prometheus.NewRegistry(),
		Log:           slog.New(slog.NewJSONHandler(b.log, nil)),
		EdgeURL:       func() *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.1:8787"} },
		Version:       api.Build{Version: "0.0.0-test"},
		MaxScriptSize: 1 << 20, MaxSourceMaps: 1 << 20,
	}
	if change != nil {
		change(&o)
	}
	b.handler = api.New(o)
	srv := httptest.NewServer(b.handler)
	t.Cleanup(srv.Close)
	b.url = srv.URL
	return b
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Text   string
	Body   struct {
		Success bool             `json:"success"`
		Result  json.RawMessage  `json:"result"`
		Errors  []map[string]any `json:"errors"`
		Info    map[string]any   `json:"result_info"`
	}
}

func (a *answer) code() int {
	if len(a.Body.Errors) == 0 {
		return 0
	}
	n, _ := a.Body.Errors[0]["code"].(float64)
	return int(n)
}

func (a *answer) message() string {
	if len(a.Body.Errors) == 0 {
		return ""
	}
	s, _ := a.Body.Errors[0]["message"].(string)
	return s
}

// path replaces /A by the account and puts the API's base before it.
func (b *bench) path(p string) string {
	if rest, ok := strings.CutPrefix(p, "/A/"); ok {
		p = "/accounts/" + b.account + "/" + rest
	}
	return b.url + "/client/v4" + p
}

// do calls as the operator.
func (b *bench) do(method, path, body string, header ...string) *answer {
	b.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, b.path(path), r)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	return b.send(req)
}

func (b *bench) send(req *http.Request) *answer {
	b.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := &answer{Status: resp.StatusCode, Header: resp.Header, Text: string(text)}
	_ = json.Unmarshal(text, &a.Body)
	return a
}

// newToken makes a token of these scopes.
func (b *bench) newToken(scopes ...accounts.Scope) string {
	b.t.Helper()
	secret, _, err := b.accounts.CreateToken(b.t.Context(), "test", scopes, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
