package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// buildShelf copies examples/shelf and builds it with Vite, as its author would.
func buildShelf(t *testing.T) string {
	t.Helper()
	source, dir := filepath.Join(repo(t), "examples", "shelf"), t.TempDir()
	if _, err := os.Stat(filepath.Join(source, "node_modules", "vite")); err != nil {
		t.Fatalf("%v: run \"make examples/shelf/node_modules/.installed\"", err)
	}
	for _, name := range []string{"package.json", "index.html", "vite.config.ts", "tsconfig.json", "wrangler.jsonc", "src", "lib", "public", "functions"} {
		if out, err := exec.Command("cp", "-r", filepath.Join(source, name), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.Symlink(filepath.Join(source, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	viteBuild(t, dir)
	return dir
}

func viteBuild(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("node", "node_modules/vite/bin/vite.js", "build")
	cmd.Dir, cmd.Env = dir, append(cleanEnv(t), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("vite build: %v\n%s", err, out)
	}
}

// TestPagesReact looks at a React app, built with Vite, in a browser: deployed with wrangler, and while somebody has
// it open, again with selvage.
func TestPagesReact(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := buildShelf(t)
	p.must(t, dir, "pages", "project", "create", "shelf", "--production-branch", "main")
	p.must(t, dir, "pages", "deploy", "--branch", "main", "--commit-dirty")
	edge, err := url.Parse(p.EdgeURL)
	if err != nil {
		t.Fatal(err)
	}
	site := "http://" + p.pagesHost("", "shelf") + ":" + edge.Port() // names below localhost lead to this machine
	const title = `document.querySelector("h1")?.textContent`

	b := openBrowser(t)
	b.open(site + "/")
	b.wait(title, "Books of the selvage examples")
	b.wait(`[...document.querySelectorAll("li a")].map((a) => a.textContent).join()`, "Moby-Dick,Middlemarch,Effi Briest")
	b.wait(`getComputedStyle(document.querySelector("header")).backgroundColor`, "rgb(47, 93, 80)") // its style sheet is there
	b.screenshot("books")
	// A click changes the address without loading a page; the book comes from a Function.
	b.js(`window.mark = "the same page"; document.querySelector("li a").click()`)
	b.wait(title, "Moby-Dick")
	b.wait(`location.pathname + " " + window.mark`, "/books/moby-dick the same page")
	b.screenshot("book")
	// The same address from outside: a path without a file is for the app.
	b.open(site + "/books/middlemarch")
	b.wait(`document.querySelector("article p")?.textContent`, "George Eliot, 1871")
	b.open(site + "/no/such/page")
	b.wait(`document.querySelector("[role=alert]")?.textContent`, "There is nothing at /no/such/page.")
	b.open(site + "/shelf") // _redirects
	b.wait(`location.pathname + " " + document.querySelectorAll("li").length`, "/ 3")

	// Another version is deployed while the page is open. Its files have other names; the old ones are still there.
	before := b.js(`document.querySelector("script[type=module]").src`)
	rewrite(t, dir, "src/style.css", "header { background: #123456 } li { color: red }")
	rewrite(t, dir, "src/main.tsx", `import { createRoot } from "react-dom/client"; import "./style.css";
createRoot(document.getElementById("root")!).render(<><header>x</header><h1>Another version</h1></>);`)
	viteBuild(t, dir)
	if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", "dist", "--project", "shelf", "--branch", "main"); code != 0 {
		t.Fatalf("selvage pages deploy: %d %s", code, stderr)
	}
	b.wait(`fetch(`+"`"+before+"`"+`).then(async (r) => r.status + " " + (await r.text()).includes("There is nothing at"))`,
		"200 true")
	b.js(`document.querySelector("li a").click()`)
	b.wait(title, "Moby-Dick")
	if len(b.said) > 0 {
		t.Errorf("the browser complained:\n%q", b.said)
	}
	b.open(site + "/")
	b.wait(title, "Another version")
	b.wait(`getComputedStyle(document.querySelector("header")).backgroundColor`, "rgb(18, 52, 86)")
	if after := b.js(`document.querySelector("script[type=module]").src`); after == before {
		t.Errorf("the script has the same name: %s", after)
	}
}

// TestPagesReactPushed pushes what Vite has built with git. The platform compiles its Functions in the sandbox, by the
// settings of the wrangler file.
func TestPagesReactPushed(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := &checkout{p: p, dir: buildShelf(t), project: "shelf"}
	if err := os.Remove(filepath.Join(c.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := p.ours(t, c.dir, "", "pages", "create", "shelf"); code != 0 {
		t.Fatal(stderr)
	}
	c.git(t, "init", "--quiet", "--initial-branch=main")
	c.git(t, "remote", "add", "origin", p.remote(t, "shelf", p.Token))
	c.commit(t, "first")
	wantAll(t, c.git(t, "push", "origin", "main"), "Deployed: ")
	edge, err := url.Parse(p.EdgeURL)
	if err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t)
	b.open("http://" + p.pagesHost("", "shelf") + ":" + edge.Port() + "/books/effi-briest")
	b.wait(`document.querySelector("article p")?.textContent`, "Theodor Fontane, 1895")
	b.js(`document.querySelector("header a").click()`)
	b.wait(`document.querySelector("h1")?.textContent`, "Books of the selvage examples")
	if len(b.said) > 0 {
		t.Errorf("the browser complained:\n%q", b.said)
	}
}
