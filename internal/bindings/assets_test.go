package bindings_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/workers"
)

// folder keeps the contents of assets as files.
type folder string

func (f folder) Open(blob string) (*os.File, error) { return os.Open(filepath.Join(string(f), blob)) }

func (folder) Variant(context.Context, string, string) (id string, size int64, ok bool) {
	return "", 0, false
}

// site is a Site of the files, by path.
func site(t *testing.T, c assets.Config, files map[string]string) (s *assets.Site, blobs string) {
	t.Helper()
	blobs = t.TempDir()
	m := assets.Manifest{}
	for path, content := range files {
		hash := assets.Hash([]byte(content), strings.TrimPrefix(filepath.Ext(path), "."))
		if err := os.WriteFile(filepath.Join(blobs, hash), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		m[path] = assets.Entry{Hash: hash, Blob: hash, Size: int64(len(content)), ContentType: "text/html"}
	}
	s, err := assets.New(m, c, folder(blobs))
	if err != nil {
		t.Fatal(err)
	}
	return s, blobs
}

func TestRuntimeAssets(t *testing.T) {
	big := strings.Repeat("0123456789", 1<<17)
	s, _ := site(t, assets.Config{HTMLHandling: "auto-trailing-slash", NotFoundHandling: "404-page", RunWorkerFirst: assets.RunWorkerFirst{Always: true}},
		map[string]string{"/index.html": "<h1>front</h1>", "/404.html": "<h1>gone</h1>", "/about.html": "about", "/big.html": big})
	server := bindings.New(bindings.Options{})
	dir := open(t, server, workers.DoorSpec{Account: "acc", Script: "app", Version: "v1", Site: s})
	w := startWorkerd(t, dir)

	init := func(method string, fields ...string) map[string]any {
		h := map[string]string{}
		for i := 0; i < len(fields); i += 2 {
			h[fields[i]] = fields[i+1]
		}
		return map[string]any{"method": method, "headers": h, "redirect": "manual"}
	}
	tests := []struct {
		path   string
		init   map[string]any
		status int
		body   string
	}{
		{"/", init("GET"), 200, "<h1>front</h1>"},
		{"/about", init("GET"), 200, "about"},
		{"/about.html", init("GET"), 307, ""},
		{"/nothing", init("GET"), 404, "<h1>gone</h1>"},
		{"/big", init("GET"), 200, big},
		{"/big", init("GET", "Range", "bytes=5-9"), 206, "56789"},
		{"/", init("HEAD"), 200, ""},
		{"/", init("POST"), 405, ""},
		{"/", init("DELETE"), 405, ""},
	}
	for _, tt := range tests {
		r := w.do(t, "assets", fetchArgs{URL: "https://any.test" + tt.path, Init: tt.init})
		if r.Status != tt.status || r.Body != tt.body {
			t.Errorf("%v %s: %.300v", tt.init["method"], tt.path, r)
		}
	}
	etag := w.do(t, "assets", fetchArgs{URL: "https://any.test/", Init: init("GET")}).Header["etag"]
	if r := w.do(t, "assets", fetchArgs{URL: "https://any.test/", Init: init("GET", "If-None-Match", etag)}); etag == "" || r.Status != 304 {
		t.Errorf("If-None-Match %s: %+v", etag, r)
	}
}

// TestAssetsUnreadable has blobs vanish and shrink under a Site.
func TestAssetsUnreadable(t *testing.T) {
	s, blobs := site(t, assets.Config{}, map[string]string{"/a.html": strings.Repeat("a", 1<<16), "/b.html": strings.Repeat("b", 1<<16)})
	var log lines
	dir := open(t, bindings.New(bindings.Options{Log: log.logger()}), workers.DoorSpec{Account: "acc", Script: "app", Version: "v1", Site: s})
	entries, err := os.ReadDir(blobs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Join(blobs, e.Name())
		if data, _ := os.ReadFile(name); data[0] == 'a' {
			os.Remove(name)
		} else {
			os.Truncate(name, 100)
		}
	}
	get := func(path string) (int, error) {
		c, err := net.Dial("unix", filepath.Join(dir, bindings.AssetsSocket))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return res.StatusCode, err
	}
	if status, err := get("/a"); status != 500 || err != nil {
		t.Errorf("a blob that is gone: %d %v", status, err)
	}
	if status, err := get("/b"); err == nil {
		t.Errorf("a blob that is cut: %d, and the worker would take it for whole", status)
	}
	if out := log.String(); !strings.Contains(out, "cannot be read") || !strings.Contains(out, "broke off") {
		t.Errorf("log: %s", out)
	}
	if status, _ := get("http://other.test/a"); status != 400 {
		t.Errorf("absolute form: %d", status)
	}
}
