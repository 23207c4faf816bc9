package assets_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/assets"
)

func TestParseRoutesRefuses(t *testing.T) {
	t.Parallel()
	many := `"/a"` + strings.Repeat(`,"/a"`, 100)
	for _, c := range []struct{ text, want string }{
		{``, "_routes.json: must be a JSON object with version, include and exclude: EOF"},
		{`[]`, "_routes.json: must be a JSON object with version, include and exclude: json: cannot unmarshal array into Go value of type struct { Version *int \"json:\\\"version\\\"\"; Include []string \"json:\\\"include\\\"\"; Exclude []string \"json:\\\"exclude\\\"\" }"},
		{`{"include":["/*"]}`, "_routes.json: version must be 1"},
		{`{"version":2,"include":["/*"]}`, "_routes.json: version must be 1"},
		{`{"version":1,"include":[]}`, "_routes.json: include must have at least one rule"},
		{`{"version":1,"include":["/*"]} {}`, "_routes.json: must be one JSON object and nothing after it"},
		{`{"version":1,"include":["api/*"]}`, `_routes.json: rule "api/*": must start with "/"`},
		{`{"version":1,"include":["/*"],"exclude":["/` + strings.Repeat("é", 100) + `"]}`, `_routes.json: rule "/` + strings.Repeat("é", 99) + `…": must not be longer than 100 characters`},
		{`{"version":1,"include":[` + many + `]}`, "_routes.json: include and exclude have 101 rules together, more than 100"},
	} {
		_, err := assets.ParseRoutes(c.text)
		if _, ok := errors.AsType[*assets.RoutesError](err); !ok {
			t.Errorf("%s: %v is no *RoutesError", c.text, err)
			continue
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.text, diff)
		}
	}
	if _, err := assets.NewPages(assets.Manifest{}, assets.PagesConfig{Routes: "{"}, newFuzzFiles()); err == nil {
		t.Error("a site with a broken _routes.json was built")
	}
}

func TestPreviewsAreNotListed(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/nope", "/index.html"} {
		s := pagesSite(t, assets.PagesConfig{}, "/index.html", "/404.html").Preview()
		if res := respond(t, s, request("GET", target, nil)); field(&res, "X-Robots-Tag") != "noindex" {
			t.Errorf("%s of a preview may be listed: %v", target, res.Header)
		}
		s = pagesSite(t, assets.PagesConfig{}, "/index.html", "/404.html")
		if res := respond(t, s, request("GET", target, nil)); field(&res, "X-Robots-Tag") != "" {
			t.Errorf("%s of a production site must not be listed: %v", target, res.Header)
		}
	}
}

// Conditional requests and ranges, which wrangler's development server knows nothing of, are those of RFC 9110.
func TestPagesConditionsAndRanges(t *testing.T) {
	t.Parallel()
	s := pagesSite(t, assets.PagesConfig{}, "/index.html", "/404.html", "/a.txt")
	tag := field(new(respond(t, s, request("GET", "/a.txt", nil))), "Etag")
	missing := respond(t, s, request("GET", "/nope", nil))
	if field(&missing, "Etag") != "" || missing.Status != 404 {
		t.Errorf("a page that is not there has a tag: %v", missing.Header)
	}
	for _, c := range []struct {
		name, target string
		header       map[string]string
		status       int
		body         string
	}{
		{"the same", "/a.txt", map[string]string{"If-None-Match": tag}, 304, ""},
		{"the same, weakly", "/a.txt", map[string]string{"If-None-Match": `"x", W/` + tag}, 304, ""},
		{"another", "/a.txt", map[string]string{"If-None-Match": `"x"`}, 200, "/a.txt"},
		{"any, but there is none", "/nope", map[string]string{"If-None-Match": "*"}, 404, "/404.html"},
		{"a range", "/a.txt", map[string]string{"Range": "bytes=1-2"}, 206, "a."},
		{"the end", "/a.txt", map[string]string{"Range": "bytes=-3"}, 206, "txt"},
		{"beyond", "/a.txt", map[string]string{"Range": "bytes=99-"}, 416, ""},
		{"a range if the same", "/a.txt", map[string]string{"Range": "bytes=0-0", "If-Range": tag}, 206, "/"},
		{"a range of another", "/a.txt", map[string]string{"Range": "bytes=0-0", "If-Range": `"x"`}, 200, "/a.txt"},
		{"a range of what is not there", "/nope", map[string]string{"Range": "bytes=0-0"}, 404, "/404.html"},
	} {
		res := respond(t, s, request("GET", c.target, c.header))
		if body := string(read(t, &res)); res.Status != c.status || body != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.name, res.Status, body, c.status, c.body)
		}
	}
}

func TestEarlyHints(t *testing.T) {
	t.Parallel()
	const page = `<!doctype html><html><head>
<link rel="preload" href="/app.css" as="style"><LINK rel=preconnect href=https://cdn.example/>
<link rel="modulepreload" href="/app.js">
<link rel="preload" href="/font.woff2" as="font" crossorigin>
<link rel="stylesheet" href="/app.css"><link rel=preload href="/a b"><link rel=preload href="/ü">
</head><body><link rel=preload href="/late.css" as=style></body>`
	auto := []string{"</app.css>; rel=preload; as=style", "<https://cdn.example/>; rel=preconnect", "</app.js>; rel=modulepreload"}
	for _, c := range []struct {
		name, headers, target string
		link                  string
		hints                 []string
	}{
		{"found in the page", "", "/", strings.Join(auto, ", "), auto},
		{"taken off", "/*\n ! Link\n", "/", "", nil},
		{
			"set by a rule", "/*\n Link: </x.css>; rel=preload; as=style, </next>; rel=next, <https://f.example>; rel=\"preconnect\"\n", "/",
			`</x.css>; rel=preload; as=style, </next>; rel=next, <https://f.example>; rel="preconnect"`,
			[]string{"</x.css>; rel=preload; as=style", `<https://f.example>; rel="preconnect"`},
		},
		{"not for what is no page", "", "/page.txt", "", nil},
		{"not where it is not there", "", "/nope", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			files := newDiskFiles(t)
			m := assets.Manifest{}
			for name, typ := range map[string]string{"/index.html": "text/html", "/404.html": "text/html; charset=utf-8", "/page.txt": "text/plain"} {
				e := files.entry(t, name, []byte(page))
				e.ContentType = typ
				m[name] = e
			}
			s, err := assets.NewPages(m, assets.PagesConfig{Headers: c.headers}, files, assets.WithCache(assets.NewCache(0)))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				res := respond(t, s, request("HEAD", c.target, nil))
				if got := field(&res, "Link"); got != c.link {
					t.Errorf("Link: %s\nwant %s", got, c.link)
				}
				if !slices.Equal(res.Hints, c.hints) {
					t.Errorf("hints %q, want %q", res.Hints, c.hints)
				}
			}
			if _, opened := files.counts(); opened > 2 {
				t.Errorf("the page was opened %d times, more than once for its links and once for itself", opened)
			}
		})
	}
}

// 2,101 rules, and as many as the limit is raised to.
func TestRuleLimitsAreRaised(t *testing.T) {
	t.Parallel()
	var rules strings.Builder
	for i := range 2001 {
		fmt.Fprintf(&rules, "/s%d /t%d\n", i, i)
	}
	for i := range 101 {
		fmt.Fprintf(&rules, "/d%d/* /t%d/:splat\n", i, i)
	}
	s := pagesSite(t, assets.PagesConfig{Redirects: rules.String()}, "/index.html")
	got := warned(s.Warnings())
	want := []string{
		"_redirects:2001: there are more than 2000 static rules; this one is ignored",
		"_redirects:2102: there are more than 100 dynamic rules; the rest of the file is ignored",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for target, location := range map[string]string{"/s1999": "/t1999", "/s2000": "", "/d99/x": "/t99/x", "/d100/x": ""} {
		if res := respond(t, s, request("GET", target, nil)); field(&res, "Location") != location {
			t.Errorf("%s goes to %q, want %q", target, field(&res, "Location"), location)
		}
	}
	raised, err := assets.NewPages(assets.Manifest{}, assets.PagesConfig{Redirects: rules.String()}, newFuzzFiles(), assets.WithRuleLimits(assets.RuleLimits{StaticRedirects: 3000, DynamicRedirects: 200}))
	if err != nil {
		t.Fatal(err)
	}
	if list := raised.Warnings(); len(list) != 0 {
		t.Errorf("with the limits raised: %v", list)
	}
	if res := respond(t, raised, request("GET", "/d100/x", nil)); field(&res, "Location") != "/t100/x" {
		t.Errorf("with the limits raised /d100/x goes to %q", field(&res, "Location"))
	}
}

// BenchmarkPagesRules answers a path that no file has, which goes through all rules, and one that a file has.
func BenchmarkPagesRules(b *testing.B) {
	for _, n := range []struct{ static, dynamic int }{{0, 0}, {2000, 100}, {2000, 8000}} {
		var rules strings.Builder
		for i := range n.static {
			fmt.Fprintf(&rules, "/old/page-%d /new/page-%d 301\n", i, i)
		}
		for i := range n.dynamic {
			fmt.Fprintf(&rules, "/section-%d/:slug/* /news-%d/:slug/:splat 302\n", i, i)
		}
		files := newDiskFiles(b)
		m := assets.Manifest{"/index.html": files.entry(b, "/index.html", text(1000))}
		s, err := assets.NewPages(m, assets.PagesConfig{Redirects: rules.String()}, files, assets.WithCache(assets.NewCache(0)), assets.WithRuleLimits(assets.RuleLimits{DynamicRedirects: 10_000}))
		if err != nil {
			b.Fatal(err)
		}
		for name, target := range map[string]string{"missing": "/section/page/that/is/not/there", "file": "/"} {
			b.Run(fmt.Sprintf("%d/%s", n.static+n.dynamic, name), func(b *testing.B) {
				r := request("GET", target, nil)
				for b.Loop() {
					if _, err := s.Respond(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestGuardedFiles gives a file that code may be in front of at one spelling of its path.
func TestGuardedFiles(t *testing.T) {
	t.Parallel()
	files := []string{"/index.html", "/404.html", "/secret/file.txt", "/secret/index.html", "/a b+c@.txt", "/100%.txt"}
	guarded, open := pagesSite(t, assets.PagesConfig{Guarded: true}, files...), pagesSite(t, assets.PagesConfig{}, files...)
	for path, want := range map[string]string{
		"/secret/file.txt": "", "/a%20b+c@.txt": "", "/a%20b%2Bc%40.txt": "", "/100%25.txt": "", "/secret/": "",
		"//secret/file.txt": "/secret/file.txt", "/secret//file.txt": "/secret/file.txt", "/%73ecret/file.txt": "/secret/file.txt", "/secret%2Ffile.txt": "/secret/file.txt",
		"/secret%2ffile%2Etxt": "/secret/file.txt", "/x/%2e%2e/secret/file.txt": "/secret/file.txt", "/secret/./file.txt": "/secret/file.txt", `/secret\file.txt`: "/secret/file.txt",
		"//secret/": "/secret/", "//a%20b+c@.txt": "/a%20b+c@.txt", "//100%25.txt": "/100%25.txt",
	} {
		status, location := 308, want
		if want == "" {
			status = 200
		}
		res := respond(t, guarded, request("GET", path, nil))
		if got := field(&res, "Location"); res.Status != status || got != location {
			t.Errorf("%s: %d %q, want %d %q", path, res.Status, got, status, location)
		}
		if want != "" {
			if res := respond(t, guarded, request("GET", want, nil)); res.Status != 200 {
				t.Errorf("%s leads to %s, which is %d", path, want, res.Status)
			}
		}
		if res := respond(t, open, request("GET", path, nil)); res.Status != 200 {
			t.Errorf("%s on a site without code: %d", path, res.Status)
		}
	}
}
