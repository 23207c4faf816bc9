package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pagesHost is where a project answers; label is "" for its production.
func (p *platform) pagesHost(label, project string) string {
	_, domain, _ := strings.Cut(p.WorkersDomain, ".workers.")
	host := project + ".pages." + domain
	if label != "" {
		host = label + "." + host
	}
	return host
}

var shortID = regexp.MustCompile(`https?://([0-9a-f]{8})\.`)

// deployed is the label of the deployment that "pages deploy" printed.
func deployed(t *testing.T, out string) string {
	t.Helper()
	m := shortID.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no deployment in:\n%s", out)
	}
	return m[1]
}

// TestPagesStatic deploys a folder to production and as a preview.
func TestPagesStatic(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"site/index.html":        "<h1>one</h1>",
		"site/about.html":        "about",
		"site/a b/ü.txt":         "odd",
		"site/assets/app-1.css":  "old{}",
		"site/strange.qqq":       "an extension that nobody knows",
		"site/_headers":          "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n",
		"site/_redirects":        "/old /about 301\n",
		"site/blog/post/x.html":  "post",
		"site/404.html":          "not here",
		"site/blog/.well/d.json": "{}",
	})
	p.must(t, dir, "pages", "project", "create", "web", "--production-branch", "main")
	if out := p.must(t, dir, "pages", "project", "list"); !strings.Contains(out, "web") {
		t.Errorf("project list:\n%s", out)
	}
	first := deployed(t, p.must(t, dir, "pages", "deploy", "site", "--project-name", "web", "--branch", "main", "--commit-dirty"))
	for _, host := range []string{p.pagesHost("", "web"), p.pagesHost(first, "web"), p.pagesHost("main", "web")} {
		a := p.get(t, host, "/")
		if a.Status != 200 || a.Body != "<h1>one</h1>" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s/ = %d %q %v", host, a.Status, a.Body, a.Header)
		}
		if preview := host != p.pagesHost("", "web"); (a.Header.Get("X-Robots-Tag") == "noindex") != preview {
			t.Errorf("%s has X-Robots-Tag %q", host, a.Header.Get("X-Robots-Tag"))
		}
	}
	web := p.pagesHost("", "web")
	for path, want := range map[string]int{"/about": 200, "/about.html": 308, "/old": 301, "/nothing": 404, "/a%20b/%C3%BC.txt": 200, "/strange.qqq": 200} {
		if a := p.get(t, web, path); a.Status != want {
			t.Errorf("%s = %d %q, want %d", path, a.Status, a.Body, want)
		}
	}
	if a := p.get(t, web, "/assets/app-1.css"); !strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("the rule of _headers is not applied: %v", a.Header)
	}

	rewrite(t, dir, "site/index.html", "<h1>two</h1>")
	if err := os.Rename(filepath.Join(dir, "site/assets/app-1.css"), filepath.Join(dir, "site/assets/app-2.css")); err != nil {
		t.Fatal(err)
	}
	preview := deployed(t, p.must(t, dir, "pages", "deploy", "site", "--project-name", "web", "--branch", "Fix/the_API!", "--commit-hash", "abc", "--commit-message", "m"))
	if a := p.get(t, web, "/"); a.Body != "<h1>one</h1>" {
		t.Errorf("a preview is in production: %q", a.Body)
	}
	for _, label := range []string{preview, "fix-the-api"} {
		if a := p.get(t, p.pagesHost(label, "web"), "/"); a.Body != "<h1>two</h1>" || a.Header.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("preview %s = %d %q %v", label, a.Status, a.Body, a.Header)
		}
	}
	second := deployed(t, p.must(t, dir, "pages", "deploy", "site", "--project-name", "web", "--branch", "main", "--skip-caching"))
	if a := p.get(t, web, "/"); a.Body != "<h1>two</h1>" {
		t.Errorf("after the second deployment: %q", a.Body)
	}
	if a := p.get(t, web, "/assets/app-1.css"); a.Status != 200 || a.Body != "old{}" {
		t.Errorf("the stylesheet of an open page is gone: %d %q", a.Status, a.Body)
	}
	if a := p.get(t, p.pagesHost(second, "web"), "/assets/app-1.css"); a.Status != 404 {
		t.Errorf("a deployment's own host has what is not in it: %d", a.Status)
	}
	if a := p.get(t, p.pagesHost(first, "web"), "/"); a.Body != "<h1>one</h1>" {
		t.Errorf("the first deployment has changed: %q", a.Body)
	}
	p.pagesDeployments(t, dir, second)
}

type pagesListed struct {
	ID          string `json:"Id"`
	Environment string `json:"Environment"`
}

func (p *platform) pagesList(t *testing.T, dir, name string) (list []pagesListed) {
	t.Helper()
	out := p.must(t, dir, "pages", "deployment", "list", "--project-name", name, "--json")
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &list); err != nil {
		t.Fatalf("deployment list: %v\n%s", err, out)
	}
	return list
}

// pagesDeployments lists and deletes what TestPagesStatic deployed.
func (p *platform) pagesDeployments(t *testing.T, dir, active string) {
	t.Helper()
	list := p.pagesList(t, dir, "web")
	if len(list) != 3 {
		t.Fatalf("deployment list: %v", list)
	}
	for _, d := range list {
		out, err := p.wrangler(t, dir, "pages", "deployment", "delete", d.ID, "--project-name", "web", "--force")
		if refused := strings.HasPrefix(d.ID, active); refused != (err != nil) {
			t.Errorf("deletion of %s (%s), active %s: %v\n%s", d.ID, d.Environment, active, err, out)
		}
	}
	p.must(t, dir, "pages", "project", "delete", "web", "-y")
	if a := p.get(t, p.pagesHost("", "web"), "/"); a.Status != 404 {
		t.Errorf("a deleted project answers %d", a.Status)
	}
}
