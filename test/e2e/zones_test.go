package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRoutesAndCustomDomains deploys as a user does: one file with routes and a
// custom domain, on a zone of one's own.
func TestRoutesAndCustomDomains(t *testing.T) {
	t.Parallel()
	p := start(t)
	config := func(name, more string) string {
		return fmt.Sprintf(`{"name":%q,"main":"index.js","compatibility_date":"2026-09-01"%s}`, name, more)
	}
	dir := project(t, map[string]string{
		"wrangler.json": config("site", `,"workers_dev":false,"routes":[
			{"pattern":"example.test/api/*","zone_name":"example.test"},
			"*.example.test/only/*",
			{"pattern":"app.example.test","custom_domain":true}]`),
		"index.js": `export default { fetch(r) { return new Response("site " + new URL(r.url).pathname) } }`,
	})
	// Without the zone wrangler finds out by itself, before it asks for the route.
	out, err := p.wrangler(t, dir, "deploy")
	if err == nil || !strings.Contains(out, "Could not find zone for `example.test`") {
		t.Errorf("a route on no zone: %v\n%s", err, out)
	}
	if out, stderr, code := p.cli(t, "zone", "add", "example.test"); code != 0 || !strings.Contains(out, "example.test is a zone") {
		t.Fatalf("zone add: %d %s%s", code, out, stderr)
	}
	out = p.must(t, dir, "deploy")
	for _, want := range []string{"example.test/api/*", "*.example.test/only/*", "app.example.test (custom domain"} {
		if !strings.Contains(out, want) {
			t.Errorf("wrangler does not print %q:\n%s", want, out)
		}
	}
	want := func(host, path, body string) {
		t.Helper()
		a := p.get(t, host, path)
		if body == "" && (a.Status != 404 || a.Header.Get("CF-Ray") == "") || body != "" && a.Body != body {
			t.Errorf("http://%s%s: %d %q, want %q", host, path, a.Status, a.Body, body)
		}
	}
	want("example.test", "/api/x?y", "site /api/x")
	want("www.example.test", "/only/x", "site /only/x")
	want("app.example.test", "/", "site /")
	want("example.test", "/", "")
	want("other.test", "/api/", "")
	want(p.host("site"), "/", "") // workers_dev is off
	if a := p.get(t, "example.test", "/"); !strings.Contains(a.Body, "no_route") {
		t.Errorf("the page for a URL without a route: %q", a.Body)
	}

	// The second deploy goes another way in wrangler: versions, then triggers.
	rewrite(t, dir, "index.js", `export default { fetch(r) { return new Response("second") } }`)
	p.must(t, dir, "deploy")
	want("app.example.test", "/", "second")
	want("example.test", "/api/", "second")

	// Another worker may not take the route, and is deployed all the same.
	thief := project(t, map[string]string{
		"wrangler.json": config("thief", `,"routes":[{"pattern":"example.test/api/*","zone_name":"example.test"}]`),
		"index.js":      hello("thief"),
	})
	if out, err := p.wrangler(t, thief, "deploy"); err == nil || !strings.Contains(out, `"site"`) {
		t.Errorf("a route was taken from another worker: %v\n%s", err, out)
	}
	want("example.test", "/api/", "second")

	// The routes go when the configuration has others.
	rewrite(t, dir, "wrangler.json", config("site", `,"routes":[{"pattern":"example.test/new/*","zone_name":"example.test"}]`))
	p.must(t, dir, "triggers", "deploy")
	want("example.test", "/api/", "")
	want("example.test", "/new/", "second")

	if out, stderr, code := p.cli(t, "zone", "delete", "example.test", "--dry-run"); code != 0 || !strings.Contains(out, "example.test/new/*") || !strings.Contains(out, "app.example.test") {
		t.Errorf("zone delete --dry-run: %d %s%s", code, out, stderr)
	}
	want("example.test", "/new/", "second")
	if _, stderr, code := p.cli(t, "zone", "delete", "example.test"); code != 1 || !strings.Contains(stderr, "nothing was deleted") {
		t.Errorf("zone delete without an answer: %d %s", code, stderr)
	}
	p.kill() // what was acknowledged is on disk
	p.up(t)
	want("example.test", "/new/", "second")
	if _, stderr, code := p.cli(t, "zone", "delete", "example.test", "--yes"); code != 0 {
		t.Errorf("zone delete: %d %s", code, stderr)
	}
	want("example.test", "/new/", "")
	if a := p.get(t, "example.test", "/new/"); !strings.Contains(a.Body, "unknown_host") {
		t.Errorf("after the zone was deleted: %q", a.Body)
	}
}

// TestOwnZoneIsFetchedInside holds that a worker reaches the platform's zones
// without the network, and from a route the custom domain behind it.
func TestOwnZoneIsFetchedInside(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, zone := range []string{"one.test", "two.test"} {
		if _, stderr, code := p.cli(t, "zone", "add", zone); code != 0 {
			t.Fatal(stderr)
		}
	}
	deploy := func(name, routes, source string) {
		t.Helper()
		p.must(t, project(t, map[string]string{
			"wrangler.json": fmt.Sprintf(`{"name":%q,"main":"index.js","compatibility_date":"2026-09-01","workers_dev":false,"routes":[%s]}`, name, routes),
			"index.js":      source,
		}), "deploy")
	}
	deploy("origin", `{"pattern":"app.one.test","custom_domain":true}`, hello("origin"))
	deploy("other", `{"pattern":"two.test/*","zone_name":"two.test"}`, hello("other"))
	deploy("front", `{"pattern":"app.one.test/*","zone_name":"one.test"}`, `export default { async fetch(r) {
		const behind = await fetch(r), two = await fetch("http://two.test/x"), none = await fetch("http://nosuch.one.test/")
		return new Response([await behind.text(), await two.text(), none.status].join(" "))
	} }`)
	if a := p.get(t, "app.one.test", "/"); a.Status != http.StatusOK || a.Body != "origin other 404" {
		t.Errorf("%d %q", a.Status, a.Body)
	}
}

// TestZoneInsideAnother holds that the inner zone alone answers for its hosts, that the
// one who adds it is told what loses hosts, and that all is as before once it is gone.
func TestZoneInsideAnother(t *testing.T) {
	t.Parallel()
	p := start(t)
	if _, stderr, code := p.cli(t, "zone", "add", "outer.test"); code != 0 || strings.Contains(stderr, "warning") {
		t.Fatalf("zone add: %d %s", code, stderr)
	}
	routes := func(name, routes string) string {
		return project(t, map[string]string{
			"wrangler.jsonc": `{"name": "` + name + `", "main": "index.js", "compatibility_date": "2026-09-01", "routes": [` + routes + `]}`,
			"index.js":       hello(name),
		})
	}
	p.must(t, routes("wide", `{"pattern": "*.outer.test/*", "zone_name": "outer.test"}, {"pattern": "outer.test/*", "zone_name": "outer.test"}`), "deploy")
	p.must(t, routes("named", `{"pattern": "sub.outer.test/*", "zone_name": "outer.test"}, {"pattern": "app.sub.outer.test", "custom_domain": true}`), "deploy")
	check := func(want map[string]string) {
		t.Helper()
		for host, body := range want {
			if a := p.get(t, host, "/"); a.Body != body && (body != "" || a.Status != 404) {
				t.Errorf("%s = %d %q, want %q", host, a.Status, a.Body, body)
			}
		}
	}
	before := map[string]string{"outer.test": "wide", "x.outer.test": "wide", "sub.outer.test": "named", "app.sub.outer.test": "wide", "y.sub.outer.test": "wide"}
	check(before)
	_, stderr, code := p.cli(t, "zone", "add", "sub.outer.test")
	if code != 0 || !strings.Contains(stderr, "warning: sub.outer.test lies in the zone outer.test") || !strings.Contains(stderr, "*.outer.test/*, app.sub.outer.test, sub.outer.test/*.") {
		t.Errorf("zone add: %d %s", code, stderr)
	}
	check(map[string]string{"outer.test": "wide", "x.outer.test": "wide", "sub.outer.test": "", "app.sub.outer.test": "", "y.sub.outer.test": ""})
	if out, err := p.wrangler(t, routes("late", `{"pattern": "sub.outer.test/late", "zone_name": "outer.test"}`), "deploy"); err == nil || !strings.Contains(out, "are in the zone sub.outer.test, not in outer.test") {
		t.Errorf("a route of the outer zone on a host of the inner: %v\n%s", err, out)
	}
	p.must(t, routes("inner", `{"pattern": "sub.outer.test/*", "zone_name": "sub.outer.test"}`), "deploy")
	check(map[string]string{"sub.outer.test": "inner", "x.outer.test": "wide"})
	if _, stderr, code := p.cli(t, "zone", "delete", "sub.outer.test", "--yes"); code != 0 {
		t.Fatal(stderr)
	}
	check(before)
}
