package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// ours runs the selvage command in dir without anything on the PATH, so that no
// Node.js can be found, against p's data directory.
func (p *platform) ours(t *testing.T, dir, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return p.oursWith(t, dir, stdin, nil, append(args, "--data", p.data)...)
}

// oursWith is ours with variables, and no data directory but that of the arguments.
func (p *platform) oursWith(t *testing.T, dir, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Env = append([]string{"PATH=" + t.TempDir(), "HOME=" + filepath.Dir(p.data), "NO_COLOR=1"}, env...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// deployOurs deploys and returns what --json says.
func (p *platform) deployOurs(t *testing.T, dir string, args ...string) deployOutput {
	t.Helper()
	stdout, stderr, code := p.ours(t, dir, "", append([]string{"deploy", "--json"}, args...)...)
	if code != 0 {
		t.Fatalf("selvage deploy ended with %d\n%s\nplatform:\n%s", code, stderr, tail(p.stderr.String(), 3000))
	}
	var out deployOutput
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatalf("selvage deploy --json said %q: %v", stdout, err)
	}
	return out
}

type deployOutput struct {
	Name          string   `json:"name"`
	VersionID     string   `json:"version_id"`
	URL           string   `json:"url"`
	StartupTimeMS int64    `json:"startup_time_ms"`
	Targets       []string `json:"targets"`
	Size          struct {
		Raw int64 `json:"raw_bytes"`
	} `json:"size"`
	Bindings []map[string]any `json:"bindings"`
}

// built runs a dry run of either command and returns the modules it wrote.
func built(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" || strings.HasSuffix(file, ".map") {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		out[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameBundle builds a project with wrangler and with selvage and compares the modules.
func (p *platform) sameBundle(t *testing.T, dir string, args ...string) {
	t.Helper()
	theirs, mine := filepath.Join(t.TempDir(), "wrangler"), filepath.Join(t.TempDir(), "selvage")
	p.must(t, dir, append([]string{"deploy", "--dry-run", "--outdir", theirs}, args...)...)
	if _, stderr, code := p.ours(t, dir, "", append([]string{"deploy", "--dry-run", "--outdir", mine}, args...)...); code != 0 {
		t.Fatalf("selvage deploy --dry-run ended with %d\n%s", code, stderr)
	}
	want, got := built(t, theirs), built(t, mine)
	if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(w, g) {
		t.Fatalf("modules %q, wrangler makes %q", g, w)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s differs from wrangler's:\n%s\n--- wrangler's:\n%s", name, tail(got[name], 3000), tail(text, 3000))
		}
	}
}

var shortVersion = regexp.MustCompile(`>[0-9a-f]{8}<`)

func TestOursLinksExample(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := filepath.Join(repo(t), "examples", "links")
	p.sameBundle(t, dir)
	p.must(t, dir, "deploy", "--name", "theirs")
	out := p.deployOurs(t, dir, "--name", "mine")
	if !strings.Contains(out.URL, p.host("mine")) || out.VersionID == "" || len(out.Bindings) != 4 {
		t.Errorf("deploy said %+v", out)
	}
	for _, path := range []string{"/", "/api/links", "/style.css", "/no/such/page", "/go/nobody", "/favicon.svg"} {
		want, got := p.get(t, p.host("theirs"), path), p.get(t, p.host("mine"), path)
		// The page shows the start of the version's id.
		hide := func(s string) string { return shortVersion.ReplaceAllString(s, ">VERSION<") }
		if want.Status != got.Status || hide(want.Body) != hide(got.Body) || want.Header.Get("Content-Type") != got.Header.Get("Content-Type") {
			t.Errorf("GET %s = %d %q %q, with wrangler %d %q %q", path, got.Status, got.Header.Get("Content-Type"), tail(got.Body, 400),
				want.Status, want.Header.Get("Content-Type"), tail(want.Body, 400))
		}
	}
}

// projects are apps whose answer shows that they were built right.
func projects() map[string]struct {
	files map[string]string
	want  string
} {
	config := func(more string) string {
		return `{"name":"app","main":"src/index.ts","compatibility_date":"2026-11-01"` + more + `}`
	}
	serve := func(expression string) string {
		return "\nexport default { async fetch(request: Request, env: any) { return new Response(String(" + expression + ")); } };\n"
	}
	return map[string]struct {
		files map[string]string
		want  string
	}{
		"typescript": {map[string]string{
			"wrangler.jsonc": config(""),
			"src/index.ts":   "import { greet, type Who } from './greet';\nenum Level { Low = 1, High }\nclass Named {}\nconst who: Who = { name: 'ts' };" + serve("greet(who) + Level.High + Named.name"),
			"src/greet.ts":   "export interface Who { name: string }\nexport const greet = (w: Who): string => `hello ${w.name} `;\n",
		}, "hello ts 2Named"},
		"jsx": {map[string]string{
			"wrangler.jsonc": `{"name":"app","main":"index.jsx","compatibility_date":"2026-11-01","jsx_factory":"h","jsx_fragment":"F"}`,
			"index.jsx":      "const F = 'frag'; const h = (n, p, ...c) => `<${n}${p ? ' ' + Object.keys(p) : ''}>${c.join('')}`;\nexport default { fetch() { return new Response(<><b id=\"x\">bold</b></>); } };",
		}, "<frag><b id>bold"},
		"modules": {map[string]string{
			"wrangler.jsonc": config(`,"rules":[{"type":"Text","globs":["**/*.md"],"fallthrough":true}]`),
			"src/index.ts":   "import html from './page.html'; import md from './note.md'; import bin from './data.bin'; import wasm from './add.wasm';\nconst add = new WebAssembly.Instance(wasm).exports.add as any;" + serve("[html, md, bin.byteLength, add(2, 3)]"),
			"src/page.html":  "<p>", "src/note.md": "# note", "src/data.bin": "\x00\x01\x02", "src/add.wasm": addWasm,
		}, "<p>,# note,3,5"},
		"alias define paths": {map[string]string{
			"wrangler.jsonc":  config(`,"alias":{"gone":"./src/stand-in.ts"},"define":{"BUILD":"\"b7\""}`),
			"tsconfig.json":   `{"compilerOptions":{"paths":{"@lib/*":["./packages/lib/src/*"]}}}`,
			"src/index.ts":    "import gone from 'gone'; import { name } from '@lib/name'; declare const BUILD: string;" + serve("[gone, name, BUILD, process.env.NODE_ENV, navigator.userAgent]"),
			"src/stand-in.ts": "export default 'stand-in';", "packages/lib/src/name.ts": "export const name = 'lib';",
		}, "stand-in,lib,b7,production,Cloudflare-Workers"},
		"node": {map[string]string{
			"wrangler.jsonc": config(""),
			"src/index.ts":   "import { createHash } from 'node:crypto'; import path from 'path'; import { EventEmitter } from 'events';\nconst util = require('util');" + serve("[createHash('sha1').update('x').digest('hex').slice(0, 4), path.join('a', '..', 'b'), typeof EventEmitter, util.format('%s', 1), Buffer.from('x').toString('hex')]"),
		}, "11f6,b,function,1,78"},
		"monorepo": {map[string]string{
			"package.json":                                     `{"workspaces":["packages/*"]}`,
			"packages/app/wrangler.jsonc":                      config(""),
			"packages/app/src/index.ts":                        "import shared from '@acme/shared'; import cjs from 'old-style';" + serve("[shared, cjs.value]"),
			"node_modules/@acme/shared/package.json":           `{"name":"@acme/shared","exports":{".":{"workerd":"./worker.ts","default":"./node.ts"}}}`,
			"node_modules/@acme/shared/worker.ts":              "export default 'worker' as string;",
			"node_modules/@acme/shared/node.ts":                "export default 'node' as string;",
			"packages/app/node_modules/old-style/package.json": `{"name":"old-style","main":"index.js"}`,
			"packages/app/node_modules/old-style/index.js":     "module.exports = { value: typeof module };",
		}, "worker,object"},
		"service worker": {map[string]string{
			"wrangler.toml": "name = 'app'\nmain = 'index.js'\ncompatibility_date = '2026-11-01'\n[vars]\nGREETING = 'from toml'\n[text_blobs]\nBLOB = 'blob.txt'\n",
			"index.js":      "import page from './page.html';\naddEventListener('fetch', (e) => e.respondWith(new Response([page, GREETING, BLOB].join())));",
			"page.html":     "<p>", "blob.txt": "blob",
		}, "<p>,from toml,blob"},
		"additional modules": {map[string]string{
			"wrangler.jsonc":  config(`,"find_additional_modules":true,"rules":[{"type":"ESModule","globs":["lazy/*.js"]}]`),
			"src/index.ts":    "const load = async (name: string) => (await import(`./lazy/${name}.js`)).default;" + serve("await load('one') + await load('two')"),
			"src/lazy/one.js": "export default 'one';", "src/lazy/two.js": "export default 'two';",
		}, "onetwo"},
		"no bundle": {map[string]string{
			"wrangler.jsonc": `{"name":"app","main":"index.js","compatibility_date":"2026-11-01","no_bundle":true,"rules":[{"type":"ESModule","globs":["**/*.js"]}]}`,
			"index.js":       "import { x } from './lib/x.js';\nexport default { fetch() { return new Response(x); } };",
			"lib/x.js":       "export const x = 'as it is';",
		}, "as it is"},
	}
}

// addWasm exports add, which adds two numbers.
const addWasm = "\x00asm\x01\x00\x00\x00\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\x00\x07\x07\x01\x03add\x00\x00\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b"

func TestOursBuildsAsWranglerDoes(t *testing.T) {
	t.Parallel()
	p := start(t)
	for name, c := range projects() {
		t.Run(name, func(t *testing.T) {
			dir := project(t, c.files)
			if _, err := os.Stat(filepath.Join(dir, "packages", "app")); err == nil {
				dir = filepath.Join(dir, "packages", "app")
			}
			p.sameBundle(t, dir)
			worker := strings.ReplaceAll(name, " ", "-")
			out := p.deployOurs(t, dir, "--name", worker)
			if a := p.get(t, p.host(worker), "/"); a.Status != 200 || a.Body != c.want {
				t.Errorf("GET / = %d %q, want %q", a.Status, a.Body, c.want)
			}
			if out.Size.Raw == 0 || out.StartupTimeMS == 0 {
				t.Errorf("deploy said %+v", out)
			}
		})
	}
}

func TestOursHonoFromNodeModules(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name":"hono","main":"src/index.tsx","compatibility_date":"2026-11-01"}`,
		"tsconfig.json":  `{"compilerOptions":{"jsx":"react-jsx","jsxImportSource":"hono/jsx"}}`,
		"src/index.tsx":  "import { Hono } from 'hono';\nconst app = new Hono();\napp.get('/hi/:name', (c) => c.html(<p>hi {c.req.param('name')}</p>));\nexport default app;",
	})
	if err := os.MkdirAll(filepath.Join(dir, "node_modules"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(repo(t), "tools", "node_modules", "hono"), filepath.Join(dir, "node_modules", "hono")); err != nil {
		t.Fatal(err)
	}
	p.sameBundle(t, dir)
	p.deployOurs(t, dir, "--minify")
	if a := p.get(t, p.host("hono"), "/hi/you"); a.Body != "<p>hi you</p>" {
		t.Errorf("GET /hi/you = %d %q", a.Status, a.Body)
	}
}

func TestOursRefuses(t *testing.T) {
	t.Parallel()
	p := start(t)
	good := `{"name":"bad","main":"index.ts","compatibility_date":"2026-11-01"`
	for name, c := range map[string]struct {
		files map[string]string
		args  []string
		want  []string
	}{
		"syntax":          {map[string]string{"wrangler.jsonc": good + "}", "index.ts": "export default {\n"}, nil, []string{"index.ts:2:", "Expected"}},
		"missing main":    {map[string]string{"wrangler.jsonc": good + "}"}, nil, []string{"index.ts was not found"}},
		"missing package": {map[string]string{"wrangler.jsonc": good + "}", "index.ts": "import x from 'left-pad'; export default x;"}, nil, []string{`"left-pad"`, "index.ts:1:"}},
		"unknown env":     {map[string]string{"wrangler.jsonc": good + `,"env":{"a":{}}}`, "index.ts": hello("x")}, []string{"--env", "b"}, []string{`no environment "b"`, "are: a"}},
		"not JSON":        {map[string]string{"wrangler.jsonc": "{ name }"}, nil, []string{"wrangler.jsonc", "line 1, column 3"}},
		"too large":       {map[string]string{"wrangler.jsonc": strings.Repeat(" ", 2<<20)}, nil, []string{"larger than"}},
		"nothing":         {map[string]string{"readme.txt": ""}, []string{"--name", "x"}, []string{"nothing to deploy"}},
		"no name":         {map[string]string{"index.ts": hello("x")}, []string{"index.ts", "--compatibility-date", "2026-11-01"}, []string{"has no name"}},
		"no date":         {map[string]string{"index.ts": hello("x")}, []string{"index.ts", "--name", "x"}, []string{"no compatibility date"}},
		"bad var":         {map[string]string{"wrangler.jsonc": good + "}", "index.ts": hello("x")}, []string{"--var", "novalue"}, []string{"NAME:VALUE"}},
		"build command":   {map[string]string{"wrangler.jsonc": good + `,"build":{"command":"echo making; exit 7"}}`, "index.ts": hello("x")}, nil, []string{"[custom build] making", "exited with code 7"}},
		"throws at start": {map[string]string{"wrangler.jsonc": good + "}", "index.ts": "import './boom';" + hello("x"), "boom.ts": "interface A {}\nthrow new Error('at the top');"}, nil, []string{"at the top", "boom.ts:2:", "10021"}},
		"not offered":     {map[string]string{"wrangler.jsonc": good + `,"hyperdrive":[{"binding":"HD","id":"1"}]}`, "index.ts": hello("x")}, nil, []string{"HD", "hyperdrive"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := p.ours(t, project(t, c.files), "", append([]string{"deploy"}, c.args...)...)
			if code == 0 {
				t.Fatalf("it was deployed:\n%s", stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
		})
	}
	if _, err := p.client(t).Worker(t.Context(), "bad"); err == nil {
		t.Error("a refused deploy made a worker")
	}
}

func TestOursThroughVariables(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "v", hello("by variables"))
	env := []string{"CLOUDFLARE_API_BASE_URL=" + p.APIURL + "/client/v4", "CLOUDFLARE_API_TOKEN=" + p.Token}
	stdout, stderr, code := p.oursWith(t, dir, "", env, "deploy")
	if code != 0 || !strings.Contains(stdout, "http://"+p.host("v")) {
		t.Fatalf("%d\n%s%s", code, stdout, stderr)
	}
	if a := p.get(t, p.host("v"), "/"); a.Body != "by variables" {
		t.Errorf("GET / = %q", a.Body)
	}
	env[1] = "CLOUDFLARE_API_TOKEN=slv_wrong"
	if _, stderr, code := p.oursWith(t, dir, "", env, "deploy"); code != 1 || strings.Contains(stderr, "slv_wrong") {
		t.Errorf("with a wrong token: %d %s", code, stderr)
	}
}

// ok runs a command of ours that must succeed.
func (p *platform) ok(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	stdout, stderr, code := p.ours(t, dir, stdin, args...)
	if code != 0 {
		t.Fatalf("selvage %s ended with %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

func TestOursVersionsDeploymentsRollback(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "v", hello("one"))
	first := p.deployOurs(t, dir).VersionID
	rewrite(t, dir, "index.js", hello("two"))
	second := p.deployOurs(t, dir, "--message", "the second", "--tag", "t2").VersionID
	if list := p.ok(t, dir, "", "versions", "list"); !strings.Contains(list, first) || !strings.Contains(list, "the second") || !strings.Contains(list, "t2") || !strings.Contains(list, "100 %") {
		t.Errorf("versions list:\n%s", list)
	}
	if view := p.ok(t, dir, "", "versions", "view", second[:8]); !strings.Contains(view, second) || !strings.Contains(view, "fetch") {
		t.Errorf("versions view:\n%s", view)
	}
	p.ok(t, dir, "", "rollback", "--message", "undo")
	if a := p.get(t, p.host("v"), "/"); a.Body != "one" {
		t.Errorf("after the rollback: %q", a.Body)
	}
	if status := p.ok(t, dir, "", "deployments", "status"); !strings.Contains(status, first+"@100") || !strings.Contains(status, "undo") || strings.Contains(status, second) {
		t.Errorf("deployments status:\n%s", status)
	}
	if list := p.ok(t, dir, "", "deployments", "list"); strings.Count(list, "@100") != 3 {
		t.Errorf("deployments list:\n%s", list)
	}

	rewrite(t, dir, "index.js", hello("three"))
	var up struct {
		VersionID  string `json:"version_id"`
		PreviewURL string `json:"preview_url"`
		AliasURL   string `json:"alias_url"`
	}
	if err := json.Unmarshal([]byte(p.ok(t, dir, "", "versions", "upload", "--json", "--preview-alias", "feat")), &up); err != nil {
		t.Fatal(err)
	}
	if a := p.get(t, p.host("v"), "/"); a.Body != "one" {
		t.Errorf("an uploaded version is live: %q", a.Body)
	}
	for url, host := range map[string]string{up.PreviewURL: p.host(up.VersionID[:8] + "-v"), up.AliasURL: p.host("feat-v")} {
		if a := p.get(t, host, "/"); a.Body != "three" || !strings.HasPrefix(url, "http://"+host) {
			t.Errorf("%s answers %q", url, a.Body)
		}
	}
	p.ok(t, dir, "", "versions", "deploy", up.VersionID[:8]+"@40", second)
	if status := p.ok(t, dir, "", "deployments", "status"); !strings.Contains(status, up.VersionID+"@40") || !strings.Contains(status, second+"@60") {
		t.Errorf("deployments status:\n%s", status)
	}
	if _, stderr, code := p.ours(t, dir, "", "versions", "deploy", first+"@60", second+"@41"); code != 2 || !strings.Contains(stderr, "101") {
		t.Errorf("shares that sum to 101: %d %s", code, stderr)
	}
	if _, stderr, code := p.ours(t, dir, "", "versions", "deploy", "ffffffffff"); code != 1 || !strings.Contains(stderr, "no version") {
		t.Errorf("a version that is not there: %d %s", code, stderr)
	}
	if _, stderr, code := p.ours(t, dir, "", "versions", "list", "--name", "nobody"); code != 1 || !strings.Contains(stderr, "10007") {
		t.Errorf("a worker that is not there: %d %s", code, stderr)
	}
	if _, stderr, code := p.ours(t, project(t, map[string]string{"a": ""}), "", "versions", "list"); code != 1 || !strings.Contains(stderr, "--name") {
		t.Errorf("no worker named: %d %s", code, stderr)
	}
	// A deploy over two versions that share the traffic says so and goes on without a terminal.
	if _, stderr, code := p.ours(t, dir, "", "deploy"); code != 0 || !strings.Contains(stderr, "2 versions of v share") {
		t.Errorf("a deploy over shares: %d %s", code, stderr)
	}
}

func TestOursSecretsAndDelete(t *testing.T) {
	t.Parallel()
	p := start(t)
	const secret = "correct-horse-battery-staple"
	dir := worker(t, "s", `export default { fetch(r, env) { return new Response(JSON.stringify([env.TOKEN ?? null, env.A ?? null, env.B ?? null])) } }`)
	first := p.deployOurs(t, dir).VersionID
	if _, stderr, code := p.ours(t, dir, secret+"\n", "secret", "put", "TOKEN"); code != 0 || strings.Contains(stderr, secret) {
		t.Fatalf("secret put: %d %s", code, stderr)
	}
	p.ok(t, dir, `{"A":"x","B":"y"}`, "secret", "bulk")
	rewrite(t, dir, "secrets.env", "B=from-the-deploy\n")
	if stdout, stderr, code := p.ours(t, dir, "", "deploy", "--secrets-file", "secrets.env"); code != 0 || strings.Contains(stdout+stderr, "from-the-deploy") {
		t.Errorf("deploy --secrets-file: %d %s%s", code, stdout, stderr)
	}
	if a := p.get(t, p.host("s"), "/"); a.Body != `["`+secret+`","x","from-the-deploy"]` {
		t.Errorf("after deploy --secrets-file: %q", a.Body)
	}
	p.ok(t, dir, `{"B":"y"}`, "secret", "bulk")
	if list := p.ok(t, dir, "", "secret", "list"); list != "A\nB\nTOKEN\n" {
		t.Errorf("secret list: %q", list)
	}
	p.deployOurs(t, dir)
	if a := p.get(t, p.host("s"), "/"); a.Body != `["`+secret+`","x","y"]` {
		t.Errorf("after a deploy: %q", a.Body)
	}
	if _, stderr, code := p.ours(t, dir, "n\n", "secret", "delete", "A"); code != 1 || !strings.Contains(stderr, "nothing was deleted") {
		t.Errorf("secret delete, answered no: %d %s", code, stderr)
	}
	p.ok(t, dir, "y\n", "secret", "delete", "A")
	p.ok(t, dir, "B=from a file\n", "secret", "bulk")
	if a := p.get(t, p.host("s"), "/"); a.Body != `["`+secret+`",null,"from a file"]` {
		t.Errorf("after delete and bulk: %q", a.Body)
	}
	for _, c := range []struct{ stdin, args string }{{"", "secret put X"}, {"[1]", "secret bulk"}, {`{"X":{}}`, "secret bulk"}} {
		if _, stderr, code := p.ours(t, dir, c.stdin, strings.Fields(c.args)...); code != 1 {
			t.Errorf("%s of %q: %d %s", c.args, c.stdin, code, stderr)
		}
	}
	// The first version had no secrets: going back to it takes a yes.
	if _, stderr, code := p.ours(t, dir, "", "rollback", first); code != 1 || !strings.Contains(stderr, "TOKEN") || !strings.Contains(stderr, "nothing was changed") {
		t.Errorf("rollback over changed secrets: %d %s", code, stderr)
	}
	p.ok(t, dir, "", "rollback", first, "--yes")

	if out := p.ok(t, dir, "", "delete", "--dry-run"); !strings.Contains(out, "would delete s") {
		t.Errorf("delete --dry-run: %q", out)
	}
	if _, stderr, code := p.ours(t, dir, "", "delete"); code != 1 || !strings.Contains(stderr, "--yes") {
		t.Errorf("delete without a yes: %d %s", code, stderr)
	}
	if a := p.get(t, p.host("s"), "/"); a.Status != 200 {
		t.Errorf("an undeleted worker answers %d", a.Status)
	}
	p.ok(t, dir, "", "delete", "--yes")
	if a := p.get(t, p.host("s"), "/"); a.Status != 404 {
		t.Errorf("a deleted worker answers %d", a.Status)
	}
	if _, stderr, code := p.ours(t, dir, "", "delete", "s", "--yes"); code != 1 || !strings.Contains(stderr, "10007") {
		t.Errorf("delete of none: %d %s", code, stderr)
	}
}

func TestOursProvisionsTriggersEnvironments(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{ "name": "prov", "main": "index.js", "compatibility_date": "2026-11-01",
  "kv_namespaces": [{ "binding": "MY_KV" }], "vars": { "WHERE": "top" }, "triggers": { "crons": ["*/5 * * * *"] },
  "env": { "staging": { "vars": { "WHERE": "staging" }, "kv_namespaces": [{ "binding": "MY_KV" }], "workers_dev": false } } }`,
		"index.js": `export default { scheduled() {}, async fetch(r, env) { await env.MY_KV.put("k", env.WHERE); return new Response(env.WHERE + await env.MY_KV.get("k")); } }`,
	})
	out := p.deployOurs(t, dir)
	if !slices.Contains(out.Targets, "cron */5 * * * *") {
		t.Errorf("targets %q", out.Targets)
	}
	// The second deploy has the namespace already.
	if again := p.deployOurs(t, dir, "--var", "WHERE:flag"); again.Bindings[1]["type"] != "inherit" {
		t.Errorf("bindings %v", again.Bindings)
	}
	if a := p.get(t, p.host("prov"), "/"); a.Body != "flagflag" {
		t.Errorf("GET / = %d %q", a.Status, a.Body)
	}
	if stdout, stderr, code := p.ours(t, dir, "", "deploy"); code != 0 || !strings.Contains(stderr, "has environments (staging)") || !strings.Contains(stdout, "as before") {
		t.Errorf("a deploy without --env: %d %s%s", code, stdout, stderr)
	}
	if _, stderr, code := p.oursWith(t, dir, "", []string{"CLOUDFLARE_ENV=nosuch"}, "deploy", "--env", "", "--data", p.data); code != 0 || stderr != "" {
		t.Errorf(`deploy --env "": %d %s`, code, stderr)
	}
	staging := p.deployOurs(t, dir, "--env", "staging")
	if staging.Name != "prov-staging" || staging.URL != "" {
		t.Errorf("staging is %+v", staging)
	}
	if a := p.get(t, p.host("prov-staging"), "/"); a.Status != 404 {
		t.Errorf("workers_dev off answers %d", a.Status)
	}
	schedules, err := p.client(t).Schedules(t.Context(), "prov")
	if err != nil || len(schedules) != 1 {
		t.Errorf("schedules %v %v", schedules, err)
	}
	// What cannot be set is listed; the rest is.
	stdout, stderr, code := p.ours(t, dir, "", "deploy", "--triggers", "99 * *", "--json")
	if code != 1 || !strings.Contains(stderr, "Cron triggers: ") || !strings.Contains(stdout, `"failed":["Cron triggers`) {
		t.Errorf("a bad cron: %d %s\n%s", code, stderr, stdout)
	}
	// Assets alone need no code.
	site := project(t, map[string]string{"public/index.html": "<h1>site</h1>", "public/.assetsignore": "*.draft\n", "public/a.draft": "no", "public/b.webmanifest": "{}"})
	if got := p.deployOurs(t, site, "public", "--name", "site", "--compatibility-date", "2026-11-01"); got.VersionID == "" {
		t.Errorf("%+v", got)
	}
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/b.webmanifest": "application/manifest+json", "/a.draft": "404"} {
		a := p.get(t, p.host("site"), path)
		if got := a.Header.Get("Content-Type"); got != want && (want != "404" || a.Status != 404) {
			t.Errorf("GET %s = %d %q, want %q", path, a.Status, got, want)
		}
	}
}

// TestOursOldCompatibilityDate holds that an app of last year is built as wrangler
// does where it has wrangler's packages, and is told what to do where it has not.
func TestOursOldCompatibilityDate(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{ "name": "old", "main": "index.ts", "compatibility_date": "2025-06-01", "compatibility_flags": ["nodejs_compat"] }`,
		"index.ts":       "import fs from 'node:fs'; import path from 'node:path';\nexport default { fetch() { return new Response([typeof fs.readFileSync, path.sep, process.platform, typeof performance.now].join()); } };",
	})
	if _, stderr, code := p.ours(t, dir, "", "deploy"); code != 1 || !strings.Contains(stderr, `"node:fs" is part of the runtime from the compatibility date 2025-09-15 on`) || !strings.Contains(stderr, "index.ts:1:") {
		t.Errorf("without unenv: %d %s", code, stderr)
	}
	modules := filepath.Join(repo(t), "tools", "node_modules")
	if err := os.MkdirAll(filepath.Join(dir, "node_modules", "@cloudflare"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"unenv", "@cloudflare/unenv-preset"} {
		if err := os.Symlink(filepath.Join(modules, name), filepath.Join(dir, "node_modules", name)); err != nil {
			t.Fatal(err)
		}
	}
	p.must(t, dir, "deploy", "--name", "theirs")
	p.deployOurs(t, dir, "--name", "mine")
	if want, got := p.get(t, p.host("theirs"), "/"), p.get(t, p.host("mine"), "/"); want.Status != 200 || got.Body != want.Body {
		t.Errorf("GET / = %d %q, with wrangler %d %q", got.Status, got.Body, want.Status, want.Body)
	}
	// Without the module that is missing, the runtime's own is enough.
	rewrite(t, dir, "index.ts", "import path from 'node:path';\nexport default { fetch() { return new Response(path.join('a', 'b') + typeof process.env); } };")
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	p.deployOurs(t, dir)
	if a := p.get(t, p.host("old"), "/"); a.Body != "a/bobject" {
		t.Errorf("GET / = %d %q", a.Status, a.Body)
	}
}

func TestOursRoutesDomainsServices(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.deployOurs(t, worker(t, "callee", hello("called")))
	dir := project(t, map[string]string{
		"wrangler.toml": `name = "routed"
main = "index.js"
compatibility_date = "2026-11-01"
routes = [ { pattern = "zone.test/api/*", zone_name = "zone.test" }, { pattern = "app.zone.test", custom_domain = true } ]
[[services]]
binding = "CALLEE"
service = "callee"
`,
		"index.js": `export default { async fetch(r, env) { return new Response("routed " + await (await env.CALLEE.fetch("http://x/")).text()); } }`,
	})
	// Without the zone nothing leads there, and the deploy says so; with it all does.
	if _, stderr, code := p.ours(t, dir, "", "deploy"); code != 1 || !strings.Contains(stderr, "Routes: ") || !strings.Contains(stderr, "Custom domains: ") {
		t.Errorf("a deploy to no zone: %d %s", code, stderr)
	}
	p.ok(t, dir, "", "zone", "add", "zone.test")
	out := p.deployOurs(t, dir)
	if !slices.Equal(out.Targets, []string{"route zone.test/api/*", "custom domain app.zone.test"}) {
		t.Errorf("targets %q", out.Targets)
	}
	for host, want := range map[string]int{"zone.test": 200, "app.zone.test": 200, p.host("routed"): 404} {
		a := p.get(t, host, "/api/x")
		if a.Status != want || want == 200 && a.Body != "routed called" {
			t.Errorf("%s answers %d %q, want %d", host, a.Status, a.Body, want)
		}
	}
	if out := p.ok(t, dir, "", "delete", "callee", "--dry-run"); !strings.Contains(out, "routed") {
		t.Errorf("delete --dry-run does not name who refers to it: %q", out)
	}
	if _, stderr, code := p.ours(t, dir, "", "delete", "callee", "--yes"); code != 1 || !strings.Contains(stderr, "--force") {
		t.Errorf("delete of what is referred to: %d %s", code, stderr)
	}
}
