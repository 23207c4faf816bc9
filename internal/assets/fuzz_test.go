package assets_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/assets"
)

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"/a":{"hash":"56638d01375d9d28c49e281774cfd32f","size":1,"blob":"b","content_type":"text/css"}}`))
	f.Add([]byte(`{"/a/../b":{}}`))
	f.Add([]byte(`[{"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := assets.DecodeManifest(bytes.NewReader(data), assets.Limits{Files: 10})
		if err != nil {
			return
		}
		if len(m) > 10 {
			t.Errorf("%d files", len(m))
		}
		if err := m.Validate(assets.Limits{}); err != nil {
			t.Error(err)
		}
		for p := range m {
			if strings.Contains(p, "/../") || strings.ContainsAny(p, "\x00\\") || p[0] != '/' {
				t.Errorf("path %q", p)
			}
		}
		if _, err := m.Encode(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("/*\n X-A: :splat\n! Etag\nhttps://:h.example/*\n Set-Cookie: a", "/a")
	f.Add("/a/:b/c*\n X-:b: 1\n", "/a/b/c")
	f.Fuzz(func(t *testing.T, rules, path string) {
		s := fuzzSite(t, assets.Config{Headers: rules})
		res, err := s.Respond(request("GET", path, nil))
		if err == nil {
			checkResponse(t, path, &res)
		}
	})
}

func FuzzRedirects(f *testing.F) {
	f.Add("/a/* /:splat 301\n/b/:c https://:c.example/\n/x /index 200\n", "/a//evil.com")
	f.Add("/* //x/:splat\n", "/..//\\x")
	f.Fuzz(func(t *testing.T, rules, path string) {
		s := fuzzSite(t, assets.Config{Redirects: rules})
		res, err := s.Respond(request("GET", path, nil))
		if err == nil {
			checkResponse(t, path, &res)
		}
	})
}

func FuzzRespond(f *testing.F) {
	for _, p := range []string{"/", "/index.html", "//evil.com", `/\evil.com`, "/%2F%2e%2e/a", "/a?b=c", "/docs/folder", "/folder/%2e%2e//a", "/%ff", "*", ""} {
		f.Add(p, "GET", "bytes=0-1", `"a"`, "br")
	}
	f.Fuzz(func(t *testing.T, target, method, ranges, tags, accept string) {
		header := map[string]string{"Range": ranges, "If-None-Match": tags, "If-Match": tags, "If-Range": tags, "Accept-Encoding": accept}
		for _, html := range []string{"auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"} {
			for _, base := range []string{"/", "/docs"} {
				s := fuzzSite(t, assets.Config{HTMLHandling: html, NotFoundHandling: "404-page", BasePath: base, RunWorkerFirst: assets.RunWorkerFirst{Patterns: []string{"/a*b", "!/c*"}}})
				r := request(method, target, header)
				s.Route(r, true)
				res, err := s.Respond(r)
				if err != nil {
					t.Fatal(err)
				}
				checkResponse(t, target, &res)
				checkLocation(t, r, field(&res, "Location"))
				if again := respond(t, s, r); again.Status != res.Status || fmt.Sprint(again.Header) != fmt.Sprint(res.Header) {
					t.Errorf("%q: first %d %v, then %d %v", target, res.Status, res.Header, again.Status, again.Header)
				}
			}
		}
	})
}

func fuzzSite(t *testing.T, c assets.Config) *assets.Site {
	t.Helper()
	hash := someHash
	m := assets.Manifest{}
	for _, p := range []string{"/index.html", "/folder/index.html", "/a.html", "/a b.css", "/404.html", "/ü/ü.html", "/evil.com.html", "/evil.com/index.html"} {
		m[p] = assets.Entry{Hash: hash} // Empty contents need no file.
	}
	s, err := assets.New(m, c, newFuzzFiles(), assets.WithCache(assets.NewCache(0)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newFuzzFiles() *diskFiles {
	return &diskFiles{variants: map[string]string{}, sizes: map[string]int64{}}
}

func checkResponse(t *testing.T, path string, res *assets.Response) {
	t.Helper()
	if res.Status < 200 || res.Status > 499 {
		t.Errorf("%q: status %d", path, res.Status)
	}
	for _, f := range res.Header {
		if strings.ContainsAny(f.Name+f.Value, "\r\n\x00") || f.Name == "" || strings.ContainsAny(f.Name, ": ") {
			t.Errorf("%q: field %q", path, f)
		}
		if f.Name == "Location" && strings.ContainsAny(f.Value, " \\\t") && !strings.Contains(f.Value, "?") && !strings.Contains(f.Value, "#") {
			t.Errorf("%q: Location %q", path, f.Value)
		}
	}
}
