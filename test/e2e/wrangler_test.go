package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestWranglerWhoami(t *testing.T) {
	t.Parallel()
	p := start(t)
	out := p.must(t, t.TempDir(), "whoami")
	if !strings.Contains(out, p.AccountID) {
		t.Errorf("whoami does not show account %s:\n%s", p.AccountID, out)
	}
	p.Token = "slv_wrong"
	if out, err := p.wrangler(t, t.TempDir(), "deployments", "list", "--name", "x"); err == nil {
		t.Errorf("a wrong token is taken:\n%s", out)
	}
}

func TestDeployLinksExample(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := filepath.Join(repo(t), "examples", "links")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "hono")); err != nil {
		t.Fatalf("%v: run \"make test\", which installs it", err)
	}
	out := p.must(t, dir, "deploy")
	if !strings.Contains(out, p.host("links")) {
		t.Errorf("wrangler does not print the worker's hostname %s:\n%s", p.host("links"), out)
	}
	page := p.get(t, p.host("links"), "/")
	if page.Status != 200 || !strings.Contains(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("GET / = %d %v", page.Status, page.Header)
	}
	links := p.get(t, p.host("links"), "/api/links")
	if links.Status != 200 || !json.Valid([]byte(links.Body)) {
		t.Errorf("GET /api/links = %d %q", links.Status, links.Body)
	}
	if a := p.get(t, p.host("links"), "/no/such/page"); a.Status != 404 {
		t.Errorf("GET /no/such/page = %d", a.Status)
	}
	if a := p.get(t, p.host("nobody"), "/"); a.Status != 404 {
		t.Errorf("an unknown worker answers %d", a.Status)
	}
}

var versionID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// currentVersion is the version id that wrangler deploy printed.
func currentVersion(t *testing.T, out string) string {
	t.Helper()
	_, rest, ok := strings.Cut(out, "Current Version ID:")
	id := versionID.FindString(rest)
	if !ok || id == "" {
		t.Fatalf("no version id in:\n%s", out)
	}
	return id
}

func TestVersionsDeploymentsRollback(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "v", hello("one"))
	first := currentVersion(t, p.must(t, dir, "deploy"))
	rewrite(t, dir, "index.js", hello("two"))
	second := currentVersion(t, p.must(t, dir, "deploy", "--message", "the second", "--tag", "t2"))
	if a := p.get(t, p.host("v"), "/"); a.Body != "two" {
		t.Fatalf("after the second deploy: %q", a.Body)
	}

	list := p.must(t, dir, "versions", "list")
	for _, want := range []string{first, second, "the second", "t2"} {
		if !strings.Contains(list, want) {
			t.Errorf("versions list lacks %q:\n%s", want, list)
		}
	}
	if view := p.must(t, dir, "versions", "view", second); !strings.Contains(view, second) || !strings.Contains(view, "fetch") {
		t.Errorf("versions view:\n%s", view)
	}
	if list := p.must(t, dir, "deployments", "list"); !strings.Contains(list, first) || !strings.Contains(list, second) {
		t.Errorf("deployments list:\n%s", list)
	}
	if status := p.must(t, dir, "deployments", "status"); !strings.Contains(status, second) {
		t.Errorf("deployments status:\n%s", status)
	}

	p.must(t, dir, "rollback", first, "-y", "-m", "undo")
	if a := p.get(t, p.host("v"), "/"); a.Body != "one" {
		t.Errorf("after the rollback: %q", a.Body)
	}

	rewrite(t, dir, "index.js", hello("three"))
	up := p.must(t, dir, "versions", "upload", "--preview-alias", "feat")
	third := versionID.FindString(up)
	if a := p.get(t, p.host("v"), "/"); a.Body != "one" {
		t.Errorf("an uploaded version is live: %q", a.Body)
	}
	for _, host := range []string{p.host(third[:8] + "-v"), p.host("feat-v")} {
		if a := p.get(t, host, "/"); a.Body != "three" {
			t.Errorf("preview %s = %d %q", host, a.Status, a.Body)
		}
	}
	p.must(t, dir, "versions", "deploy", third+"@100", "-y")
	if a := p.get(t, p.host("v"), "/"); a.Body != "three" {
		t.Errorf("after versions deploy: %q", a.Body)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	p := start(t)
	const secret = "correct-horse-battery-staple"
	dir := worker(t, "s", `export default { fetch(r, env) { return new Response(JSON.stringify([env.TOKEN ?? null, env.A ?? null])) } }`)
	p.must(t, dir, "deploy")
	if out, err := p.wranglerIn(t, dir, secret, "secret", "put", "TOKEN"); err != nil {
		t.Fatalf("secret put: %v\n%s", err, out)
	}
	if a := p.get(t, p.host("s"), "/"); a.Body != `["`+secret+`",null]` {
		t.Errorf("after secret put: %q", a.Body)
	}
	bulk := filepath.Join(dir, "s.json")
	if err := os.WriteFile(bulk, []byte(`{"A":"x","B":"y"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(t, dir, "secret", "bulk", bulk)
	if list := p.must(t, dir, "secret", "list"); !strings.Contains(list, "TOKEN") || strings.Contains(list, secret) {
		t.Errorf("secret list:\n%s", list)
	}
	p.must(t, dir, "deploy") // A deploy keeps them.
	if a := p.get(t, p.host("s"), "/"); a.Body != `["`+secret+`","x"]` {
		t.Errorf("after a deploy: %q", a.Body)
	}
	if out, err := p.wranglerIn(t, dir, "y\n", "secret", "delete", "A"); err != nil {
		t.Fatalf("secret delete: %v\n%s", err, out)
	}
	if a := p.get(t, p.host("s"), "/"); a.Body != `["`+secret+`",null]` {
		t.Errorf("after secret delete: %q", a.Body)
	}
	if out, err := p.wranglerIn(t, dir, "draft", "secret", "put", "FOO", "--name", "brandnew"); err != nil {
		t.Errorf("secret put on an unknown worker: %v\n%s", err, out)
	}
	p.stop(t)
	leaks(t, p.data, secret)
	if strings.Contains(p.stderr.String(), secret) {
		t.Error("the secret is in the platform's log")
	}
}

// leaks fails the test when any file below dir holds the text.
func leaks(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files++
		if strings.Contains(string(b), text) {
			t.Errorf("%s holds the secret in the clear", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("read %d files: %v", files, err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "gone", hello("here"))
	p.must(t, dir, "deploy")
	if out, err := p.wranglerIn(t, dir, "y\n", "delete", "--name", "gone"); err != nil {
		t.Fatalf("delete: %v\n%s", err, out)
	}
	if a := p.get(t, p.host("gone"), "/"); a.Status != 404 {
		t.Errorf("a deleted worker answers %d %q", a.Status, a.Body)
	}
	if out, err := p.wrangler(t, dir, "versions", "list"); err == nil {
		t.Errorf("a deleted worker has versions:\n%s", out)
	}
}

// A script that fails at start changes nothing, and wrangler shows its own
// words, mapped to its source.
func TestStartErrorIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "bad", hello("good"))
	p.must(t, dir, "deploy")
	rewrite(t, dir, "index.js", "\n\nfunction boom() { throw new Error('no such thing') }\nboom();\n"+hello("never"))
	out, err := p.wrangler(t, dir, "deploy", "--upload-source-maps")
	if err == nil {
		t.Fatalf("a script that throws at start was accepted:\n%s", out)
	}
	for _, want := range []string{"no such thing", "10021", "index.js:3"} {
		if !strings.Contains(out, want) {
			t.Errorf("the refusal lacks %q:\n%s", want, out)
		}
	}
	if a := p.get(t, p.host("bad"), "/"); a.Body != "good" {
		t.Errorf("after a refused deploy: %d %q", a.Status, a.Body)
	}
	if list := p.must(t, dir, "versions", "list"); len(versionID.FindAllString(list, -1)) != 1 {
		t.Errorf("a refused version is listed:\n%s", list)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, c := range []struct{ name, config, want string }{
		{"kv", `"kv_namespaces": [{"binding": "STORE", "id": "0123456789abcdef0123456789abcdef"}]`, "STORE"},
		{"tail", `"tail_consumers": [{"service": "x"}]`, "tail consumer x does not exist"},
		{"date", `"compatibility_date": "2031-01-01"`, "2031-01-01"},
		{"flag", `"compatibility_flags": ["no_such_flag"]`, "no_such_flag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := `{"name": "refused", "main": "index.js", "compatibility_date": "2026-09-01", ` + c.config + `}`
			if c.name == "date" {
				config = `{"name": "refused", "main": "index.js", ` + c.config + `}`
			}
			dir := project(t, map[string]string{"wrangler.jsonc": config, "index.js": hello("x")})
			out, err := p.wrangler(t, dir, "deploy")
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("deploy: %v, wanted a refusal that names %q:\n%s", err, c.want, out)
			}
			if a := p.get(t, p.host("refused"), "/"); a.Status != http.StatusNotFound {
				t.Errorf("a refused worker answers %d", a.Status)
			}
		})
	}
}

func TestModuleKinds(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "kinds", "main": "index.js", "compatibility_date": "2026-09-01",
			"vars": {"GREETING": "hi", "OBJ": {"a": [1, 2]}}, "version_metadata": {"binding": "META"},
			"rules": [{"type": "Data", "globs": ["**/*.bin"]}, {"type": "CommonJS", "globs": ["**/*.cjs"]}, {"type": "Text", "globs": ["**/*.txt"]}], "no_bundle": true}`,
		"index.js": `import text from "./sub/a.txt"; import data from "./b.bin"; import wasm from "./add.wasm"; import cjs from "./c.cjs";
			export default { async fetch(r, env) {
				const add = (await WebAssembly.instantiate(wasm)).exports.add;
				return Response.json({ text, data: data.byteLength, sum: add(2, 3), cjs: cjs.x, greeting: env.GREETING, obj: env.OBJ, meta: Object.keys(env.META).sort() });
			} }`,
		"sub/a.txt": "some text",
		"b.bin":     "\x00\x01\x02",
		"c.cjs":     "module.exports = { x: 42 }",
		"add.wasm":  "\x00asm\x01\x00\x00\x00\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\x00\x07\x07\x01\x03add\x00\x00\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b",
	})
	p.must(t, dir, "deploy")
	want := `{"text":"some text","data":3,"sum":5,"cjs":42,"greeting":"hi","obj":{"a":[1,2]},"meta":["id","tag","timestamp"]}`
	if a := p.get(t, p.host("kinds"), "/"); a.Body != want {
		t.Errorf("GET / = %d %s, want %s", a.Status, a.Body, want)
	}
}

func TestServiceWorkerSyntax(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "sw", "main": "index.js", "compatibility_date": "2026-09-01", "vars": {"NAME": "world"}}`,
		"index.js":       `addEventListener("fetch", e => e.respondWith(new Response("hello " + NAME)))`,
	})
	p.must(t, dir, "deploy")
	if a := p.get(t, p.host("sw"), "/"); a.Body != "hello world" {
		t.Errorf("GET / = %d %q", a.Status, a.Body)
	}
}

func TestAssetsOnlyWorker(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc":       `{"name": "site", "compatibility_date": "2026-09-01", "assets": {"directory": "public", "not_found_handling": "404-page"}}`,
		"public/index.html":    "<h1>home</h1>",
		"public/about.html":    "<h1>about</h1>",
		"public/404.html":      "<h1>lost</h1>",
		"public/_headers":      "/*\n  X-Test: yes\n",
		"public/_redirects":    "/old /about 301\n",
		"public/a b/ü.txt":     "unicode",
		"public/.well-known/x": "dot",
	})
	p.must(t, dir, "deploy")
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, "<h1>home</h1>"},
		{"/about", 200, "<h1>about</h1>"},
		{"/nope", 404, "<h1>lost</h1>"},
		{"/a%20b/%C3%BC.txt", 200, "unicode"},
		{"/.well-known/x", 200, "dot"},
		{"/old", 301, ""},
		{"/about.html", 307, ""},
	} {
		a := p.get(t, p.host("site"), c.path)
		if a.Status != c.status || (c.body != "" && a.Body != c.body) {
			t.Errorf("GET %s = %d %q, want %d %q", c.path, a.Status, a.Body, c.status, c.body)
		}
	}
	a := p.get(t, p.host("site"), "/")
	if a.Header.Get("X-Test") != "yes" {
		t.Errorf("_headers are not applied: %v", a.Header)
	}
	req := p.request(t, http.MethodGet, p.host("site"), "/", nil)
	req.Header.Set("If-None-Match", a.Header.Get("ETag"))
	if a := do(t, req); a.Status != 304 {
		t.Errorf("with the ETag: %d", a.Status)
	}
}

func rewrite(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}
