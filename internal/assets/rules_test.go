package assets_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/selvage-dev/selvage/internal/assets"
)

func warned(list []assets.Warning) []string {
	var out []string
	for _, w := range list {
		out = append(out, w.String())
	}
	return out
}

func TestParseHeadersWarnings(t *testing.T) {
	t.Parallel()
	long := "X-Long: " + strings.Repeat("é", 2000)
	_, list := assets.ParseHeaders("X-Early: 1\n/a\n  X-A: 1\n  bad name: 1\n  : 1\n  X-B:\n  novalue\n"+long+"\n/empty\n/b/*/c/*\n  X-Skipped: 1\n"+
		"http://x/\nhttps://x:80/\n/splat/*/:splat\n/p/:a/:a\n/ok\n Content-Length: 5\n X-C: a\x00b\n ! X-D\n! bad name\n/last\n", assets.RuleLimits{})
	want := []string{
		"_headers:1: expected a path that begins with a slash before any header",
		"_headers:4: a header name cannot include spaces or special characters",
		"_headers:5: the header has no name",
		"_headers:6: the header has no value",
		"_headers:7: expected a header as name: value, or ! name to remove one",
		"_headers:8: the line is longer than 2000 characters",
		"_headers:9: the rule has no headers",
		"_headers:10: only one wildcard * is allowed in a rule, and none beside a placeholder named :splat; use named placeholders",
		`_headers:12: a URL must begin with "/" or "https://"`,
		"_headers:13: a port in a URL is not supported",
		"_headers:14: only one wildcard * is allowed in a rule, and none beside a placeholder named :splat; use named placeholders",
		"_headers:15: a placeholder is named twice",
		"_headers:17: the header Content-Length frames the message and is set by the platform alone",
		"_headers:18: a header value cannot include control characters",
		"_headers:20: expected a header as name: value, or ! name to remove one",
		"_headers:21: the rule has no headers",
	}
	if diff := cmp.Diff(want, warned(list)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseRedirectsWarnings(t *testing.T) {
	t.Parallel()
	text := "/a\n/a b c d\n/b /c 418\n/d http://x/\nhttps://h/x /y\n/e /f\n/e /g\n/h https://x/ 200\n/* /index.html\n/dir/ /dir/index\n/i https://us@er/\n" +
		"/s/*/* /x\n" + "/w" + strings.Repeat("/:a", 1) + manyNames(40) + " /x\n"
	_, list := assets.ParseRedirects(text, "auto-trailing-slash", assets.RuleLimits{})
	want := []string{
		"_redirects:1: expected 2 or 3 words, source, destination and an optional status, found 1",
		"_redirects:2: expected 2 or 3 words, source, destination and an optional status, found 4",
		"_redirects:3: the status must be 200, 301, 302 (default), 303, 307 or 308, not 418",
		`_redirects:4: the destination must begin with "/" or "https://"`,
		"_redirects:5: the source must be a path; rules for one host are not supported, as on the platform",
		"_redirects:7: there is an earlier rule for /e",
		"_redirects:8: a rule with status 200 can only point to a path of the same site",
		"_redirects:9: the rule would redirect to itself for ever, because .html and /index are stripped from its destination",
		"_redirects:10: the rule would redirect to itself for ever, because .html and /index are stripped from its destination",
		"_redirects:11: the destination's host is not valid",
		"_redirects:12: only one wildcard * is allowed in a rule, and none beside a placeholder named :splat; use named placeholders",
		"_redirects:13: more than 32 wildcards and placeholders in one rule",
	}
	if diff := cmp.Diff(want, warned(list)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "/:p%d", i)
	}
	return b.String()
}

func TestRuleLimits(t *testing.T) {
	t.Parallel()
	var headers, redirects strings.Builder
	for i := range 150 {
		fmt.Fprintf(&headers, "/h%d\n X-A: 1\n", i)
	}
	h, list := assets.ParseHeaders(headers.String(), assets.RuleLimits{})
	if h.Len() != 100 || len(list) != 1 || list[0].Line != 201 {
		t.Errorf("%d header rules, warnings %v", h.Len(), list)
	}
	for i := range 2500 {
		fmt.Fprintf(&redirects, "/s%d /x\n", i)
	}
	for i := range 150 {
		fmt.Fprintf(&redirects, "/d%d/* /x\n", i)
	}
	d, list := assets.ParseRedirects(redirects.String(), "", assets.RuleLimits{})
	if static, dynamic := d.Len(); static != 2000 || dynamic != 100 {
		t.Errorf("%d static and %d dynamic rules", static, dynamic)
	}
	if len(list) != assets.MaxWarnings+1 {
		t.Errorf("%d warnings, want %d and one that says that there are more", len(list), assets.MaxWarnings)
	}
	if _, list = assets.ParseHeaders(strings.Repeat("/a\n X-A: 1\n", 1<<19), assets.RuleLimits{}); len(list) == 0 || !strings.Contains(list[0].Message, "larger than") {
		t.Errorf("a file of 6 MB gives %v", list)
	}
}

// A rule made to be slow must not be.
func TestHostileRulesAreFast(t *testing.T) {
	t.Parallel()
	var rules strings.Builder
	for i := range 100 {
		fmt.Fprintf(&rules, "/%s:z%d*end /x\n", strings.Repeat(":a", 0)+strings.ReplaceAll(manyNames(30), "/", "-"), i)
	}
	s := site(t, assets.Config{Redirects: rules.String(), RunWorkerFirst: assets.RunWorkerFirst{Patterns: []string{"/" + strings.Repeat("*a", 49) + "b"}}}, "/index.html")
	r := request("GET", "/"+strings.Repeat("-a", 4000), nil)
	start := time.Now()
	s.Route(r, true)
	respond(t, s, r)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestLocationsStayOnTheOrigin(t *testing.T) {
	t.Parallel()
	s := site(t, assets.Config{Redirects: "/self/* http://app.example/:splat\n/same/* https://app.example/:splat\n/net/* //app.example/:splat\n/rel/* /:splat\n/up/* /../:splat\n/dot/* /./:splat\n/q/* /t?next=:splat\n"},
		"/index.html", "/evil.com/index.html", "/evil.com.html", `/a.html`)
	for _, splat := range []string{"/evil.com", "//evil.com", `\evil.com`, `\/evil.com`, "%2F/evil.com", "%5Cevil.com", "./%2e%2e//evil.com", "a/..//evil.com", "..//evil.com", "%2e%2e/%2e%2e//evil.com", "%0d%0aX: 1", "\r\nX: 1", "?x", "#/evil.com", "@evil.com", ":80"} {
		for _, prefix := range []string{"", "/", "//", `/\`, "/self/", "/same/", "/net/", "/rel/", "/up/", "/dot/", "/q/", "/evil.com/..//"} {
			for _, suffix := range []string{"", "/", "/..", "/index.html", ".html"} {
				for _, scheme := range []string{"http", "https"} {
					r := request("GET", prefix+splat+suffix, nil)
					r.Scheme = scheme
					res := respond(t, s, r)
					checkLocation(t, r, field(&res, "Location"))
				}
			}
		}
	}
}

func checkLocation(tb testing.TB, r *assets.Request, location string) {
	tb.Helper()
	if location == "" {
		return
	}
	path := location
	for _, own := range []string{"https://app.example/", "http://app.example/"} {
		if rest, ok := strings.CutPrefix(location, own); ok {
			path = "/" + strings.TrimLeft(rest, "/") // With the host named, slashes do no harm.
		}
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' && !strings.Contains(location, "?") }) {
		tb.Errorf("%s %q: Location %q", r.Scheme, r.Path, location)
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []assets.Config{
		{HTMLHandling: "x"},
		{NotFoundHandling: "x"},
		{BasePath: "//evil.com"},
		{BasePath: "https://x"},
		{BasePath: `/a\b`},
		{BasePath: "/a?b"},
		{BasePath: "/a%20b"},
		{BasePath: "/a\nb"},
		{RunWorkerFirst: assets.RunWorkerFirst{Patterns: []string{"x"}}},
		{RunWorkerFirst: assets.RunWorkerFirst{Patterns: []string{"!x"}}},
		{RunWorkerFirst: assets.RunWorkerFirst{Patterns: []string{"!/x"}}},
		{RunWorkerFirst: assets.RunWorkerFirst{Patterns: []string{"/" + strings.Repeat("x", 100)}}},
		{RunWorkerFirst: assets.RunWorkerFirst{Patterns: make([]string, 101)}},
	} {
		_, err := assets.New(nil, c, newDiskFiles(t))
		if _, ok := errorsAs[*assets.ConfigError](err); !ok {
			t.Errorf("%+v: error %v, want a ConfigError", c, err)
		}
	}
	if _, err := assets.New(nil, assets.Config{}, nil); err == nil {
		t.Error("no error without Files")
	}
	s, err := assets.New(nil, assets.Config{Headers: "nonsense", Redirects: "nonsense"}, newDiskFiles(t))
	if err != nil || len(s.Warnings()) != 2 || s.Len() != 0 {
		t.Errorf("bad rules: %v, %v", err, s.Warnings())
	}
}
