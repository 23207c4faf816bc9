package assets_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/assets"
)

func FuzzRoutes(f *testing.F) {
	f.Add(`{"version":1,"include":["/*"],"exclude":["/a/*","/b"]}`, "/a/b")
	f.Add(`{"version":1,"include":["/a*b*c","/ü/*"]}`, "/a/%C3%BC")
	f.Add(`{"version":2}`, "/")
	f.Add(`{"version":1,"include":["/`+strings.Repeat("*a", 49)+`"]}`, "/"+strings.Repeat("a", 200))
	f.Fuzz(func(t *testing.T, text, path string) {
		routes, err := assets.ParseRoutes(text)
		if err != nil {
			return
		}
		all, err := assets.ParseRoutes(`{"version":1,"include":["/*"]}`)
		if err != nil {
			t.Fatal(err)
		}
		if routes.Match(path) && strings.HasPrefix(path, "/") && !all.Match(path) {
			t.Errorf("%q matches, but not /*", path)
		}
	})
}

// FuzzPages asks a Pages site for anything, twice: the second answer comes from the cache.
func FuzzPages(f *testing.F) {
	f.Add("/*\n X-A: :splat\n ! Link\n", "/a/* /:splat 200\n/b /b\n", "/a/folder/", "GET", `"a"`, "bytes=0-")
	f.Add("/:a\n Link: </x>; rel=preload\n", "/x /y\n/y /x\n", "//evil.com/index.html", "HEAD", "*", "")
	f.Add("", "", "/%2e%2e/%2Findex.html", "POST", "", "")
	f.Fuzz(func(t *testing.T, headers, redirects, target, method, tags, ranges string) {
		m := assets.Manifest{}
		for _, p := range []string{"/index.html", "/folder/index.html", "/a.html", "/a b.css", "/deep/404.html", "/ü/ü.html", "/evil.com/index.html"} {
			m[p] = assets.Entry{Hash: someHash, ContentType: "text/html"} // Empty contents need no file.
		}
		s, err := assets.NewPages(m, assets.PagesConfig{Headers: headers, Redirects: redirects}, newFuzzFiles(), assets.WithCache(assets.NewCache(0)))
		if err != nil {
			t.Fatal(err)
		}
		s = s.Preview()
		r := request(method, target, map[string]string{"If-None-Match": tags, "Range": ranges})
		if action := s.Route(r, false); action != assets.ServeAny {
			t.Errorf("without a function: %v", action)
		}
		res, err := s.Respond(r)
		if err != nil {
			return // the rules gave too large a header
		}
		checkResponse(t, target, &res)
		if redirects == "" {
			checkLocation(t, r, field(&res, "Location"))
		}
		if again := respond(t, s, r); again.Status != res.Status || fmt.Sprint(again.Header) != fmt.Sprint(res.Header) {
			t.Errorf("%q: first %d %v, then %d %v", target, res.Status, res.Header, again.Status, again.Header)
		}
	})
}
