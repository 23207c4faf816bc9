package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// checkout is a clone of a user's, with a remote at a project of the platform.
type checkout struct {
	p       *platform
	dir     string
	project string
}

// site makes a project and a repository with files in it that can be pushed to it.
func (p *platform) site(t *testing.T, name string, build map[string]any, files map[string]string) *checkout {
	t.Helper()
	c := &checkout{p: p, dir: project(t, files), project: name}
	body := map[string]any{"name": name, "production_branch": "main"}
	if build != nil {
		body["build_config"] = build
	}
	if a := p.api(t, http.MethodPost, "/pages/projects", body); a.Status != 200 {
		t.Fatalf("make a project: %d %s", a.Status, a.Body)
	}
	c.git(t, "init", "--quiet", "--initial-branch=main")
	c.git(t, "remote", "add", "origin", p.remote(t, name, p.Token))
	c.commit(t, "first")
	return c
}

// remote is the address of a project's repository, with a token in it.
func (p *platform) remote(t *testing.T, name, token string) string {
	t.Helper()
	u, err := url.Parse(p.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("git", token)
	return u.String() + "/git/" + p.AccountID + "/" + name + ".git"
}

// api calls the v4 API below the account.
func (p *platform) api(t *testing.T, method, path string, body any) answer {
	t.Helper()
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.APIURL+"/client/v4/accounts/"+p.AccountID+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	req.Header.Set("Content-Type", "application/json")
	return do(t, req)
}

// try runs the user's git; what it printed, both streams, and how it ended.
func (c *checkout) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = c.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LANG=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.test", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.test",
	}
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *checkout) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s\n%s", strings.Join(args, " "), err, out, tail(c.p.stderr.String(), 4000))
	}
	return out
}

// commit takes all that is in the folder.
func (c *checkout) commit(t *testing.T, message string) {
	t.Helper()
	c.git(t, "add", "--all", "--force", "--", ".", ":!.gitconfig")
	c.git(t, "commit", "--quiet", "--allow-empty", "-m", message)
}

type buildOf struct {
	ID      string `json:"id"`
	Branch  string `json:"branch"`
	Commit  string `json:"commit_hash"`
	Message string `json:"commit_message"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	URL     string `json:"url"`
}

// builds are those of the project, newest first.
func (c *checkout) builds(t *testing.T) []buildOf {
	t.Helper()
	a := c.p.api(t, http.MethodGet, "/selvage/pages/"+c.project+"/builds", nil)
	var r struct {
		Result []buildOf `json:"result"`
	}
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != 200 {
		t.Fatalf("list builds: %d %s", a.Status, a.Body)
	}
	return r.Result
}

// last waits until the newest build is over.
func (c *checkout) last(t *testing.T) buildOf {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all := c.builds(t)
		if len(all) > 0 && all[0].Status != "queued" && all[0].Status != "running" {
			return all[0]
		}
		if time.Now().After(end) {
			t.Fatalf("the build does not end: %+v\n%s", all, tail(c.p.stderr.String(), 4000))
		}
	}
}

// log is the whole log of a build, once it is over.
func (c *checkout) log(t *testing.T, id string) string {
	t.Helper()
	return c.p.api(t, http.MethodGet, "/selvage/pages/"+c.project+"/builds/"+id+"/logs", nil).Body
}

func wantAll(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in:\n%s", w, tail(text, 6000))
		}
	}
}

// TestGitPushFolder pushes a folder that needs no build: production, previews, what
// the terminal shows, a push that is forced, a branch that is deleted, a clone.
func TestGitPushFolder(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.site(t, "site", nil, map[string]string{
		"index.html": "<h1>one</h1>", "a b/ü.txt": "odd", "_redirects": "/old / 301\n", "node_modules/x/y.js": "no", "style.css": "a{}", "404.html": "none",
	})
	out := c.git(t, "push", "origin", "main")
	wantAll(t, out, "remote: Checking out ", "remote: Deploying ", "remote: Deployed: http", "main -> main")
	web := p.pagesHost("", "site")
	if a := p.get(t, web, "/"); a.Body != "<h1>one</h1>" {
		t.Errorf("production = %d %q", a.Status, a.Body)
	}
	if a := p.get(t, web, "/style.css"); a.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("the style has the type %q", a.Header.Get("Content-Type"))
	}
	for path, want := range map[string]int{"/old": 301, "/a%20b/%C3%BC.txt": 200, "/node_modules/x/y.js": 404, "/_redirects": 404} {
		if a := p.get(t, web, path); a.Status != want {
			t.Errorf("%s = %d, want %d", path, a.Status, want)
		}
	}
	b := c.last(t)
	if b.Status != "success" || b.Message != "first" || b.Branch != "main" || b.Commit != strings.TrimSpace(c.git(t, "rev-parse", "HEAD")) {
		t.Errorf("build %+v", b)
	}

	c.git(t, "checkout", "--quiet", "-b", "Fix/it")
	rewrite(t, c.dir, "index.html", "<h1>two</h1>")
	c.commit(t, "second")
	c.git(t, "push", "origin", "Fix/it")
	if a := p.get(t, p.pagesHost("fix-it", "site"), "/"); a.Body != "<h1>two</h1>" || a.Header.Get("X-Robots-Tag") != "noindex" {
		t.Errorf("preview = %d %q %v", a.Status, a.Body, a.Header)
	}
	if a := p.get(t, web, "/"); a.Body != "<h1>one</h1>" {
		t.Errorf("a preview is in production: %q", a.Body)
	}

	c.git(t, "commit", "--quiet", "--amend", "-m", "rewritten")
	if out, err := c.try(t, "push", "origin", "Fix/it"); err == nil {
		t.Errorf("git itself lets history be rewritten without --force:\n%s", out)
	}
	c.git(t, "push", "--force", "origin", "Fix/it")
	if b := c.last(t); b.Message != "rewritten" || b.Status != "success" {
		t.Errorf("after a forced push: %+v", b)
	}
	before := len(c.builds(t))
	wantAll(t, c.git(t, "push", "origin", "--delete", "Fix/it"), "Branch Fix/it was deleted")
	if n := len(c.builds(t)); n != before {
		t.Errorf("a deleted branch was built: %d builds, then %d", before, n)
	}
	if a := p.get(t, p.pagesHost("fix-it", "site"), "/"); a.Status != 200 {
		t.Errorf("the preview of a deleted branch is gone: %d", a.Status)
	}

	for _, word := range []string{"[skip ci]", "[CI Skip]", "[CF-Pages-Skip]"} {
		c.git(t, "checkout", "--quiet", "main")
		c.commit(t, "no build "+word)
		wantAll(t, c.git(t, "push", "origin", "main"), "Not built: the commit's message has ")
		if b := c.last(t); b.Status != "skipped" {
			t.Errorf("%s: %+v", word, b)
		}
	}

	again := &checkout{p: p, dir: t.TempDir(), project: "site"}
	again.git(t, "clone", "--quiet", p.remote(t, "site", p.Token), "copy")
	if b, err := os.ReadFile(filepath.Join(again.dir, "copy", "index.html")); err != nil || string(b) != "<h1>one</h1>" {
		t.Errorf("a clone has %q, %v", b, err)
	}
}

// TestGitBuild runs a project's command: where it runs, what it sees, what it may
// not, and what becomes of its output.
func TestGitBuild(t *testing.T) {
	t.Parallel()
	p := start(t, "--builds-timeout", "60s")
	c := p.site(t, "built", map[string]any{"build_command": "sh ./build.sh", "destination_dir": "dist", "root_dir": "web"}, map[string]string{
		"web/build.sh": `set -e
echo "branch $CF_PAGES_BRANCH commit $CF_PAGES_COMMIT_SHA"
printf 'a title \033]0;owned\007 and \033[31mred\033[0m\n'
mkdir -p dist/deep
cp page.html dist/index.html
cp page.html dist/deep/real.html
ln -s real.html dist/deep/link.html
(exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null && echo "a network" || true
for f in /etc/shadow /root /home "$SELVAGE_DATA" /var /data; do [ -n "$f" ] && [ -e "$f" ] && echo "sees $f"; done
echo "processes: $(ls /proc | grep -c '^[0-9]')"
echo "user $(id -u)"
touch /usr/written 2>/dev/null && echo "wrote /usr"
sleep 1000 & # must not outlive the build
echo done
`,
		"web/page.html": "<p>built</p>",
	})
	out := c.git(t, "push", "origin", "main")
	wantAll(t, out, "remote: $ sh ./build.sh", "remote: branch main commit "+strings.TrimSpace(c.git(t, "rev-parse", "HEAD")), "remote: done", "remote: Deployed: ", "a title  and red")
	for _, bad := range []string{"sees ", "wrote ", "a network", "user 0"} {
		if os.Geteuid() != 0 && bad == "user 0" {
			continue // root in a namespace of its own, and nobody outside
		}
		if strings.Contains(out, bad) {
			t.Errorf("the build %s:\n%s", bad, out)
		}
	}
	for path, want := range map[string]string{"/": "<p>built</p>", "/deep/link": "<p>built</p>"} {
		if a := p.get(t, p.pagesHost("", "built"), path); a.Body != want {
			t.Errorf("%s = %d %q", path, a.Status, a.Body)
		}
	}
	b := c.last(t)
	if log := c.log(t, b.ID); !strings.Contains(log, `"line":"done"`) {
		t.Errorf("log of the build:\n%s", log)
	}

	// A build that fails changes nothing.
	rewrite(t, c.dir, "web/build.sh", "echo broken; exit 3")
	c.commit(t, "broken")
	wantAll(t, c.git(t, "push", "origin", "main"), "remote: broken", "remote: Error: the command exited with code 3")
	if b := c.last(t); b.Status != "failure" || b.Reason != "the command exited with code 3" {
		t.Errorf("%+v", b)
	}
	// It is one of the site's deployments, with its log, and cannot be deployed again.
	var list struct {
		Result []struct {
			ID     string                   `json:"id"`
			Latest client.PagesBuildStage   `json:"latest_stage"`
			Stages []client.PagesBuildStage `json:"stages"`
		} `json:"result"`
	}
	if a := p.api(t, http.MethodGet, "/pages/projects/built/deployments", nil); json.Unmarshal([]byte(a.Body), &list) != nil || len(list.Result) != 2 {
		t.Fatalf("deployments: %d %s", a.Status, a.Body)
	}
	failed := list.Result[0]
	if failed.Latest.Name != "build" || failed.Latest.Status != "failure" {
		t.Errorf("latest stage %+v", failed.Latest)
	}
	if failed.Stages[3].Name != "build" || failed.Stages[3].Status != "failure" || list.Result[1].Stages[3].Status != "success" {
		t.Errorf("stages %+v and %+v", failed.Stages, list.Result[1].Stages)
	}
	if a := p.api(t, http.MethodGet, "/pages/projects/built/deployments/"+failed.ID+"/history/logs", nil); !strings.Contains(a.Body, `"line":"broken"`) || !strings.Contains(a.Body, "exited with code 3") {
		t.Errorf("log of the deployment: %d %s", a.Status, a.Body)
	}
	if a := p.api(t, http.MethodPost, "/pages/projects/built/deployments/"+failed.ID+"/retry", nil); a.Status != 409 {
		t.Errorf("retry: %d %s", a.Status, a.Body)
	}
	if a := p.get(t, p.pagesHost("", "built"), "/"); a.Body != "<p>built</p>" {
		t.Errorf("a failed build has changed the site: %q", a.Body)
	}
}

// TestGitHostileBuilds pushes commands that go too far. Each ends with a sentence
// that says why, the site stays as it is, and the platform goes on.
func TestGitHostileBuilds(t *testing.T) {
	t.Parallel()
	p := start(t, "--builds-timeout", "10s", "--builds-processes", "64", "--builds-memory", "256MiB", "--builds-disk", "64MiB")
	c := p.site(t, "hostile", map[string]any{"build_command": "sh ./build.sh", "destination_dir": "dist"}, map[string]string{
		"build.sh": "mkdir -p dist; echo ok > dist/index.html",
	})
	c.git(t, "push", "origin", "main")
	if b := c.last(t); b.Status != "success" {
		t.Fatalf("%+v\n%s", b, c.log(t, b.ID))
	}
	for _, h := range []struct{ name, script, reason string }{
		{"fork bomb", "bomb() { bomb | bomb & }; bomb; sleep 60", ""},
		{"endless output", "yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | head -c 1073741824; mkdir -p dist; echo more > dist/index.html; exit 7", "the command exited with code 7"},
		{"one endless line", "head -c 268435456 /dev/zero | tr '\\0' x; exit 8", "the command exited with code 8"},
		{"ignores SIGTERM", "trap '' TERM INT HUP; while :; do sleep 1; done", "it took longer than 10s"},
		{"memory", "head -c 3000000000 /dev/zero | tail -c 2000000000 > /dev/null; exit 9", ""},
		{"disk", "i=0; while :; do head -c 8000000 /dev/zero > f$i; i=$((i+1)); sleep 0.1; done", "it wrote more than 64 MiB to disk"},
		{"one large file", "head -c 200000000 /dev/zero > f", ""},
		{"link out", "mkdir -p dist; ln -s /etc/passwd dist/p.txt", "the link \"p.txt\" in the output folder leads out of it"},
		{"link to the folder above", "mkdir -p dist; ln -s ../build.sh dist/b.txt", "the link \"b.txt\" in the output folder leads out of it"},
		{"output is a link", "ln -s /usr dist", "or it leads out of the repository"},
		{"a pipe", "mkdir -p dist; mkfifo dist/p || python3 -c 'import os; os.mkfifo(\"dist/p\")'; echo x > dist/index.html; [ -p dist/p ] || exit 4", ""},
		{"no output", "true", "there is no output folder"},
		{"empty output", "mkdir dist", "has no files"},
	} {
		rewrite(t, c.dir, "build.sh", h.script+"\n")
		c.commit(t, h.name)
		begin := time.Now()
		out := c.git(t, "push", "origin", "main")
		b := c.last(t)
		t.Logf("%s: %s after %s: %s", h.name, b.Status, time.Since(begin).Round(100*time.Millisecond), b.Reason)
		if b.Message != h.name || b.Status != "failure" || !strings.Contains(b.Reason, h.reason) {
			t.Errorf("%s: %+v\n%s", h.name, b, tail(out, 3000))
		}
		if len(out) > 4<<20 {
			t.Errorf("%s: %d bytes came to the terminal", h.name, len(out))
		}
		if h.name == "endless output" {
			wantAll(t, out, "what follows is left out", "[left out: ")
		}
		if a := p.get(t, p.pagesHost("", "hostile"), "/"); a.Body != "ok\n" {
			t.Errorf("%s: the site is %d %q", h.name, a.Status, a.Body)
		}
	}
	if left, err := os.ReadDir(filepath.Join(p.data, "builds", "work")); err != nil || len(left) > 0 {
		t.Errorf("folders of builds that are over: %v %v", left, err)
	}
}

// TestGitRefused pushes what is refused, and looks that nothing came of it.
func TestGitRefused(t *testing.T) {
	t.Parallel()
	p := start(t, "--builds-push-size", "1MiB")
	c := p.site(t, "guarded", nil, map[string]string{"index.html": "one"})
	c.git(t, "push", "origin", "main")

	// Who may.
	reader := p.newToken(t, "pages:read")
	other := p.newToken(t, "kv:write")
	for _, r := range []struct{ name, url, want string }{
		{"no token", strings.Replace(p.remote(t, "guarded", "x"), "git:x@", "", 1), "could not read Username"},
		{"a token that there is not", p.remote(t, "guarded", "slv_"+strings.Repeat("A", 40)), "Authentication failed"},
		{"a token of another scope", p.remote(t, "guarded", other), "has not the scope pages:read"},
		{"a token that may only read", p.remote(t, "guarded", reader), "has not the scope pages:write that a push needs"},
		{"no such project", p.remote(t, "nothing", p.Token), "Project not found"},
		{"another account", strings.Replace(p.remote(t, "guarded", p.Token), p.AccountID, strings.Repeat("0", 32), 1), "no access to an account"},
		{"a traversal", p.remote(t, "..%2f..%2fguarded", p.Token), "a repository is at /git/<account id>/<project>.git"},
		{"dots", strings.Replace(p.remote(t, "x", p.Token), "/x.git", "/../../guarded.git", 1), "not found"},
		{"no .git", strings.TrimSuffix(p.remote(t, "guarded", p.Token), ".git"), "a repository is at /git/<account id>/<project>.git"},
	} {
		out, err := c.try(t, "push", r.url, "main")
		if err == nil || !strings.Contains(out, r.want) {
			t.Errorf("%s: %v\n%s", r.name, err, out)
		}
		if strings.Contains(out, p.Token) {
			t.Errorf("%s: the token is in the answer:\n%s", r.name, out)
		}
	}
	c.git(t, "fetch", p.remote(t, "guarded", reader), "main") // and who may read, may

	// What may come.
	head := c.git(t, "rev-parse", "HEAD")
	big := make([]byte, 8<<20)
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(noise.Uint32())
	}
	rewrite(t, c.dir, "big.bin", string(big))
	c.commit(t, "too large")
	out, err := c.try(t, "push", "origin", "main")
	if err == nil {
		t.Fatalf("8 MiB went through a bound of 1 MiB:\n%s", out)
	}
	wantAll(t, out, "pack exceeds maximum allowed size")
	c.git(t, "reset", "--quiet", "--hard", strings.TrimSpace(head))
	if got := strings.Fields(c.git(t, "ls-remote", "origin", "refs/heads/main")); len(got) == 0 || got[0] != strings.TrimSpace(head) {
		t.Errorf("after a refused push the branch is at %v", got)
	}

	// A tree whose paths lead elsewhere, as no git makes it.
	blob := strings.TrimSpace(c.pipe(t, "evil", "hash-object", "-w", "--stdin"))
	for _, name := range []string{"..", ".git", ".GIT", "a/b"} {
		tree := append([]byte("100644 "+name+"\x00"), unhex(t, blob)...)
		id := strings.TrimSpace(c.pipe(t, string(tree), "hash-object", "-t", "tree", "-w", "--literally", "--stdin"))
		commit := strings.TrimSpace(c.git(t, "commit-tree", id, "-m", "evil"))
		out, err := c.try(t, "push", "origin", commit+":refs/heads/evil")
		if err == nil {
			t.Errorf("a tree with the path %q was taken:\n%s", name, out)
		}
	}
	if out := c.git(t, "ls-remote", "origin"); strings.Contains(out, "evil") {
		t.Errorf("references after refused pushes:\n%s", out)
	}

	// A submodule is left out and named; a link that leads out is refused.
	c.git(t, "update-index", "--add", "--cacheinfo", "160000,"+strings.TrimSpace(head)+",vendored")
	c.git(t, "commit", "--quiet", "-m", "a submodule")
	wantAll(t, c.git(t, "push", "origin", "main"), "Warning: the submodule vendored is left out", "Deployed: ")
	if err := os.Symlink("/etc/passwd", filepath.Join(c.dir, "passwd.txt")); err != nil {
		t.Fatal(err)
	}
	c.git(t, "add", "passwd.txt")
	c.git(t, "commit", "--quiet", "-m", "a link")
	wantAll(t, c.git(t, "push", "origin", "main"), `the link "passwd.txt" in the output folder leads out of it`)
	if a := p.get(t, p.pagesHost("", "guarded"), "/"); a.Body != "one" {
		t.Errorf("the site is %d %q", a.Status, a.Body)
	}
}

// newToken makes a token with the scopes and returns its secret.
func (p *platform) newToken(t *testing.T, scopes ...string) string {
	t.Helper()
	n, err := p.client(t).CreateToken(t.Context(), "of "+scopes[0], scopes, nil)
	if err != nil {
		t.Fatal(err)
	}
	return n.Secret
}

// pipe is git with text on its standard input.
func (c *checkout) pipe(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "GIT_CONFIG_NOSYSTEM=1"}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return string(out)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGitQueue pushes faster than builds end: the newest push of a branch wins,
// builds can be canceled while they wait and while they run, and one build of a
// project runs at a time.
func TestGitQueue(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.site(t, "busy", map[string]any{"build_command": "mkdir dist; cp v dist/index.html; while [ -e slow ]; do sleep 0.1; done", "destination_dir": "dist"}, map[string]string{"v": "0", "slow": ""})
	push := func(v string) {
		t.Helper()
		rewrite(t, c.dir, "v", v)
		c.commit(t, v)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, "git", "push", "origin", "main")
		cmd.Dir, cmd.Env = c.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Whoever pushes need not wait: they go away as soon as the build is there.
		c.await(t, v, "queued", "running")
		cmd.Process.Kill()
		cmd.Wait()
	}
	push("1")
	running := c.await(t, "1", "running")
	push("2")
	push("3")
	c.await(t, "2", "superseded")
	waiting := c.await(t, "3", "queued")
	cancel := func(id string) answer {
		return p.api(t, http.MethodPost, "/selvage/pages/busy/builds/"+id+"/cancel", nil)
	}
	if a := cancel(waiting.ID); a.Status != 200 || !strings.Contains(a.Body, `"status":"canceled"`) {
		t.Errorf("cancel a build that waits: %d %s", a.Status, a.Body)
	}
	begin := time.Now()
	if out, err := p.tool(t, "pages", "builds", "cancel", "busy", running.ID[:8]); err != nil || !strings.Contains(out, "canceled") {
		t.Errorf("cancel a build that runs: %v %s", err, out)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("to cancel took %s", took)
	}
	c.await(t, "1", "canceled")
	if a := cancel(running.ID); a.Status != 409 {
		t.Errorf("cancel again: %d %s", a.Status, a.Body)
	}
	if a := cancel("00000000-0000-0000-0000-000000000000"); a.Status != 404 {
		t.Errorf("cancel what there is not: %d %s", a.Status, a.Body)
	}
	if out, err := p.tool(t, "pages", "builds", "list", "busy"); err != nil || strings.Count(out, "canceled") != 2 || !strings.Contains(out, "superseded") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := p.tool(t, "pages", "builds", "logs", "busy", running.ID); err != nil || !strings.Contains(out, "Canceled") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.Remove(filepath.Join(c.dir, "slow")); err != nil {
		t.Fatal(err)
	}
	rewrite(t, c.dir, "v", "4")
	c.commit(t, "4")
	c.git(t, "push", "origin", "main")
	if a := p.get(t, p.pagesHost("", "busy"), "/"); a.Body != "4" {
		t.Errorf("the site is %d %q", a.Status, a.Body)
	}
}

// await waits until the build of the commit with this message has one of the
// statuses.
func (c *checkout) await(t *testing.T, message string, statuses ...string) buildOf {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		for _, b := range c.builds(t) {
			if b.Message == message && slices.Contains(statuses, b.Status) {
				return b
			}
		}
		if time.Now().After(end) {
			t.Fatalf("no build of %q that is %v: %+v\n%s", message, statuses, c.builds(t), tail(c.p.stderr.String(), 3000))
		}
	}
}

// TestGitKill kills the platform while a build runs: with the next start the
// repository is whole and the build runs again; the second time it has failed.
func TestGitKill(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.site(t, "hard", map[string]any{"build_command": "mkdir dist; cp v dist/index.html; sh ./wait", "destination_dir": "dist"}, map[string]string{"v": "1", "wait": "true"})
	c.git(t, "push", "origin", "main")
	pushed := func(v, wait string) {
		t.Helper()
		rewrite(t, c.dir, "v", v)
		rewrite(t, c.dir, "wait", wait)
		c.commit(t, v)
		c.git(t, "remote", "set-url", "origin", p.remote(t, "hard", p.Token))
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.try(t, "push", "origin", "main")
		}()
		c.await(t, v, "running")
		p.kill()
		<-done
		p.up(t)
	}
	pushed("2", "sleep 3")
	// It begins again, and is done this time.
	if b := c.await(t, "2", "success"); b.Reason != "" {
		t.Errorf("%+v", b)
	}
	if a := p.get(t, p.pagesHost("", "hard"), "/"); a.Body != "2" {
		t.Errorf("the site is %d %q", a.Status, a.Body)
	}
	pushed("3", "sleep 300")
	c.await(t, "3", "running")
	p.kill()
	p.up(t)
	if b := c.await(t, "3", "failure"); !strings.Contains(b.Reason, "the platform stopped during this build, 2 times") {
		t.Errorf("%+v", b)
	}
	if a := p.get(t, p.pagesHost("", "hard"), "/"); a.Body != "2" {
		t.Errorf("the site is %d %q", a.Status, a.Body)
	}
	// A stop that is asked for is nobody's fault.
	c.git(t, "remote", "set-url", "origin", p.remote(t, "hard", p.Token))
	fsck := &checkout{p: p, dir: t.TempDir(), project: "hard"}
	fsck.git(t, "clone", "--quiet", p.remote(t, "hard", p.Token), "copy")
	fsck.dir = filepath.Join(fsck.dir, "copy")
	fsck.git(t, "fsck", "--full", "--strict")
	if got := strings.TrimSpace(fsck.git(t, "log", "-1", "--format=%s")); got != "3" {
		t.Errorf("the clone is at %q", got)
	}
}

// tool runs a command of selvage's on the platform's data directory.
func (p *platform) tool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	stdout, stderr, code := p.ours(t, t.TempDir(), "", args...)
	if code != 0 {
		return stdout + stderr, fmt.Errorf("exit code %d", code)
	}
	return stdout, nil
}
