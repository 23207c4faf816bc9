package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/client"
)

const tellSecrets = `export default { fetch(r, env) { return Response.json([env.A ?? null, env.B ?? null, env.C ?? null]) } }`

// versions secret … makes versions that do not serve until they are deployed.
func TestVersionsSecret(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "vs", tellSecrets)
	p.must(t, dir, "deploy")
	live := func(want string) {
		t.Helper()
		if a := p.get(t, p.host("vs"), "/"); a.Body != want {
			t.Errorf("live: %d %s, want %s", a.Status, a.Body, want)
		}
	}
	newest := func(want string) string {
		t.Helper()
		versions, err := p.client(t).Versions(t.Context(), "vs")
		if err != nil {
			t.Fatal(err)
		}
		if a := p.get(t, p.host(versions[0].ID[:8]+"-vs"), "/"); a.Body != want {
			t.Errorf("preview of the newest version: %d %s, want %s", a.Status, a.Body, want)
		}
		return versions[0].ID
	}
	if out, err := p.wranglerIn(t, dir, "one", "versions", "secret", "put", "A"); err != nil {
		t.Fatalf("versions secret put: %v\n%s", err, out)
	}
	live(`[null,null,null]`)
	first := newest(`["one",null,null]`)

	rewrite(t, dir, "s.json", `{"B":"two","C":"three"}`)
	p.must(t, dir, "versions", "secret", "bulk", "s.json")
	newest(`["one","two","three"]`)
	live(`[null,null,null]`)

	// "deploy" of a version with secrets that are not live is for the user to confirm; "versions deploy" is not.
	p.must(t, dir, "versions", "deploy", first+"@100", "-y")
	live(`["one",null,null]`)
	list := p.must(t, dir, "versions", "secret", "list")
	if !strings.Contains(list, "A") || strings.Contains(list, "one") {
		t.Errorf("versions secret list:\n%s", list)
	}
	if out, err := p.wranglerIn(t, dir, "y\n", "versions", "secret", "delete", "B"); err != nil {
		t.Fatalf("versions secret delete: %v\n%s", err, out)
	}
	last := newest(`["one",null,"three"]`)
	p.must(t, dir, "versions", "deploy", last+"@100", "-y")
	live(`["one",null,"three"]`)
	if list := p.must(t, dir, "versions", "secret", "list", "--latest-version"); strings.Contains(list, "Secret Name: B") || !strings.Contains(list, "C") {
		t.Errorf("versions secret list --latest-version:\n%s", list)
	}
	// The ordinary commands refuse while the newest version is not the live one, rather than deploy it.
	if out, err := p.wranglerIn(t, dir, "four", "versions", "secret", "put", "A"); err != nil {
		t.Fatalf("versions secret put: %v\n%s", err, out)
	}
	if out, err := p.wranglerIn(t, dir, "five", "secret", "put", "A"); err == nil || !strings.Contains(out, "versions") {
		t.Errorf("secret put over an undeployed version: %v\n%s", err, out)
	}
	live(`["one",null,"three"]`)
}

func TestRequiredSecrets(t *testing.T) {
	t.Parallel()
	p := start(t)
	const config = `{"name": "needs", "main": "index.js", "compatibility_date": "2026-09-01", "secrets": {"required": [%s]}}`
	dir := project(t, map[string]string{"wrangler.jsonc": fmt.Sprintf(config, `"A"`), "index.js": tellSecrets})
	missing := func(name string, args ...string) {
		t.Helper()
		out, err := p.wrangler(t, dir, args...)
		if err == nil || !strings.Contains(out, "The following required secrets have not been set: "+name) {
			t.Errorf("wrangler %v: %v\n%s", args, err, out)
		}
	}
	missing("A", "deploy")
	if a := p.get(t, p.host("needs"), "/"); a.Status != http.StatusNotFound {
		t.Errorf("without its secret it answers %d", a.Status)
	}
	rewrite(t, dir, "s.env", "A=from a file\n")
	p.must(t, dir, "deploy", "--secrets-file", "s.env")
	p.must(t, dir, "deploy")
	rewrite(t, dir, "wrangler.jsonc", fmt.Sprintf(config, `"A", "B"`))
	missing("B", "deploy")
	missing("B", "versions", "upload")
	if a := p.get(t, p.host("needs"), "/"); a.Body != `["from a file",null,null]` {
		t.Errorf("after refused deploys: %d %s", a.Status, a.Body)
	}
	if out, err := p.wranglerIn(t, dir, "two", "secret", "put", "B"); err != nil {
		t.Fatalf("secret put: %v\n%s", err, out)
	}
	p.must(t, dir, "deploy")
	if a := p.get(t, p.host("needs"), "/"); a.Body != `["from a file","two",null]` {
		t.Errorf("with both: %d %s", a.Status, a.Body)
	}
}

func TestTriggersEnvironmentsDryRunDelete(t *testing.T) {
	t.Parallel()
	p := start(t)
	const config = `{"name": "app", "main": "index.js", "compatibility_date": "2026-09-01", "workers_dev": %s,
		"vars": {"WHERE": "production"}, "env": {"staging": {"vars": {"WHERE": "staging"}}}}`
	dir := project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(config, "true"),
		"index.js":       `export default { fetch(r, env) { return new Response(env.WHERE) } }`,
	})
	expect := func(name string, status int, body string) {
		t.Helper()
		if a := p.get(t, p.host(name), "/"); a.Status != status || (body != "" && a.Body != body) {
			t.Errorf("%s answers %d %q, want %d %q", name, a.Status, a.Body, status, body)
		}
	}
	out := p.must(t, dir, "deploy", "--dry-run", "--outdir", "out")
	if _, err := os.Stat(filepath.Join(dir, "out", "index.js")); err != nil || !strings.Contains(out, "--dry-run: exiting now.") {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if scripts, err := p.client(t).Scripts(t.Context()); err != nil || len(scripts) != 0 {
		t.Errorf("a dry run made %v, %v", scripts, err)
	}

	p.must(t, dir, "deploy", "--env", "")
	p.must(t, dir, "deploy", "--env", "staging")
	expect("app", 200, "production")
	expect("app-staging", 200, "staging")

	rewrite(t, dir, "wrangler.jsonc", fmt.Sprintf(config, "false"))
	p.must(t, dir, "triggers", "deploy", "--env", "")
	expect("app", 404, "")
	expect("app-staging", 200, "staging")
	rewrite(t, dir, "wrangler.jsonc", fmt.Sprintf(config, "true"))
	if out := p.must(t, dir, "triggers", "deploy", "--env", ""); !strings.Contains(out, p.host("app")) {
		t.Errorf("triggers deploy does not print the hostname:\n%s", out)
	}
	expect("app", 200, "production")

	if out, err := p.wranglerIn(t, dir, "y\n", "delete", "--env", "staging"); err != nil || !strings.Contains(out, "Successfully deleted app-staging") {
		t.Errorf("delete: %v\n%s", err, out)
	}
	expect("app-staging", 404, "")
	expect("app", 200, "production")
}

// Three deploys of one worker at the same time: each is acknowledged, one of
// them serves, it is the last deployment, and all versions can be read.
func TestParallelDeploysOfOneWorker(t *testing.T) {
	t.Parallel()
	p := start(t)
	const n = 3
	ids := make([]string, n)
	dirs := make([]string, n)
	for i := range n {
		dirs[i] = worker(t, "race", hello(fmt.Sprint("from ", i)))
	}
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			out, err := p.wrangler(t, dirs[i], "deploy")
			if err != nil {
				t.Errorf("deploy %d: %v\n%s", i, err, out)
				return
			}
			_, rest, _ := strings.Cut(out, "Current Version ID:")
			ids[i] = versionID.FindString(rest)
		})
	}
	done.Wait()
	if t.Failed() {
		return
	}
	c := p.client(t)
	deployments, err := c.Deployments(t.Context(), "race")
	if err != nil || len(deployments) != n {
		t.Fatalf("%d deployments of %d, %v", len(deployments), n, err)
	}
	a := p.get(t, p.host("race"), "/")
	found := regexp.MustCompile(`^from ([0-2])$`).FindStringSubmatch(a.Body)
	if found == nil {
		t.Fatalf("it answers %d %q", a.Status, a.Body)
	}
	serving := ids[found[1][0]-'0']
	if live := deployments[0].Versions[0].VersionID; live != serving {
		t.Errorf("version %s serves, the last deployment is of %s", serving, live)
	}
	for i, id := range ids {
		if a := p.get(t, p.host(id[:8]+"-race"), "/"); a.Body != fmt.Sprint("from ", i) {
			t.Errorf("version %d: %d %q", i, a.Status, a.Body)
		}
	}
	if versions, err := c.Versions(t.Context(), "race"); err != nil || len(versions) != n {
		t.Errorf("%d versions of %d, %v", len(versions), n, err)
	}
	events, err := c.Logs(t.Context(), client.LogFilter{Level: "error"})
	if err != nil || len(events) > 0 {
		t.Errorf("errors in the log: %+v, %v", events, err)
	}
}
