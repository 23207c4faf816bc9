package e2e

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// TestPagesLife takes a project through all that becomes of deployments: what wrangler says of them, and what only the
// API can do.
func TestPagesLife(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{"site/index.html": "one", "functions/v.js": `export const onRequest = ({ env }) => new Response("v " + (env.V ?? "none"))`})
	if out := p.must(t, dir, "pages", "project", "create", "life", "--production-branch", "trunk"); !strings.Contains(out, p.pagesHost("", "life")) {
		t.Errorf("project create:\n%s", out)
	}
	if out, err := p.wrangler(t, dir, "pages", "project", "create", "life", "--production-branch", "trunk"); err == nil || !strings.Contains(out, "already") {
		t.Errorf("the same project again: %v\n%s", err, out)
	}
	out := p.must(t, dir, "pages", "deploy", "site", "--project-name", "life", "--branch", "trunk", "--commit-hash", "0123456789abcdef0123456789abcdef01234567", "--commit-message", "the first one", "--commit-dirty")
	if !strings.Contains(out, "http://"+deployed(t, out)+"."+p.pagesHost("", "life")) {
		t.Errorf("pages deploy does not say where the site is:\n%s", out)
	}
	deployment := func(id string) (d client.PagesDeployment) {
		t.Helper()
		a := p.api(t, http.MethodGet, "/pages/projects/life/deployments/"+id, nil)
		var r struct {
			Result client.PagesDeployment `json:"result"`
		}
		if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 {
			t.Fatalf("deployment %s: %d %s", id, a.Status, a.Body)
		}
		return r.Result
	}
	first := p.pagesList(t, dir, "life")[0].ID
	if m := deployment(first).Trigger.Metadata; m.Branch != "trunk" || m.Hash != "0123456789abcdef0123456789abcdef01234567" || m.Message != "the first one" || !m.Dirty {
		t.Errorf("the commit is %+v", m)
	}
	rewrite(t, dir, "site/index.html", "two")
	p.must(t, dir, "pages", "deploy", "site", "--project-name", "life", "--branch", "trunk")
	if list := p.must(t, dir, "pages", "deployment", "list", "--project-name", "life", "--environment", "production"); strings.Count(list, "trunk") != 2 || !strings.Contains(list, "0123456") {
		t.Errorf("deployment list:\n%s", list)
	}
	home := func(label, want string) {
		t.Helper()
		if a := p.get(t, p.pagesHost(label, "life"), "/"); a.Body != want {
			t.Errorf("%q answers %d %q, want %q", label, a.Status, a.Body, want)
		}
	}
	act := func(id, what string) answer {
		t.Helper()
		return p.api(t, http.MethodPost, "/pages/projects/life/deployments/"+id+"/"+what, map[string]any{})
	}
	if a := act(first, "rollback"); a.Status != 200 {
		t.Errorf("rollback: %d %s", a.Status, a.Body)
	}
	home("", "one")

	// Names of branches, of which two may have one label: who was deployed last has it.
	for branch, label := range map[string]string{"Feature/Ünï_x": "feature--n--x", "-lead--trail-": "lead--trail", "a-branch-whose-name-has-more-than-28-bytes": "a-branch-whose-name-has-more"} {
		rewrite(t, dir, "site/index.html", branch)
		p.must(t, dir, "pages", "deploy", "site", "--project-name", "life", "--branch="+branch)
		home(label, branch)
	}
	rewrite(t, dir, "site/index.html", "other")
	out = p.must(t, dir, "pages", "deploy", "site", "--project-name", "life", "--branch", "FEATURE/Ünï+x", "--skip-caching")
	home("feature--n--x", "other")
	preview := p.pagesList(t, dir, "life")[0]
	if preview.Environment != "Preview" || !strings.HasPrefix(preview.ID, deployed(t, out)) {
		t.Errorf("the newest is %+v\n%s", preview, out)
	}
	if a := act(preview.ID, "rollback"); a.Status < 400 || a.Status >= 500 {
		t.Errorf("rollback to a preview: %d %s", a.Status, a.Body)
	}
	home("", "one")

	// The settings have changed: the same files and code, once more.
	p.patchProject(t, "life", `{"deployment_configs":{"production":{"env_vars":{"V":{"type":"plain_text","value":"new"}}}}}`)
	a := act(first, "retry")
	var again struct {
		Result client.PagesDeployment `json:"result"`
	}
	if err := json.Unmarshal([]byte(a.Body), &again); err != nil || a.Status != 200 || again.Result.ID == first || again.Result.Trigger.Metadata.Message != "the first one" {
		t.Fatalf("retry: %d %s", a.Status, a.Body)
	}
	home("", "one")
	if a := p.get(t, p.pagesHost("", "life"), "/v"); a.Body != "v new" {
		t.Errorf("after the retry: %q", a.Body)
	}
	if a := p.get(t, p.pagesHost(first[:8], "life"), "/v"); a.Body != "v none" {
		t.Errorf("the first deployment has changed: %q", a.Body)
	}

	// Deletion: what serves is refused, the latest of a branch needs force.
	if out, err := p.wrangler(t, dir, "pages", "deployment", "delete", again.Result.ID, "--project-name", "life", "--force"); err == nil {
		t.Errorf("deletion of what serves:\n%s", out)
	}
	if a := p.api(t, http.MethodDelete, "/pages/projects/life/deployments/"+preview.ID, nil); a.Status != 409 && a.Status != 400 {
		t.Errorf("deletion of the latest of a branch, without force: %d %s", a.Status, a.Body)
	}
	p.must(t, dir, "pages", "deployment", "delete", preview.ID, "--project-name", "life", "--force")
	if a := p.get(t, p.pagesHost(preview.ID[:8], "life"), "/"); a.Status != 404 {
		t.Errorf("a deleted deployment answers %d", a.Status)
	}
	home("feature--n--x", "Feature/Ünï_x") // the one before has its label again
	if out := p.must(t, dir, "pages", "project", "list"); !strings.Contains(out, "life") {
		t.Errorf("project list:\n%s", out)
	}
	p.must(t, dir, "pages", "project", "delete", "life", "--yes")
	if out := p.must(t, dir, "pages", "project", "list"); strings.Contains(out, "life") {
		t.Errorf("a deleted project is listed:\n%s", out)
	}
}

// TestPagesAddresses prints addresses where there is HTTPS.
func TestPagesAddresses(t *testing.T) {
	t.Parallel()
	p := start(t, "--tls-mode", "local", "--tls-port", "0")
	dir := project(t, map[string]string{"site/index.html": "secure"})
	address := p.pagesHost("", "addr") + ":" + tlsPort(t, p)
	if out := p.must(t, dir, "pages", "project", "create", "addr", "--production-branch", "main"); !strings.Contains(out, "https://"+address) {
		t.Errorf("project create lacks https://%s:\n%s", address, out)
	}
	out := p.must(t, dir, "pages", "deploy", "site", "--project-name", "addr", "--branch", "main")
	url := "https://" + deployed(t, out) + "." + address
	if !strings.Contains(out, url) {
		t.Errorf("pages deploy lacks %s:\n%s", url, out)
	}
	if stdout, _, _ := p.ours(t, dir, "", "pages", "open", "addr"); stdout != "https://"+address+"\n" {
		t.Errorf("pages open: %q", stdout)
	}
	if stdout, _, _ := p.ours(t, dir, "", "pages", "list"); !strings.Contains(stdout, "https://"+address) {
		t.Errorf("pages list: %q", stdout)
	}
	if stdout, stderr, _ := p.ours(t, dir, "", "pages", "deploy", "site", "--project", "addr", "--branch", "side"); strings.Count(stdout, "https://") != 2 {
		t.Errorf("pages deploy: %s%s", stdout, stderr)
	}
	root, _, _ := p.cli(t, "trust", "--print")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(root))
	if a, err := p.secureGet(t, roots, "HTTP/2.0", url+"/"); err != nil || a.Body != "secure" {
		t.Errorf("%s: %v %+v", url, err, a)
	}
}

// TestPagesTailCLI watches Functions without Node.js.
func TestPagesTailCLI(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{"site/index.html": "x", "plain/index.html": "x", "functions/say.js": `export const onRequest = () => { console.log("said by the function"); return new Response("ok") }`})
	for _, args := range [][]string{{"pages", "create", "talk"}, {"pages", "deploy", "site", "--project", "talk"}, {"pages", "create", "mute"}, {"pages", "deploy", "plain", "--project", "mute", "--functions", "none"}} {
		if _, stderr, code := p.ours(t, dir, "", args...); code != 0 {
			t.Fatalf("%q: %s", args, stderr)
		}
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "tail", "mute"); code != 1 || !strings.Contains(stderr, "has no Functions") {
		t.Errorf("a site without Functions: %d %s", code, stderr)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "tail", "nobody"); code != 1 || !strings.Contains(stderr, "there is no such project") {
		t.Errorf("no such project: %d %s", code, stderr)
	}
	f := p.background(t, dir, nil, binary(t), "pages", "tail", "talk", "--json", "--data", p.data)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		p.get(t, p.pagesHost("", "talk"), "/say")
		if out := f.stdout.String(); strings.Contains(out, "said by the function") && strings.Contains(out, "/say") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the tail shows nothing\n%s\n%s", f.stdout, f.stderr)
		}
	}
}

// TestPagesDryRun shows a deployment that is not made.
func TestPagesDryRun(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.json":   `{"name":"dry","pages_build_output_dir":"site","compatibility_date":"2026-01-01","vars":{"V":"x"}}`,
		"site/index.html": "x", "site/a.css": "a{}", "functions/f.js": `export const onRequest = () => new Response("f")`,
	})
	dry := func(args ...string) (plan struct {
		Environment string   `json:"environment"`
		Files       int      `json:"files"`
		NewFiles    int      `json:"new_files"`
		Modules     []string `json:"modules"`
		Bindings    []string `json:"bindings"`
	},
	) {
		t.Helper()
		stdout, stderr, code := p.ours(t, dir, "", append([]string{"pages", "deploy", "--dry-run", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(stdout), &plan); err != nil || code != 0 {
			t.Fatalf("%v %d %s%s", err, code, stdout, stderr)
		}
		return plan
	}
	if got := dry("--create"); got.Environment != "production" || got.Files != 2 || got.NewFiles != 2 || len(got.Modules) != 1 || len(got.Bindings) != 1 {
		t.Errorf("the plan is %+v", got)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "open", "dry"); code != 1 {
		t.Errorf("a dry run has made the project: %d %s", code, stderr)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", "--create"); code != 0 {
		t.Fatal(stderr)
	}
	rewrite(t, dir, "site/a.css", "b{}")
	if got := dry("--branch", "side"); got.Environment != "preview" || got.NewFiles != 1 {
		t.Errorf("the plan is %+v", got)
	}
	stdout, _, _ := p.ours(t, dir, "", "pages", "deploy", "--dry-run", "--outdir", "built")
	wantAll(t, stdout, "would deploy 2 files (1 new) to production of dry, branch main", "Functions: 1 modules", "bindings of the wrangler file: V", "nothing was uploaded")
	if stdout, _, _ := p.ours(t, dir, "", "pages", "deployments", "dry"); strings.Count(stdout, "production") != 1 || strings.Contains(stdout, "side") {
		t.Errorf("a dry run has deployed:\n%s", stdout)
	}
}
