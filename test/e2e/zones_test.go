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
