package assets_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/assets"
)

// wranglerCase is a folder with the answers that `wrangler pages dev` gave. See testdata/generate-pages.cjs.
type wranglerCase struct {
	Name   string `json:"name"`
	Worker bool   `json:"worker"`
	Config struct {
		Headers   string `json:"_headers"`
		Redirects string `json:"_redirects"`
		Routes    string `json:"_routes.json"`
	} `json:"config"`
	Files   []string            `json:"files"`
	Results [][]json.RawMessage `json:"results"`
}

// pagesDeparture is where a Pages site answers otherwise than wrangler, on purpose.
func pagesDeparture(e *exchange) (string, bool) {
	switch {
	case e.Status == 502 && e.Target != "/host/a%2fb":
		return "wrangler looks into a real folder and fails where a file is taken for one", true
	case e.Target == "//folder//index.html":
		return "slashes in a row are one in a redirect, too", true
	case e.Target == "/host/a@b" || e.Target == "/host/a%2fb" || e.Target == "/v/1/2" || e.Target == "/net3":
		return "as with the assets of a Worker", true
	}
	return "", false
}

func TestPagesAsWrangler(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/pages.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []wranglerCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 13 {
		t.Fatalf("only %d cases in testdata/pages.json", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s := pagesSite(t, assets.PagesConfig{Headers: c.Config.Headers, Redirects: c.Config.Redirects, Routes: c.Config.Routes}, c.Files...)
			for _, want := range (&platformCase{Results: c.Results}).exchanges(t) {
				normalizeWrangler(&want)
				for round := range 2 { // The second time from the cache.
					name := fmt.Sprintf("%s %s %v (%d)", want.Method, want.Target, want.Request, round)
					got := playPages(t, s, c.Worker, &want)
					diff := cmp.Diff(want, got)
					why, departs := pagesDeparture(&want)
					if departs && diff == "" {
						t.Errorf("%s: no longer departs: %s", name, why)
					}
					if !departs && diff != "" {
						t.Errorf("%s: (-wrangler +site)\n%s", name, diff)
					}
				}
			}
		})
	}
}

// normalizeWrangler takes out what only wrangler's development server says.
func normalizeWrangler(e *exchange) {
	delete(e.Header, "x-server-env")
	if e.Header["content-type"] == "text/plain;charset=UTF-8" && e.Body != "worker" {
		e.Header["content-type"] = "text/plain; charset=utf-8"
	}
}

func pagesSite(tb testing.TB, c assets.PagesConfig, names ...string) *assets.Site {
	tb.Helper()
	files := newDiskFiles(tb)
	m := assets.Manifest{}
	for _, name := range names {
		e := files.entry(tb, name, []byte(name))
		e.ContentType = uploadedType(name)
		m[name] = e
	}
	s, err := assets.NewPages(m, c, files, assets.WithCache(assets.NewCache(0)))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// uploadedType is the type that wrangler names when it uploads a file.
func uploadedType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html":
		return "text/html"
	case ".txt":
		return "text/plain"
	case ".js":
		return "application/javascript"
	case ".svg":
		return "image/svg+xml"
	case ".xml":
		return "application/xml"
	case ".wasm":
		return "application/wasm"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return "application/octet-stream"
}

// playPages asks a site as the edge does.
func playPages(t *testing.T, s *assets.Site, worker bool, e *exchange) exchange {
	t.Helper()
	r := request(e.Method, e.Target, e.Request)
	got := exchange{Method: e.Method, Target: e.Target, Request: e.Request, Header: map[string]string{}}
	switch action := s.Route(r, worker); action {
	case assets.RunWorker:
		got.Status, got.Body = 200, "worker"
		got.Header["content-type"] = "text/plain;charset=UTF-8"
		return got
	case assets.ServeAny:
	case assets.Serve, assets.NotFound:
		t.Errorf("%s %s: %v", e.Method, e.Target, action)
	}
	res := respond(t, s, r)
	got.Status, got.Location, got.Body = res.Status, field(&res, "Location"), string(read(t, &res))
	for _, f := range res.Header {
		switch f.Name {
		case "Location", "Accept-Ranges", "Allow", "Vary":
		case "Etag":
			got.Header["etag"] = "tag"
		default:
			got.Header[strings.ToLower(f.Name)] = field(&res, f.Name)
		}
	}
	return got
}
