package routing_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers/routing"
)

func table(tb testing.TB, patterns ...string) *routing.Table[string] {
	tb.Helper()
	var routes []routing.Route[string]
	for _, text := range patterns {
		p, err := routing.Parse(text)
		if err != nil {
			tb.Fatal(err)
		}
		routes = append(routes, routing.Route[string]{Pattern: p, Value: text})
	}
	return routing.NewTable(routes)
}

func TestFind(t *testing.T) {
	all := table(t,
		"example.com", "example.com/*", "example.com/images/*", "example.com/images*", "example.com/images/logo.png",
		"https://example.com/images/*", "*.example.com/*", "*example.com/both*", "*.deep.example.com/a/*", "a.example.com/a*",
		"http://plain.example.com/*",
	)
	for _, c := range []struct {
		url, want string
	}{
		{"http://example.com/", "example.com"},
		{"http://example.com/?q", "example.com/*"}, // a pattern without "*" matches no query
		{"http://example.com/x", "example.com/*"},
		{"http://example.com/images", "example.com/images*"},
		{"http://example.com/images123", "example.com/images*"},
		{"http://example.com/images/x", "example.com/images/*"},
		{"https://example.com/images/x", "https://example.com/images/*"},
		{"https://example.com/images/logo.png", "example.com/images/logo.png"},
		{"http://example.com/images/logo.png?v=2", "example.com/images/*"},
		{"http://example.com/Images/x", "example.com/*"},
		{"http://www.example.com/images/x", "*.example.com/*"},
		{"http://www.example.com/both/x", "*.example.com/*"}, // the longer host
		{"http://example.com/both", "example.com/*"},         // a whole host comes first
		{"http://x.deep.example.com/a/b", "*.deep.example.com/a/*"},
		{"http://x.deep.example.com/b", "*.example.com/*"},
		{"http://a.example.com/ab", "a.example.com/a*"},
		{"http://a.example.com/b", "*.example.com/*"},
		{"http://plain.example.com/", "http://plain.example.com/*"},
		{"https://plain.example.com/", "*.example.com/*"},
		{"http://other.com/", ""},
		{"http://notexample.com/", ""},
	} {
		scheme, rest, _ := strings.Cut(c.url, "://")
		i := strings.IndexByte(rest, '/')
		got, ok := all.Find(scheme, rest[:i], rest[i:])
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", c.url, got, c.want)
		}
	}
	if _, ok := all.Find("http", "example.com", "*"); ok {
		t.Error("OPTIONS * matches a path")
	}
}

func TestWildcardHosts(t *testing.T) {
	sub, both := table(t, "*.example.com/*"), table(t, "*example.com/*")
	for host, want := range map[string][2]bool{
		"example.com": {false, true}, "www.example.com": {true, true}, "a.b.example.com": {true, true}, "example.org": {false, false},
	} {
		_, a := sub.Find("http", host, "/")
		_, b := both.Find("http", host, "/")
		if a != want[0] || b != want[1] {
			t.Errorf("%s: *. %v, * %v", host, a, b)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{ // "" for what is refused
		"example.com":                    "example.com",
		"example.com/":                   "example.com",
		"Example.COM/Path/":              "example.com/Path/",
		"HTTPS://example.com/*":          "https://example.com/*",
		"*.example.com/*":                "*.example.com/*",
		"*example.com/*":                 "*example.com/*",
		"*-app.example.com/*":            "*-app.example.com/*",
		"xn--bcher-kva.example/*":        "xn--bcher-kva.example/*",
		"my_host.example/*":              "my_host.example/*",
		"":                               "",
		"*":                              "",
		"*.":                             "",
		"/path":                          "",
		"ftp://example.com/*":            "",
		"://example.com/*":               "",
		"example.com*":                   "",
		"exa*mple.com/*":                 "",
		"**.example.com/*":               "",
		"example.com/*.jpg":              "",
		"example.com/**":                 "",
		"example.com/?a=b":               "",
		"example.com/a?*":                "",
		"example.com/#x":                 "",
		"example.com:80/*":               "",
		"user@example.com/*":             "",
		"bücher.example/*":               "",
		"example.com/a b":                "",
		"example.com/\x00":               "",
		"-bad.example.com/*":             "",
		"a..example.com/*":               "",
		".example.com/*":                 "",
		strings.Repeat("a", 64) + ".x/":  "",
		"x/" + strings.Repeat("a", 2048): "",
	} {
		p, err := routing.Parse(text)
		if want == "" {
			if bad, ok := errors.AsType[*routing.PatternError](err); !ok || bad.Reason == "" || len(bad.Pattern) > 300 {
				t.Errorf("%q: %v, %v", text, p.String(), err)
			}
			continue
		}
		if err != nil || p.String() != want {
			t.Errorf("%q: %q, %v", text, p.String(), err)
		}
	}
}

func TestWithin(t *testing.T) {
	for text, want := range map[string]bool{
		"example.com/*": true, "a.b.example.com/": true, "*.example.com/*": true, "*example.com/*": true, "*b.example.com/*": true,
		"example.com.evil.test/*": false, "notexample.com/*": false, "*ample.com/*": false, "*notexample.com/*": false, "com/": false,
	} {
		p, err := routing.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if p.Within("example.com") != want {
			t.Errorf("%s within example.com: %v", text, !want)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	all := table(t, "example.com/*", "*.example.com/a/*", "*example.com/*")
	if n := testing.AllocsPerRun(100, func() { all.Find("https", "www.example.com", "/b") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzPattern holds that a pattern survives its own text, and that a table agrees
// with trying each pattern alone.
func FuzzPattern(f *testing.F) {
	f.Add("example.com/*", "*.example.com/a", "www.example.com", "/a")
	f.Add("https://example.com/a*", "*example.com", "example.com", "/")
	f.Add("*a.b/*", "*.b/*", "xa.b", "/?")
	f.Fuzz(func(t *testing.T, one, two, host, target string) {
		a, errA := routing.Parse(one)
		b, errB := routing.Parse(two)
		if errA != nil || errB != nil {
			return
		}
		for _, p := range []routing.Pattern{a, b} {
			again, err := routing.Parse(p.String())
			if err != nil || again != p {
				t.Fatalf("%q becomes %+v, %v", p.String(), again, err)
			}
		}
		for _, scheme := range []string{"http", "https"} {
			got, ok := routing.NewTable([]routing.Route[string]{{Pattern: a, Value: "a"}, {Pattern: b, Value: "b"}}).Find(scheme, host, target)
			swapped, _ := routing.NewTable([]routing.Route[string]{{Pattern: b, Value: "b"}, {Pattern: a, Value: "a"}}).Find(scheme, host, target)
			matchA, matchB := a.Matches(scheme, host, target), b.Matches(scheme, host, target)
			if ok != (matchA || matchB) || got == "a" && !matchA || got == "b" && !matchB {
				t.Errorf("%q, %q for %s%s: %q", one, two, host, target, got)
			}
			if a != b && got != swapped {
				t.Errorf("%q, %q for %s%s: the order in which they come decides", one, two, host, target)
			}
		}
	})
}
