package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestPagesHostOwners gives a host to a site that a worker has, and the other way round.
func TestPagesHostOwners(t *testing.T) {
	t.Parallel()
	p := start(t)
	if _, stderr, code := p.cli(t, "zone", "add", "example.test"); code != 0 {
		t.Fatal(stderr)
	}
	dir := project(t, map[string]string{
		"w.js": `export default { fetch: () => new Response("worker") }`, "site/index.html": "site",
		"ok.json":     `{"name":"shop","main":"w.js","compatibility_date":"2026-01-01","routes":[{"pattern":"shop.example.test","custom_domain":true},{"pattern":"routed.example.test/api/*","zone_name":"example.test"},{"pattern":"*.example.test/wild/*","zone_name":"example.test"}]}`,
		"domain.json": `{"name":"late","main":"w.js","compatibility_date":"2026-01-01","routes":[{"pattern":"www.example.test","custom_domain":true}]}`,
		"branch.json": `{"name":"late","main":"w.js","compatibility_date":"2026-01-01","routes":[{"pattern":"next.preview.example.test","custom_domain":true}]}`,
		"route.json":  `{"name":"late","main":"w.js","compatibility_date":"2026-01-01","routes":[{"pattern":"www.example.test/api/*","zone_name":"example.test"}]}`,
	})
	p.must(t, dir, "deploy", "-c", "ok.json")
	p.must(t, dir, "pages", "project", "create", "docs", "--production-branch", "main")
	p.must(t, dir, "pages", "deploy", "site", "--project-name", "docs", "--branch", "main")

	for _, host := range []string{"shop.example.test", "routed.example.test", "*.example.test"} {
		_, stderr, code := p.cli(t, "domain", "add", host, "--project", "docs")
		if code != 1 || !strings.Contains(stderr, "The Worker shop answers at "+host) {
			t.Errorf("domain add %s: %d %s", host, code, stderr)
		}
	}
	for _, host := range []string{"www.example.test", "*.preview.example.test"} {
		if _, stderr, code := p.cli(t, "domain", "add", host, "--project", "docs"); code != 0 {
			t.Fatalf("domain add %s: %s", host, stderr)
		}
	}
	for file, host := range map[string]string{"domain.json": "www.example.test", "branch.json": "next.preview.example.test", "route.json": "www.example.test"} {
		if out, err := p.wrangler(t, dir, "deploy", "-c", file); err == nil || !strings.Contains(out, "The Pages project docs answers at "+host) {
			t.Errorf("deploy with %s: %v\n%s", file, err, out)
		}
	}
	p.must(t, dir, "pages", "project", "create", "other", "--production-branch", "main")
	if _, stderr, code := p.cli(t, "domain", "add", "www.example.test", "--project", "other"); code != 1 || !strings.Contains(stderr, "is that of the project docs") {
		t.Errorf("another project: %d %s", code, stderr)
	}
	for host, want := range map[string]string{"www.example.test": "site", "shop.example.test": "worker"} {
		if a := p.get(t, host, "/"); a.Body != want {
			t.Errorf("%s answers %d %q", host, a.Status, a.Body)
		}
	}
	// Once the site is without it, the worker may have it.
	if a := p.api(t, http.MethodDelete, "/pages/projects/docs/domains/www.example.test", nil); a.Status != 200 {
		t.Fatalf("remove the domain: %d %s", a.Status, a.Body)
	}
	p.must(t, dir, "deploy", "-c", "domain.json")
	if a := p.get(t, "www.example.test", "/"); a.Body != "worker" {
		t.Errorf("after the change: %d %q", a.Status, a.Body)
	}
}
