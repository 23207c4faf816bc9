package pages_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/store"
)

const (
	account = "acc"
	domain  = "selvage.test"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("PAGES_TEST_CRASH"); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// files serves blobs as they are.
type files struct{ *store.Blobs }

func (files) Variant(context.Context, string, string) (string, int64, bool) { return "", 0, false }

// functions keeps what would run.
type functions struct {
	mu      sync.Mutex
	made    map[string]*pages.FunctionsSpec
	refuse  string
	deleted []string
}

func (f *functions) Create(_ context.Context, spec *pages.FunctionsSpec) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != "" {
		return "", &pages.RefusedError{Text: f.refuse}
	}
	if f.made == nil {
		f.made = make(map[string]*pages.FunctionsSpec)
	}
	id := fmt.Sprintf("version-%d", len(f.made)+1)
	f.made[id] = spec
	return id, nil
}

func (f *functions) Delete(_ context.Context, _, _ string, versions ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted = append(f.deleted, versions...)
	return nil
}

func (*functions) DeleteAll(context.Context, string, string) error { return nil }

// fixture is a service on a data directory, with a clock of the test's.
type fixture struct {
	*pages.Service

	t         testing.TB
	store     *store.Store
	functions *functions
	skew      atomic.Int64 // nanoseconds that the clock is ahead
}

func (f *fixture) now() time.Time { return time.Now().Add(time.Duration(f.skew.Load())) }

var errTicket = errors.New("no ticket")

type ticket struct {
	Account string         `json:"account"`
	Object  string         `json:"object"`
	Action  string         `json:"action"`
	Expires time.Time      `json:"exp"`
	Extra   map[string]any `json:"extra"`
}

// issue signs a ticket as the accounts service does: what is checked here is what
// the service makes of it.
func issue(t pages.Ticket) string {
	b, err := json.Marshal(ticket(t))
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString(b)
	return text + "." + sign(text)
}

func sign(text string) string {
	h := hmac.New(sha256.New, []byte("key"))
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (f *fixture) verify(token, action string) (t pages.Ticket, err error) {
	text, mac, _ := strings.Cut(token, ".")
	var in ticket
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || mac != sign(text) || json.Unmarshal(b, &in) != nil {
		return t, errTicket
	}
	if t = pages.Ticket(in); t.Action != action || f.now().After(t.Expires) {
		return t, errTicket
	}
	return t, nil
}

func open(tb testing.TB, dir string, change func(*pages.Options)) *fixture {
	tb.Helper()
	st, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = st.Close() })
	f := &fixture{t: tb, store: st, functions: &functions{}}
	o := pages.Options{
		Store: st, Now: f.now, Domain: domain, Functions: f.functions, Files: files{st.Blobs},
		IssueTicket: issue, VerifyTicket: f.verify,
	}
	if change != nil {
		change(&o)
	}
	if f.Service, err = pages.New(o); err != nil {
		tb.Fatal(err)
	}
	return f
}

// project makes a project.
func (f *fixture) project(name string) {
	f.t.Helper()
	if _, err := f.CreateProject(context.Background(), account, pages.NewProject{Name: name}); err != nil {
		f.t.Fatal(err)
	}
}

func extension(p string) string { return strings.TrimPrefix(path.Ext(p), ".") }

// manifest names contents as wrangler does.
func manifest(site map[string]string) map[string]string {
	m := make(map[string]string, len(site))
	for p, content := range site {
		m[p] = assets.Hash([]byte(content), extension(p))
	}
	return m
}

// upload does what wrangler does before a deployment.
func (f *fixture) upload(ctx context.Context, project string, site map[string]string) error {
	token, err := f.UploadToken(ctx, account, project)
	if err != nil {
		return err
	}
	var hashes []string
	byHash := make(map[string]string)
	for p, hash := range manifest(site) {
		hashes, byHash[hash] = append(hashes, hash), p
	}
	missing, err := f.Missing(ctx, token, hashes)
	if err != nil {
		return err
	}
	u, err := f.Uploader(ctx, token)
	if err != nil {
		return err
	}
	defer u.Close()
	for _, hash := range missing {
		p := byHash[hash]
		kind := "application/octet-stream"
		switch extension(p) {
		case "html":
			kind = "text/html"
		case "css":
			kind = "text/css"
		}
		if err := u.Put(hash, kind, 0, pages.Encoded(base64.StdEncoding.EncodeToString([]byte(site[p])))); err != nil {
			return err
		}
	}
	return u.Commit(ctx)
}

// deploy uploads and deploys to a branch.
func (f *fixture) deploy(project, branch string, site map[string]string) pages.Deployment {
	f.t.Helper()
	ctx := context.Background()
	if err := f.upload(ctx, project, site); err != nil {
		f.t.Fatal(err)
	}
	d, err := f.Deploy(ctx, account, project, &pages.DeployRequest{Manifest: manifest(site), Commit: pages.Commit{Branch: branch}})
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

// get asks a host for a path; the status is 0 when no deployment answers there.
func (f *fixture) get(host, p string) (status int, body string) {
	f.t.Helper()
	r, err := f.Lookup(context.Background(), host)
	if errors.Is(err, pages.ErrNoRoute) {
		return 0, ""
	}
	if err != nil {
		f.t.Fatal(err)
	}
	res, err := r.Respond(&assets.Request{Method: "GET", Scheme: "http", Host: host, Path: p, Header: func(string) string { return "" }})
	if err != nil {
		f.t.Fatal(err)
	}
	if res.Body.File == nil {
		return res.Status, string(res.Body.Bytes)
	}
	defer res.Body.File.Close()
	b := make([]byte, res.Body.Length)
	if _, err := res.Body.File.ReadAt(b, res.Body.Offset); err != nil {
		f.t.Fatal(err)
	}
	return res.Status, string(b)
}

func host(label, project string) string {
	if label != "" {
		label += "."
	}
	return label + project + ".pages." + domain
}

func code(err error) int {
	if e, ok := errors.AsType[*pages.Error](err); ok {
		return e.Code
	}
	return 0
}
