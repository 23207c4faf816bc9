package e2e

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answerer is a worker that says which version it is, by a binding and by its
// code.
func answerer(text string) string {
	return `export default { fetch(r, env) { return new Response("` + text + ` " + env.ME.id) } }`
}

// TestGradualDeployment drives a gradual deployment with wrangler and asks as a
// visitor does.
func TestGradualDeployment(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.json": `{"name":"grad","main":"index.js","compatibility_date":"2026-09-01","version_metadata":{"binding":"ME"},"workers_dev":true}`,
		"index.js":      answerer("old"),
	})
	old := currentVersion(t, p.must(t, dir, "deploy"))
	rewrite(t, dir, "index.js", answerer("new"))
	fresh := versionID.FindString(p.must(t, dir, "versions", "upload"))
	ask := func(name, value string) string {
		t.Helper()
		req := p.request(t, http.MethodGet, p.host("grad"), "/", nil)
		if name != "" {
			req.Header.Set(name, value)
		}
		a := do(t, req)
		if a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return a.Body
	}
	oldSays, newSays := "old "+old, "new "+fresh

	// A smoke test of what no visitor gets.
	p.must(t, dir, "versions", "deploy", old+"@100", fresh+"@0", "-y")
	for range 20 {
		if got := ask("", ""); got != oldSays {
			t.Fatalf("a version with no share answered: %q", got)
		}
	}
	const overrides = "Cloudflare-Workers-Version-Overrides"
	if got := ask(overrides, `other="x", grad="`+fresh+`"`); got != newSays {
		t.Errorf("with an override: %q", got)
	}

	p.must(t, dir, "versions", "deploy", old+"@70", fresh+"@30", "-y", "--message", "a third")
	const n = 2000
	count := 0
	for range n {
		if ask("", "") == newSays {
			count++
		}
	}
	if off := math.Abs(float64(count) - n*0.3); off > 5*math.Sqrt(n*0.3*0.7) {
		t.Errorf("the new version answered %d of %d, want 30 percent", count, n)
	}
	const key = "Cloudflare-Workers-Version-Key"
	mine := ask(key, "someone")
	for range 50 {
		if got := ask(key, "someone"); got != mine {
			t.Fatalf("the same key got %q and %q", mine, got)
		}
	}
	status := p.must(t, dir, "deployments", "status")
	for _, want := range []string{"(70%)", "(30%)", old, fresh, "a third"} {
		if !strings.Contains(status, want) {
			t.Errorf("deployments status lacks %q:\n%s", want, status)
		}
	}
	if list := p.must(t, dir, "deployments", "list"); !strings.Contains(list, "(70%)") || !strings.Contains(list, "(100%)") {
		t.Errorf("deployments list:\n%s", list)
	}

	// The log says which version answered.
	stdout, stderr, code := p.cli(t, "logs", "--worker", "grad", "--json", "--limit", "100")
	if code != 0 {
		t.Fatalf("logs: %s", stderr)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(stdout) {
		var e struct {
			Version string `json:"version"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		seen[e.Version] = true
	}
	if !seen[old] || !seen[fresh] {
		t.Errorf("the access log names %v", seen)
	}

	// An instant roll-back, to which wrangler finds the last stable version itself.
	began := time.Now()
	p.must(t, dir, "rollback", "-y", "-m", "no good")
	t.Logf("wrangler rollback took %v", time.Since(began))
	for range 20 {
		if got := ask(overrides, `grad="`+fresh+`"`); got != oldSays {
			t.Fatalf("after the roll-back: %q", got)
		}
	}
}

// TestRollbackWithOtherSecrets goes through wrangler's question about them.
func TestRollbackWithOtherSecrets(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := worker(t, "sec", `export default { fetch(r, env) { return new Response(env.A ?? "none") } }`)
	first := currentVersion(t, p.must(t, dir, "deploy"))
	if out, err := p.wranglerIn(t, dir, "one", "versions", "secret", "put", "A"); err != nil {
		t.Fatalf("versions secret put: %v\n%s", err, out)
	}
	if a := p.get(t, p.host("sec"), "/"); a.Body != "none" {
		t.Errorf("a version that is not deployed answers: %q", a.Body)
	}
	list := p.must(t, dir, "versions", "list")
	ids := versionID.FindAllString(list, -1)
	with := ids[len(ids)-1]
	p.must(t, dir, "versions", "deploy", with+"@100", "-y")
	if a := p.get(t, p.host("sec"), "/"); a.Body != "one" {
		t.Errorf("with the secret: %q", a.Body)
	}
	out := p.must(t, dir, "rollback", first, "-y", "-m", "back")
	if !strings.Contains(out, "* A") {
		t.Errorf("wrangler does not name the secret that changed:\n%s", out)
	}
	if a := p.get(t, p.host("sec"), "/"); a.Body != "none" {
		t.Errorf("after the roll-back: %q", a.Body)
	}
}
