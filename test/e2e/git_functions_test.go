package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGitFunctions pushes folders of functions: their routes, their settings, a package that they import, and what a
// build makes of a _worker.js.
func TestGitFunctions(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "--builds-network", "public", "--egress-allow", "127.0.0.2/32:"+port)
	id := p.kvNamespace(t, t.TempDir(), "git-kv")

	// The project's settings, a package and TypeScript.
	files := r.files()
	files["public/index.html"] = "home"
	files["public/_headers"] = "/*\n  X-From: headers\n"
	files["functions/_middleware.ts"] = `export const onRequest: PagesFunction = async (c) => { const r = await c.next(); r.headers.set("x-mw", "1"); return r }`
	files["functions/api/[id].ts"] = `import dep from "dep"; import { twice } from "../lib/twice"; export const onRequestGet = (c) => Response.json([dep, twice(c.params.id as string), c.env.NAME, c.env.CF_PAGES_BRANCH])`
	files["functions/lib/twice.ts"] = `export const twice = (s: string): string => s + s`
	files["functions/count.js"] = `export const onRequest = async ({ env }) => { const n = 1 + Number(await env.KV.get("n")); await env.KV.put("n", String(n)); return new Response(String(n)) }`
	c := p.site(t, "gitfn", map[string]any{"destination_dir": "public"}, files)
	p.patchProject(t, "gitfn", `{"deployment_configs":{"production":{"compatibility_date":"2026-01-01","env_vars":{"NAME":{"type":"plain_text","value":"prod"}},"kv_namespaces":{"KV":{"namespace_id":"`+id+`"}}},"preview":{"compatibility_date":"2026-01-01","env_vars":{"NAME":{"type":"plain_text","value":"pre"}}}}}`)
	wantAll(t, c.git(t, "push", "origin", "main"), "remote: $ npm ci", "Putting the Functions together", "Deployed: ")
	host := p.pagesHost("", "gitfn")
	for path, want := range map[string]string{"/": "home", "/api/x": `["from the dependency","xx","prod","main"]`, "/count": "1"} {
		a := p.get(t, host, path)
		if a.Status != 200 || a.Body != want || a.Header.Get("X-Mw") != "1" {
			t.Errorf("GET %s = %d %q %v, want %q", path, a.Status, a.Body, a.Header, want)
		}
	}
	c.git(t, "checkout", "--quiet", "-b", "next")
	c.git(t, "push", "origin", "next")
	if a := p.get(t, p.pagesHost("next", "gitfn"), "/api/y"); a.Body != `["from the dependency","yy","pre","next"]` || a.Header.Get("X-Robots-Tag") != "noindex" {
		t.Errorf("the preview = %d %q", a.Status, a.Body)
	}
	// A function that cannot be built: the site stays.
	rewrite(t, c.dir, "functions/count.js", "export const onRequest = 1 +;")
	c.commit(t, "broken")
	wantAll(t, c.git(t, "push", "origin", "next:main"), "count.js:1", "Error: the commit's settings or its code are not right")
	if a := p.get(t, host, "/count"); a.Body != "2" {
		t.Errorf("after a failed build: %d %q", a.Status, a.Body)
	}

	// A wrangler file, and a _worker.js that a command makes.
	c = p.site(t, "gitadv", map[string]any{"build_command": "sh build.sh"}, map[string]string{
		"wrangler.jsonc": `{"name":"gitadv","pages_build_output_dir":"out","compatibility_date":"2026-01-01","vars":{"GREETING":"hi"},"kv_namespaces":[{"binding":"STORE","id":"` + id + `"}],
			"env":{"preview":{"vars":{"GREETING":"hello"}}}}`,
		"build.sh": `mkdir -p out/_worker.js; echo "home $GREETING" > out/index.html; cp worker.mjs out/_worker.js/index.js; echo 'export const text = (g) => g + " from the worker"' > out/_worker.js/lib.js`,
		"worker.mjs": `export default { async fetch(request, env) { const { text } = await import("./lib.js"); const u = new URL(request.url);
			return u.pathname === "/w" ? new Response(text(env.GREETING) + (env.STORE ? " with a store" : "")) : env.ASSETS.fetch(request) } }`,
	})
	wantAll(t, c.git(t, "push", "origin", "main"), "remote: $ sh build.sh", "Deployed: ")
	for path, want := range map[string]string{"/": "home hi\n", "/w": "hi from the worker with a store", "/_worker.js/lib.js": "home hi\n"} {
		if a := p.get(t, p.pagesHost("", "gitadv"), path); a.Status != 200 || a.Body != want {
			t.Errorf("GET %s = %d %q, want %q", path, a.Status, a.Body, want)
		}
	}
	c.git(t, "checkout", "--quiet", "-b", "try")
	c.git(t, "push", "origin", "try")
	for path, want := range map[string]string{"/": "home hello\n", "/w": "hello from the worker"} {
		if a := p.get(t, p.pagesHost("try", "gitadv"), path); a.Body != want {
			t.Errorf("preview: GET %s = %d %q, want %q", path, a.Status, a.Body, want)
		}
	}
	if a := p.api(t, http.MethodGet, "/pages/projects/gitadv/deployments", nil); !strings.Contains(a.Body, `"uses_functions":true`) {
		t.Errorf("the deployments: %s", a.Body)
	}
}

// TestGitHostileFunctions pushes code whose imports, links and settings lead out of the repository, or have no end.
func TestGitHostileFunctions(t *testing.T) {
	t.Parallel()
	p := start(t, "--builds-timeout", "20s", "--builds-memory", "512MiB")
	secret := filepath.Join(p.data, "secret.txt")
	if err := os.WriteFile(secret, []byte("the operator's own"), 0o644); err != nil {
		t.Fatal(err)
	}
	const handler = "export const onRequest = () => new Response(String(text))"
	c := p.site(t, "hostile", nil, map[string]string{"index.html": "ok", "functions/f.js": `const text = "fine"; ` + handler})
	c.git(t, "push", "origin", "main")
	if a := p.get(t, p.pagesHost("", "hostile"), "/f"); a.Body != "fine" {
		t.Fatalf("GET /f = %d %q\n%s", a.Status, a.Body, c.log(t, c.last(t).ID))
	}
	for _, h := range []struct {
		name, file, text, link, want string
	}{
		{"an absolute import", "functions/f.js", `import text from "` + secret + `"; ` + handler, "", "ould not re"},
		{"a relative import", "functions/f.js", `import text from "../../../../../../../../../../..` + secret + `"; ` + handler, "", "ould not re"},
		{"a link", "functions/t.txt", "", secret, "ould not re"},
		{"a link as a function", "functions/g.js", "", secret, "a link that leads nowhere"},
		{"a folder as a link", "functions", "", "/etc", "no file that exports a handler"},
		{"a folder that is nowhere", "functions", "", filepath.Dir(secret), "a link that leads to no folder"},
		{"a worker that is nowhere", "_worker.js", "", secret, "_worker.js is a link that leads nowhere"},
		{"a tsconfig.json", "tsconfig.json", `{"extends":"` + filepath.Join(p.data, "secret.txt") + `"}`, "", "Cannot find base config file"},
		{"an endless import", "functions/f.js", `import text from "./t.txt"; ` + handler, "/dev/zero", "/dev/zero is no regular file"},
		{"a wrangler file that leads out", "wrangler.json", `{"name":"hostile","pages_build_output_dir":"../../../..` + p.data + `"}`, "", "leads out of the project"},
		{"a wrangler file that leads to the system", "wrangler.json", `{"name":"hostile","pages_build_output_dir":"/../../../../../../usr/share"}`, "", "leads out of the project"},
		{"a binding of somebody else", "wrangler.json", `{"name":"hostile","pages_build_output_dir":".","kv_namespaces":[{"binding":"KV","id":"00000000000000000000000000000000"}]}`, "", "00000000000000000000000000000000"},
	} {
		c.git(t, "checkout", "--quiet", "-B", "try", "main")
		if h.name == "a link" || h.name == "an endless import" {
			rewrite(t, c.dir, "functions/f.js", `import text from "./t.txt"; `+handler)
		}
		file := filepath.Join(c.dir, h.file)
		if h.link != "" {
			file = filepath.Join(c.dir, "functions", "t.txt")
			if !strings.HasSuffix(h.file, "f.js") {
				file = filepath.Join(c.dir, h.file)
			}
			if h.file == "functions" {
				if err := os.RemoveAll(file); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(h.link, file); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(file, []byte(h.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.commit(t, h.name)
		out := c.git(t, "push", "--force", "origin", "try")
		b := c.last(t)
		t.Logf("%s: %s: %s", h.name, b.Status, b.Reason)
		want := "failure"
		if h.name == "a tsconfig.json" || h.name == "a folder as a link" {
			want = "success" // with a warning, as esbuild and wrangler have it
		}
		if b.Message != h.name || b.Status != want || !strings.Contains(out, h.want) {
			t.Errorf("%s: %+v\n%s", h.name, b, tail(out, 3000))
		}
		if strings.Contains(out, "the operator's own") {
			t.Errorf("%s: the build has read the platform's files:\n%s", h.name, out)
		}
	}
	if a := p.get(t, p.pagesHost("", "hostile"), "/f"); a.Body != "fine" {
		t.Errorf("GET /f = %d %q", a.Status, a.Body)
	}
}
