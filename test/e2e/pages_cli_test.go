package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestPagesCLI does without Node.js what TestPagesFunctions does with wrangler: the
// same sources give the same answers.
func TestPagesCLI(t *testing.T) {
	t.Parallel()
	p := start(t)
	files := functionsSite()
	delete(files, "functions/api/hello.ts")
	files["functions/typed.ts"] = `import { greet } from "./lib/greet"; export const onRequestGet = async (c: { params: object }): Promise<Response> => new Response(greet("ts"));`
	files["functions/lib/greet.ts"] = `export const greet = (name: string) => "hello " + name;`
	files["dist/.nojekyll"] = ""
	files[".git/HEAD"] = "ref: refs/heads/main\n"
	files[".git/refs/heads/main"] = "0123456789abcdef0123456789abcdef01234567\n"
	dir := project(t, files)
	run := func(stdin string, args ...string) string {
		t.Helper()
		stdout, stderr, code := p.ours(t, dir, stdin, append([]string{"pages"}, args...)...)
		if code != 0 {
			t.Fatalf("selvage pages %q ended with %d\n%s\nplatform:\n%s", args, code, stderr, tail(p.stderr.String(), 3000))
		}
		return stdout
	}
	run("", "create", "fn", "--compatibility-date", "2026-01-01")
	const secret = "correct-horse-battery-staple"
	run(secret, "secret", "put", "fn", "TOKEN")
	if list := run("", "secret", "list", "fn"); list != "TOKEN\n" {
		t.Errorf("secret list: %q", list)
	}
	id, _, code := p.ours(t, dir, "", "kv", "namespace", "create", "pages-kv")
	if code != 0 {
		t.Fatal("no namespace")
	}
	p.patchProject(t, "fn", `{"deployment_configs":{"production":{"kv_namespaces":{"KV":{"namespace_id":"`+strings.TrimSpace(id)+`"}}}}}`)
	var first, second, preview struct {
		ID          string `json:"id"`
		ShortID     string `json:"short_id"`
		Environment string `json:"environment"`
	}
	deploy := func(into any, args ...string) {
		t.Helper()
		out := run("", append([]string{"deploy", "dist", "--project", "fn", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	deploy(&first)
	host := p.pagesHost("", "fn")
	p.functionsAnswer(t, host)
	if a := p.get(t, host, "/typed"); a.Body != "hello ts" {
		t.Errorf("GET /typed = %d %q", a.Status, a.Body)
	}
	if a := p.get(t, host, "/.nojekyll"); a.Status != 200 || a.Body != "" {
		t.Errorf("GET /.nojekyll = %d %q", a.Status, a.Body)
	}
	if a := p.get(t, host, "/api/hello"); !strings.Contains(a.Body, secret) || !strings.Contains(a.Body, "0123456789abcdef") {
		t.Errorf("GET /api/hello = %q", a.Body)
	}
	rewrite(t, dir, "dist/index.html", "home, again")
	deploy(&second)
	deploy(&preview, "--branch", "try it")
	if preview.Environment != "preview" || second.Environment != "production" {
		t.Errorf("environments: %+v %+v", second, preview)
	}
	home := func(label, want string) {
		t.Helper()
		if a := p.get(t, p.pagesHost(label, "fn"), "/"); a.Body != want {
			t.Errorf("host %q answers %q, want %q", label, a.Body, want)
		}
	}
	home("", "home, again")
	home("try-it", "home, again")
	run("", "rollback", "fn")
	home("", "home")
	run("", "promote", "fn", preview.ShortID)
	home("", "home, again")
	if list := run("", "deployments", "fn"); strings.Count(list, "serves") != 1 || !strings.Contains(list, first.ShortID) {
		t.Errorf("deployments:\n%s", list)
	}
	if log := run("", "logs", "fn", first.ShortID); !strings.Contains(log, "Success") {
		t.Errorf("logs:\n%s", log)
	}
	if url := run("", "open", "fn"); !strings.Contains(url, host) {
		t.Errorf("open: %q", url)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "delete", "fn", preview.ShortID, "--yes", "--force"); code != 1 || !strings.Contains(stderr, "in production") {
		t.Errorf("deletion of what serves: %d %q", code, stderr)
	}
	rewrite(t, dir, "functions/boom.js", `export const onRequest = 1 +;`)
	if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", "dist", "--project", "fn"); code != 1 || !strings.Contains(stderr, "boom.js:1") {
		t.Errorf("a function that is no JavaScript: %d %q", code, stderr)
	}
	run("", "delete", "fn", "--yes")
	if a := p.get(t, host, "/"); a.Status != 404 {
		t.Errorf("a deleted project answers %d", a.Status)
	}
}
