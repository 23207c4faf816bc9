package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// routedSite has routes of every kind, and a plugin that is a package.
func routedSite() map[string]string {
	const show = `const show = (name) => (c) => Response.json({ name, path: c.functionPath, params: c.params, method: c.request.method, trail: c.data.trail ?? [] });`
	mark := func(name string) string {
		return `export const onRequest = async (c) => { (c.data.trail ??= []).push("` + name + `:" + c.functionPath + ":" + JSON.stringify(c.params)); const r = await c.next(); r.headers.append("x-trail", "` + name + `"); return r }`
	}
	files := map[string]string{
		"dist/index.html": "home", "dist/plain.txt": "plain", "dist/deep/file.txt": "deep file", "dist/404.html": "nothing here", "dist/pass.html": "passed", "dist/secret/file.txt": "secret",
		"functions/_middleware.js": `const first = async (c) => { const r = await c.next(); r.headers.set("x-first", "1"); return r };
			export const onRequest = [first, ` + strings.TrimPrefix(mark("root"), "export const onRequest = ") + `];
			export const onRequestPost = async (c) => { const r = await c.next(); r.headers.set("x-post", "1"); return r }`,
		"functions/a/_middleware.js":      mark("a"),
		"functions/a/[id]/_middleware.ts": mark("id"),
		"functions/a/[id]/index.js":       show + `export const onRequest = show("a-id")`,
		"functions/a/fixed.js":            show + `export const onRequestGet = show("fixed"); export const onRequest = show("fixed-all")`,
		"functions/a/[id]/[[rest]].mjs":   show + `export const onRequest = show("rest")`,
		"functions/[x]/[y].js":            show + `export const onRequest = show("xy")`,
		"functions/z/[[all]].js":          show + `export const onRequestGet = show("z-get"); export const onRequestPut = show("z-put")`,
		"functions/user-[id].json.js":     show + `export const onRequest = show("user")`,
		"functions/dots.v1/a+b.js":        show + `export const onRequest = show("dots")`,
		"functions/methods.js":            `export const onRequestHead = () => new Response(null, { headers: { "x-head": "1" } }); export const onRequestOptions = () => new Response("options"); export const onRequestDelete = () => new Response(null, { status: 204 }); export const onRequestPatch = async (c) => new Response(await c.request.text(), { status: 202 })`,
		"functions/echo.js":               `export const onRequestPost = async (c) => { const text = await c.request.text(); return new Response(text.length + " " + text.slice(0, 20), { headers: { "x-type": c.request.headers.get("content-type") ?? "" } }) }`,
		"functions/later/_middleware.js":  `export const onRequest = async (c) => { const copy = c.request.clone(); const r = await c.next(); return new Response((await copy.text()) + "|" + (await r.text()), r) }`,
		"functions/later/body.js":         `export const onRequestPost = async (c) => new Response("second " + (await c.request.text()))`,
		"functions/asset.js":              `export const onRequest = async ({ env, request }) => { const r = await env.ASSETS.fetch(new URL("/plain.txt", request.url)); return new Response("via " + await r.text(), { headers: { "x-etag": r.headers.has("etag") } }) }`,
		"functions/missing.js":            `export const onRequest = ({ env, request }) => env.ASSETS.fetch(new URL("/not/there", request.url))`,
		"functions/rewrite.js":            `export const onRequest = (c) => c.next("/plain.txt")`,
		"functions/redirected.js":         `export const onRequest = (c) => c.next(new Request(new URL("/deep/file.txt", c.request.url), { headers: { "x-new": "1" } }))`,
		"functions/init.js":               `export const onRequest = (c) => c.next("/plain.txt", { method: "HEAD" })`,
		"functions/pass.js":               `export const onRequest = async (c) => { await c.request.text(); c.passThroughOnException(); throw new Error("deliberate") }`,
		"functions/throws.js":             `export const onRequest = () => { throw new Error("deliberate") }`,
		"functions/wrong.js":              `export const onRequest = () => "no response"`,
		"functions/data.js":               `export const onRequest = (c) => { try { c.data = 7 } catch (e) { return new Response("refused") } return new Response("taken") }`,
		"functions/wait.js":               `export const onRequest = ({ waitUntil }) => { waitUntil(Promise.resolve()); return new Response("waits") }`,
		"functions/immutable.js":          `export const onRequest = () => Response.redirect("https://example.test/x", 307)`,
		"functions/text.ts":               `import text from "./lib/words.txt"; export const onRequest: PagesFunction = () => new Response(text)`,
		"functions/lib/words.txt":         "some words",
		"functions/lib/helper.js":         `export const mention = "onRequest is what a handler is called"`,
		"functions/secret/_middleware.js": `export const onRequest = () => new Response("forbidden", { status: 403 })`,
		"functions/plug/_middleware.js":   `import plugin from "pages-plugin-hello"; export const onRequest = plugin({ greeting: "hi" })`,
		"functions/static/[[path]].js":    `export { onRequest } from "assets:../../files"`,
		"functions/folder/_middleware.js": `import { onRequest as files } from "assets:../../files"; export const onRequest = files`,
		"functions/socket.js":             `export const onRequest = () => { const [client, server] = Object.values(new WebSocketPair()); server.accept(); server.addEventListener("message", (e) => server.send("back " + e.data)); return new Response(null, { status: 101, webSocket: client }) }`,
		"files/one.txt":                   "one", "files/sub/index.html": "<p>sub</p>",
	}
	return files
}

// pluginSource is what the package is made of, by wrangler.
func pluginSource() map[string]string {
	return map[string]string{
		"functions/_middleware.js": `export const onRequest = async (c) => { const r = await c.next(); r.headers.set("x-plugin", c.pluginArgs.greeting); return r }`,
		"functions/hello/[who].js": `export const onRequestGet = (c) => Response.json([c.pluginArgs.greeting, c.params.who, c.functionPath])`,
	}
}

type asked struct{ method, path, body string }

func routedRequests() []asked {
	var out []asked
	for path := range strings.FieldsSeq(`/ /plain.txt /deep/file.txt /nothing/at/all/there /a /a/ /a/7 /a/7/ /a/7/b/c /a/7//b /a/fixed /a/FIXED/ /A/x /q/w /q/w/ /z /z/ /z/1/2 /z//1
		/user-7.json /user-7xjson /user-.json /dots.v1/a+b /dotsxv1/a+b /methods /asset /missing /rewrite /redirected /init /pass /throws /wrong /data /wait /immutable /text /lib/helper
		/secret/file.txt //secret/file.txt /secret//file.txt /%73ecret/file.txt /secret/ /plug /plug/hello/bob /plug/hello/bob/ /plug/other /static/one.txt /static/sub/ /static/sub /static/none
		/folder/one.txt /folder /folder/sub/ /a/%20b /a/x?y=z /q/w?x#y`) {
		out = append(out, asked{"GET", path, ""})
	}
	return append(out, []asked{
		{"POST", "/a/fixed", "x"},
		{"POST", "/z/1", "x"},
		{"PUT", "/z/1", "x"},
		{"HEAD", "/methods", ""},
		{"OPTIONS", "/methods", ""},
		{"DELETE", "/methods", ""},
		{"PATCH", "/methods", "patched"},
		{"POST", "/echo", "hello"},
		{"POST", "/echo", strings.Repeat("b", 300_000)},
		{"GET", "/echo", ""},
		{"POST", "/later/body", "payload"},
		{"POST", "/plain.txt", "x"},
		{"POST", "/pass", "x"},
		{"POST", "/a/7", "x"},
		{"POST", "/rewrite", "x"},
		{"HEAD", "/a/7", ""},
		{"HEAD", "/plain.txt", ""},
		{"PURGE", "/a/7", ""},
	}...)
}

// TestPagesSameAnswers deploys the same sources three ways (compiled by wrangler, by "selvage pages deploy", and by a
// build after git push) and wants the same answers.
func TestPagesSameAnswers(t *testing.T) {
	t.Parallel()
	p := start(t)
	plugin := project(t, pluginSource())
	p.must(t, plugin, "pages", "functions", "build", "--plugin", "--outdir", "built")
	built, err := os.ReadFile(filepath.Join(plugin, "built", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	files := routedSite()
	files["node_modules/pages-plugin-hello/package.json"] = `{"name":"pages-plugin-hello","version":"1.0.0","main":"index.js"}`
	files["node_modules/pages-plugin-hello/index.js"] = string(built)
	const settings = `{"deployment_configs":{"production":{"compatibility_date":"2026-01-01"},"preview":{"compatibility_date":"2026-01-01"}}}`

	ours := project(t, files)
	if _, stderr, code := p.ours(t, ours, "", "pages", "create", "ours", "--compatibility-date", "2026-01-01"); code != 0 {
		t.Fatal(stderr)
	}
	begin := time.Now()
	took := func(what string) {
		t.Helper()
		t.Logf("%s: %d ms", what, time.Since(begin).Milliseconds())
	}
	if _, stderr, code := p.ours(t, ours, "", "pages", "deploy", "dist", "--project", "ours", "--branch", "main"); code != 0 {
		t.Fatalf("selvage pages deploy: %s", stderr)
	}
	took("selvage pages deploy")
	pushed := p.site(t, "pushed", map[string]any{"destination_dir": "dist"}, files)
	p.patchProject(t, "pushed", settings)
	begin = time.Now()
	pushed.git(t, "push", "origin", "main")
	took("git push")
	if b := pushed.last(t); b.Status != "success" {
		t.Fatalf("%+v\n%s", b, pushed.log(t, b.ID))
	}
	theirs := project(t, files) // last: wrangler copies folders that are imported into dist
	p.must(t, theirs, "pages", "project", "create", "theirs", "--production-branch", "main", "--compatibility-date", "2026-01-01")
	begin = time.Now()
	p.must(t, theirs, "pages", "deploy", "dist", "--project-name", "theirs", "--branch", "main")
	took("wrangler pages deploy")

	p.sameAnswers(t, routedRequests())
	for _, site := range []string{"theirs", "ours", "pushed"} {
		p.siteSocket(t, p.pagesHost("", site))
	}
	// The comparison would hold for sites that answer nothing: a few answers by themselves.
	for path, want := range map[string]string{
		"/a/7/b/c":        `{"name":"rest","path":"/a/7/b/c","params":{"id":"7","rest":["b","c"]},"method":"GET","trail":["root:/:{}","a:/a:{}","id:/a/7:{\"id\":\"7\"}"]}`,
		"/plug/hello/bob": `["hi","bob","/plug/hello/bob"]`, "/folder/one.txt": "one", "//secret/file.txt": "forbidden", "/text": "some words", "/pass": "passed",
	} {
		if a := p.get(t, p.pagesHost("", "theirs"), path); a.Body != want {
			t.Errorf("%s = %d %s, want %s", path, a.Status, a.Body, want)
		}
	}
}

// describe asks a site and says what it answered, but for what differs from request to request.
func (p *platform) describe(t *testing.T, site string, q asked) string {
	t.Helper()
	req := p.request(t, q.method, p.pagesHost("", site), q.path, nil)
	if q.body != "" {
		req = p.request(t, q.method, p.pagesHost("", site), q.path, strings.NewReader(q.body))
	}
	a := do(t, req)
	h := http.Header{}
	for name, v := range a.Header {
		if strings.HasPrefix(name, "X-") && name != "X-Ray" || name == "Content-Type" || name == "Location" || name == "Etag" || name == "Cache-Control" || name == "Allow" {
			h[name] = v
		}
	}
	text := a.Body
	if a.Status >= 500 {
		text = "" // names the line, which differs
	}
	return fmt.Sprintf("%d %q %v", a.Status, text, h)
}

// sameAnswers compares the sites "ours" and "pushed" with "theirs", which wrangler has compiled.
func (p *platform) sameAnswers(t *testing.T, requests []asked) {
	t.Helper()
	same := 0
	for _, q := range requests {
		want := p.describe(t, "theirs", q)
		for _, site := range []string{"ours", "pushed"} {
			if got := p.describe(t, site, q); strings.ReplaceAll(got, site+".pages", "theirs.pages") != want {
				t.Errorf("%s %s: %s\n got  %s\n want %s", q.method, q.path, site, got, want)
				continue
			}
			same++
		}
	}
	t.Logf("%d answers are the same", same)
}

// TestPagesExample deploys the Functions of the example three ways, with its own wrangler file.
func TestPagesExample(t *testing.T) {
	t.Parallel()
	p := start(t)
	files := map[string]string{}
	top := filepath.Join(repo(t), "examples", "shelf")
	for at, from := range map[string]string{"functions": "functions", "lib": "lib", "dist": "public"} {
		err := fs.WalkDir(os.DirFS(filepath.Join(top, from)), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(filepath.Join(top, from, name))
			files[at+"/"+name] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]string{"wrangler.jsonc": "wrangler.jsonc", "tsconfig.json": "tsconfig.json", "index.html": "dist/index.html"} {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		files[at] = string(text)
	}
	dir := project(t, files)
	pushed := p.site(t, "pushed", nil, files)
	pushed.git(t, "push", "origin", "main")
	if b := pushed.last(t); b.Status != "success" {
		t.Fatalf("%+v\n%s", b, pushed.log(t, b.ID))
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", "--project", "ours", "--create", "--branch", "main"); code != 0 {
		t.Fatal(stderr)
	}
	p.must(t, dir, "pages", "project", "create", "theirs", "--production-branch", "main")
	p.must(t, dir, "pages", "deploy", "--project-name", "theirs", "--branch", "main")
	var requests []asked
	for path := range strings.FieldsSeq("/ /shelf /icon.svg /api /api/books /api/books/ /api/books/moby-dick /API/BOOKS/middlemarch /api/books/none /api/books/a/b /books/effi-briest /nothing") {
		requests = append(requests, asked{"GET", path, ""}, asked{"HEAD", path, ""}, asked{"POST", path, "x"})
	}
	p.sameAnswers(t, requests)
	if a := p.get(t, p.pagesHost("", "pushed"), "/api/books"); !strings.Contains(a.Body, `"owner":"the selvage examples"`) {
		t.Errorf("GET /api/books = %d %s", a.Status, a.Body)
	}
}
