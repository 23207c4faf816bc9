package modelstore_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/fault"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
	"github.com/selvage-dev/selvage/internal/ai/modelstore/hubtest"
	"github.com/selvage-dev/selvage/internal/store"
)

const repository = "acme/small"

// files of a repository, of which the weights have some size.
func files(weights int) map[string][]byte {
	return map[string][]byte{
		"config.json": []byte(`{"model_type":"bert","architectures":["BertModel"]}`), "tokenizer.json": []byte(`{}`), "README.md": []byte("no"),
		"pytorch_model.bin": []byte("no pickles"), "1_Pooling/config.json": []byte(`{}`), "model.safetensors": bytes.Repeat([]byte("w"), weights),
	}
}

type fixture struct {
	hub    *hubtest.Hub
	data   string
	o      modelstore.Options
	store  *modelstore.Store
	closer func()
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{hub: &hubtest.Hub{Repositories: map[string]map[string][]byte{repository: files(3 << 20)}}, data: t.TempDir()}
	server := httptest.NewServer(f.hub)
	t.Cleanup(server.Close)
	f.o = modelstore.Options{Log: slog.New(slog.DiscardHandler), Now: time.Now, Quota: 10 << 20, Hubs: []string{server.URL}}
	f.open(t)
	t.Cleanup(func() { f.closer() })
	return f
}

// open opens the store, again if it was.
func (f *fixture) open(t *testing.T) {
	t.Helper()
	if f.closer != nil {
		f.closer()
	}
	st, err := store.Open(f.data)
	if err != nil {
		t.Fatal(err)
	}
	f.o.Store = st
	if f.store, err = modelstore.Open(f.o); err != nil {
		t.Fatal(err)
	}
	f.closer = func() {
		f.store.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (f *fixture) pull(t *testing.T, name string) error {
	t.Helper()
	plan, err := f.store.Plan(t.Context(), repository, "")
	if err != nil {
		return err
	}
	return f.store.Pull(t.Context(), &modelstore.Model{Name: name}, plan, nil)
}

func code(err error) int {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return 0
	}
	return e.Code
}

func TestPull(t *testing.T) {
	t.Parallel()
	f := start(t)
	if err := f.pull(t, "@mine/small"); err != nil {
		t.Fatal(err)
	}
	f.open(t) // it is there after a restart
	m := f.store.Find("@mine/small")
	if m == nil || m.Kind != catalogue.Embeddings || m.Architecture != "bert" || m.Revision != hubtest.Commit || m.Source != "hub:"+repository || len(m.Files) != 4 {
		t.Fatalf("%+v", m)
	}
	for _, file := range m.Files {
		raw, err := os.ReadFile(filepath.Join(m.Dir(), file.Path))
		if err != nil || int64(len(raw)) != file.Size || len(file.SHA256) != 64 {
			t.Errorf("%+v: %v", file, err)
		}
	}
	for _, request := range f.hub.Requests() {
		if strings.Contains(request, "pytorch") || strings.Contains(request, "README") {
			t.Errorf("asked for %s", request)
		}
	}
	if err := f.pull(t, "@mine/small"); code(err) != fault.CodeExists {
		t.Errorf("the name again: %v", err)
	}
	if err := f.store.Remove(t.Context(), "@mine/small"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(m.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder after it was removed: %v", err)
	}
	if used, _ := f.store.Usage(); used != 0 || code(f.store.Remove(t.Context(), "@mine/small")) != fault.CodeNoModel {
		t.Errorf("%d bytes used", used)
	}
}

// TestResume has the hub hang up again and again: each try goes on where the last one ended.
func TestResume(t *testing.T) {
	t.Parallel()
	f := start(t)
	f.hub.CutAt = 800 << 10
	if err := f.pull(t, "@mine/small"); err != nil {
		t.Fatal(err)
	}
	if sent := f.hub.Sent.Load(); sent > 3<<20+1000 {
		t.Errorf("%d bytes were sent of 3 MiB", sent)
	}
	resumed := 0
	for _, request := range f.hub.Requests() {
		if strings.Contains(request, "bytes=") {
			resumed++
		}
	}
	if resumed != 3 {
		t.Errorf("resumed %d times: %q", resumed, f.hub.Requests())
	}
}

// TestInterrupted has a pull given up, and taken up again after a restart.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	f := start(t)
	plan, err := f.store.Plan(t.Context(), repository, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = f.store.Pull(ctx, &modelstore.Model{Name: "@mine/small"}, plan, func(_ string, done, _ int64) {
		if done > 1<<20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || f.store.Find("@mine/small") != nil {
		t.Fatalf("given up: %v", err)
	}
	f.open(t)
	before := f.hub.Sent.Load()
	if err := f.pull(t, "@mine/small"); err != nil {
		t.Fatal(err)
	}
	if again := f.hub.Sent.Load() - before; again > 2<<20+1000 {
		t.Errorf("%d bytes were sent again", again)
	}
}

func TestPullRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(f *fixture)
		model  string
		code   int
		text   string
	}{
		{"a lie", func(f *fixture) { f.hub.Lie = "model.safetensors" }, "@mine/x", fault.CodeDownload, "another sha256"},
		{"a quota", func(f *fixture) { f.hub.Repositories[repository] = files(11 << 20) }, "@mine/x", fault.CodeNoSpace, "ai.disk"},
		{"no tokenizer", func(f *fixture) { delete(f.hub.Repositories[repository], "tokenizer.json") }, "@mine/x", fault.CodeModelBroken, "tokenizer.json"},
		{"no weights", func(f *fixture) { delete(f.hub.Repositories[repository], "model.safetensors") }, "@mine/x", fault.CodeModelBroken, "safetensors"},
		{"no repository", func(f *fixture) { delete(f.hub.Repositories, repository) }, "@mine/x", fault.CodeDownload, "does not have it"},
		{"a gate", func(f *fixture) { f.hub.Token = "t" }, "@mine/x", fault.CodeDownload, "hub=TOKEN"},
		{"a name", func(*fixture) {}, "@mine/../x", fault.CodeInvalidModel, "invalid"},
		{"no purpose", func(f *fixture) { f.hub.Repositories[repository]["config.json"] = []byte(`{}`) }, "@mine/x", fault.CodeModelBroken, "--task"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			c.change(f)
			err := f.pull(t, c.model)
			if code(err) != c.code || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v", err)
			}
			if len(f.store.List()) != 0 {
				t.Error("it was added")
			}
		})
	}
}

func TestTokenAndMirror(t *testing.T) {
	t.Parallel()
	f := start(t)
	mirror := &hubtest.Hub{Repositories: f.hub.Repositories}
	server := httptest.NewServer(mirror)
	t.Cleanup(server.Close)
	f.hub.Token = "secret"
	f.o.Token, f.o.Hubs = "wrong", append(f.o.Hubs, server.URL)
	f.open(t)
	if err := f.pull(t, "@mine/small"); err != nil {
		t.Fatal(err)
	}
	if mirror.Sent.Load() == 0 || f.hub.Sent.Load() != 0 {
		t.Errorf("the mirror sent %d bytes", mirror.Sent.Load())
	}
	f.o.Token = "secret"
	f.open(t)
	if err := f.pull(t, "@mine/again"); err != nil || f.hub.Sent.Load() == 0 {
		t.Errorf("with the token: %v", err)
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	f := start(t)
	if err := f.pull(t, "@mine/small"); err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := f.store.Bundle(t.Context(), "@mine/small", &bundle); err != nil {
		t.Fatal(err)
	}
	other := start(t)
	as := func(name string) func(*modelstore.Model) error {
		return func(m *modelstore.Model) error {
			m.Name = name
			return nil
		}
	}
	m, err := other.store.Import(t.Context(), bytes.NewReader(bundle.Bytes()), as("@mine/other"))
	if err != nil || m.Revision != hubtest.Commit || m.Size != f.store.Find("@mine/small").Size || m.Kind != catalogue.Embeddings {
		t.Fatalf("%+v %v", m, err)
	}
	for _, at := range []int{0, 100, 600, 1500, 5000, bundle.Len() / 2, bundle.Len() - 1540} {
		if _, err := other.store.Import(t.Context(), bytes.NewReader(bundle.Bytes()[:at]), as("@mine/cut")); code(err) != fault.CodeModelBroken {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
	turned := bytes.Clone(bundle.Bytes())
	turned[bundle.Len()/2] ^= 1
	if _, err := other.store.Import(t.Context(), bytes.NewReader(turned), as("@mine/turned")); code(err) != fault.CodeModelBroken || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("a byte turned: %v", err)
	}
	if n := len(other.store.List()); n != 1 {
		t.Errorf("%d models", n)
	}
	entries, err := os.ReadDir(filepath.Join(other.data, "models"))
	if err != nil || len(entries) != 2 {
		t.Errorf("what was refused is still there: %v %v", entries, err)
	}
}

// hostile is a bundle with any manifest and one file.
func hostile(manifest, path string, body []byte) []byte {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, e := range []struct {
		name string
		body []byte
	}{{"selvage-model.json", []byte(manifest)}, {"files/" + path, body}} {
		_ = t.WriteHeader(&tar.Header{Name: e.name, Mode: 0o600, Size: int64(len(e.body))})
		_, _ = t.Write(e.body)
	}
	_ = t.Close()
	return b.Bytes()
}

func TestHostileBundles(t *testing.T) {
	t.Parallel()
	f := start(t)
	for _, path := range []string{"../../escape", "/etc/passwd", "a/../../b", ".hidden", "a//b", "a\\b", "a\x00b", "", strings.Repeat("a/", 100) + "b"} {
		manifest := fmt.Sprintf(`{"selvage_model":1,"name":"@mine/x","kind":"embeddings","files":[{"path":%q,"size":1}]}`, path)
		if _, err := f.store.Import(t.Context(), bytes.NewReader(hostile(manifest, path, []byte("x"))), func(*modelstore.Model) error { return nil }); code(err) != fault.CodeModelBroken {
			t.Errorf("%q: %v", path, err)
		}
	}
	for _, manifest := range []string{
		`{}`, `[]`, `{"selvage_model":2}`, `{"selvage_model":1,"files":[]}`,
		`{"selvage_model":1,"name":"@mine/x","files":[{"path":"a","size":-1}]}`,
		`{"selvage_model":1,"name":"@mine/x","files":[{"path":"a","size":1},{"path":"a","size":1}]}`,
		`{"selvage_model":1,"name":"@mine/x","files":[{"path":"a","size":1,"sha256":"x"}]}`,
	} {
		if _, err := f.store.Import(t.Context(), bytes.NewReader(hostile(manifest, "a", []byte("x"))), func(*modelstore.Model) error { return nil }); code(err) != fault.CodeModelBroken {
			t.Errorf("%s: %v", manifest, err)
		}
	}
	manifest := `{"selvage_model":1,"name":"@mine/x","kind":"embeddings","files":[{"path":"a","size":1000000000000}]}`
	if _, err := f.store.Import(t.Context(), bytes.NewReader(hostile(manifest, "a", []byte("x"))), func(*modelstore.Model) error { return nil }); code(err) != fault.CodeNoSpace {
		t.Errorf("a terabyte: %v", err)
	}
}
