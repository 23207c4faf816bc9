package pages_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/assets"
	"github.com/selvage-dev/selvage/internal/pages"
)

func TestAlias(t *testing.T) {
	for branch, want := range map[string]string{
		"main": "main", "fix/API_v2": "fix-api-v2", "--x--": "x", "ünï": "n", "///": "",
		strings.Repeat("a", 27) + "-bc": strings.Repeat("a", 27), strings.Repeat("Ab", 20): strings.Repeat("ab", 14),
	} {
		if got := pages.Alias(branch); got != want {
			t.Errorf("Alias(%q) = %q, want %q", branch, got, want)
		}
	}
}

func FuzzAlias(f *testing.F) {
	f.Add("fix/API")
	f.Fuzz(func(t *testing.T, branch string) {
		a := pages.Alias(branch)
		if len(a) > 28 || strings.Trim(a, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasPrefix(a, "-") || strings.HasSuffix(a, "-") {
			t.Errorf("Alias(%q) = %q is no label", branch, a)
		}
	})
}

func TestProjectNames(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	for _, name := range []string{"", "-a", "a-", "A", "a.b", "a_b", strings.Repeat("a", 59), "ü"} {
		if _, err := f.CreateProject(t.Context(), account, pages.NewProject{Name: name}); code(err) != pages.CodeInvalidName {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	f.project("a")
	if _, err := f.CreateProject(t.Context(), "another", pages.NewProject{Name: "a"}); code(err) != pages.CodeNameTaken {
		t.Errorf("a second project a: %v", err)
	}
	if _, err := f.Project(t.Context(), "another", "a"); code(err) != pages.CodeProjectNotFound {
		t.Errorf("the project of another account: %v", err)
	}
}

// TestServing goes through deployments, roll back, promotion and deletion.
func TestServing(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	if status, _ := f.get(host("", "web"), "/"); status != 0 {
		t.Errorf("a project without deployments answers %d", status)
	}
	one := f.deploy("web", "main", map[string]string{"/index.html": "one"})
	two := f.deploy("web", "main", map[string]string{"/index.html": "two"})
	feat := f.deploy("web", "Feat/X", map[string]string{"/index.html": "feature"})
	expect := func(label, want string) {
		t.Helper()
		if _, got := f.get(host(label, "web"), "/"); got != want {
			t.Errorf("host %q answers %q, want %q", label, got, want)
		}
	}
	expect("", "two")
	expect("main", "two")
	expect(one.Short, "one")
	expect("feat-x", "feature")
	expect(feat.Short, "feature")
	expect("nobody", "")
	if feat.Environment != pages.Preview || two.Environment != pages.Production || !two.Succeeded {
		t.Errorf("environments: %+v %+v", feat, two)
	}
	ctx := t.Context()
	if _, err := f.Rollback(ctx, account, "web", feat.ID); code(err) != pages.CodeNotDeployable {
		t.Errorf("rollback to a preview: %v", err)
	}
	if _, err := f.Rollback(ctx, account, "web", one.ID); err != nil {
		t.Fatal(err)
	}
	expect("", "one")
	if err := f.DeleteDeployment(ctx, account, "web", one.ID, true); code(err) != pages.CodeActive {
		t.Errorf("deletion of what serves: %v", err)
	}
	if _, err := f.Promote(ctx, account, "web", feat.ID); err != nil {
		t.Fatal(err)
	}
	expect("", "feature")
	if err := f.DeleteDeployment(ctx, account, "web", two.ID, false); code(err) != pages.CodeAliased {
		t.Errorf("deletion of a branch's latest without force: %v", err)
	}
	if err := f.DeleteDeployment(ctx, account, "web", two.ID, true); err != nil {
		t.Fatal(err)
	}
	expect(two.Short, "")
	expect("main", "one")
	if err := f.DeleteProject(ctx, account, "web"); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"", one.Short, "feat-x"} {
		expect(label, "")
	}
}

// TestFormerAssets holds how long, and of what, earlier deployments are served.
func TestFormerAssets(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	f.deploy("web", "main", map[string]string{"/index.html": "one", "/app.1.css": "old{}", "/gone.html": "gone", "/404.html": "no"})
	two := f.deploy("web", "main", map[string]string{"/index.html": "two", "/app.2.css": "new{}", "/404.html": "no"})
	for p, want := range map[string]string{"/": "two", "/app.1.css": "old{}", "/app.2.css": "new{}", "/gone": "no", "/gone.html": "no"} {
		if _, got := f.get(host("", "web"), p); got != want {
			t.Errorf("%s answers %q, want %q", p, got, want)
		}
	}
	if _, got := f.get(host(two.Short, "web"), "/app.1.css"); got != "no" {
		t.Errorf("the deployment's own host answers %q", got)
	}
	f.skew.Add(int64(8 * 24 * time.Hour))
	if _, got := f.get(host("", "web"), "/app.1.css"); got != "no" {
		t.Errorf("after a week the file is still there: %q", got)
	}
}

func TestUploadTokens(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("a")
	f.project("b")
	ctx := t.Context()
	token, err := f.UploadToken(ctx, account, "a")
	if err != nil {
		t.Fatal(err)
	}
	forged := issue(pages.Ticket{Account: "other", Object: "x", Action: pages.ActionUpload, Expires: time.Now().Add(time.Hour)})
	for name, bad := range map[string]string{"garbage": "x.y", "changed": token[:len(token)-2] + "AA", "of no project": forged} {
		if _, err := f.Missing(ctx, bad, nil); code(err) != pages.CodeUploadToken {
			t.Errorf("a token that is %s: %v", name, err)
		}
	}
	f.skew.Add(int64(time.Hour))
	if _, err := f.Missing(ctx, token, nil); code(err) != pages.CodeUploadToken {
		t.Errorf("an expired token: %v", err)
	}
	f.skew.Store(0)
	if err := f.DeleteProject(ctx, account, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Uploader(ctx, token); code(err) != pages.CodeUploadToken {
		t.Errorf("the token of a project that is gone: %v", err)
	}
}

// TestPoisonedContent uploads under a hash what does not have it. No other project
// may ever serve that.
func TestPoisonedContent(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("evil")
	f.project("good")
	ctx := t.Context()
	for _, p := range []string{"/app.js", "/app.odd"} {
		hash := assets.Hash([]byte("good"), extension(p))
		token, err := f.UploadToken(ctx, account, "evil")
		if err != nil {
			t.Fatal(err)
		}
		u, err := f.Uploader(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		if err := u.Put(hash, "text/plain", 0, pages.Encoded(base64.StdEncoding.EncodeToString([]byte("evil")))); err != nil {
			t.Fatal(err)
		}
		if err := u.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Deploy(ctx, account, "evil", &pages.DeployRequest{Manifest: map[string]string{p: hash}}); code(err) != pages.CodeMissingAsset {
			t.Errorf("a deployment of a content under a wrong hash: %v", err)
		}
		f.deploy("good", "main", map[string]string{p: "good"})
		if _, got := f.get(host("", "good"), p); got != "good" {
			t.Errorf("%s answers %q", p, got)
		}
	}
	// What was verified for one project is there for all.
	token, err := f.UploadToken(ctx, account, "evil")
	if err != nil {
		t.Fatal(err)
	}
	if missing, err := f.Missing(ctx, token, []string{assets.Hash([]byte("good"), "odd")}); err != nil || len(missing) != 0 {
		t.Errorf("a content of another project is missing: %v %v", missing, err)
	}
}

func TestRefusedDeployments(t *testing.T) {
	f := open(t, t.TempDir(), func(o *pages.Options) { o.MaxFiles, o.MaxFileSize = 3, 10 })
	f.project("web")
	ctx := t.Context()
	good := assets.Hash([]byte("x"), "txt")
	many := map[string]string{"/1": good, "/2": good, "/3": good, "/4": good}
	for name, c := range map[string]struct {
		request pages.DeployRequest
		want    int
	}{
		"missing hash":    {pages.DeployRequest{Manifest: map[string]string{"/a.txt": good}}, pages.CodeMissingAsset},
		"malformed hash":  {pages.DeployRequest{Manifest: map[string]string{"/a.txt": "../../etc"}}, pages.CodeInvalidAsset},
		"path up":         {pages.DeployRequest{Manifest: map[string]string{"/../a": good}}, pages.CodeInvalidManifest},
		"no slash":        {pages.DeployRequest{Manifest: map[string]string{"a": good}}, pages.CodeInvalidManifest},
		"too many":        {pages.DeployRequest{Manifest: many}, pages.CodeInvalidManifest},
		"long message":    {pages.DeployRequest{Commit: pages.Commit{Message: strings.Repeat("m", 385)}}, pages.CodeInvalidRequest},
		"control in name": {pages.DeployRequest{Commit: pages.Commit{Branch: "a\nb"}}, pages.CodeInvalidRequest},
	} {
		if _, err := f.Deploy(ctx, account, "web", &c.request); code(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.upload(ctx, "web", map[string]string{"/big.txt": "more than ten bytes"}); code(err) != pages.CodeInvalidAsset {
		t.Errorf("a file that is too large: %v", err)
	}
	if status, _ := f.get(host("", "web"), "/"); status != 0 {
		t.Errorf("something serves: %d", status)
	}
	d, err := f.Deploy(ctx, account, "web", &pages.DeployRequest{Rules: pages.Rules{Routes: `{"version":2}`}})
	if err != nil || d.Succeeded || d.Latest().Status != pages.Failed {
		t.Fatalf("a _routes.json that is refused: %+v %v", d, err)
	}
	lines, err := f.Log(ctx, account, "web", d.ID)
	if err != nil || !slices.ContainsFunc(lines, func(l pages.LogLine) bool { return strings.Contains(l.Line, "_routes.json") }) {
		t.Errorf("its log does not say why: %v %v", lines, err)
	}
	if status, _ := f.get(host(d.Short, "web"), "/"); status != 0 {
		t.Errorf("a failed deployment answers %d", status)
	}
}

// patch is what wrangler and the dashboard send.
func (f *fixture) patch(project, production string) error {
	var p pages.ProjectPatch
	if err := json.Unmarshal([]byte(production), &p.Configs.Production); err != nil {
		return err
	}
	_, err := f.PatchProject(context.Background(), account, project, p)
	return err
}

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, nil)
	f.project("web")
	ctx := t.Context()
	must := func(patch string) {
		t.Helper()
		if err := f.patch("web", patch); err != nil {
			t.Fatal(err)
		}
	}
	must(`{"env_vars":{"A":{"type":"plain_text","value":"a"},"S":{"type":"secret_text","value":"hush-hush"}},"compatibility_date":"2026-01-01","kv_namespaces":{"KV":{"namespace_id":"n"},"K2":{"namespace_id":"m"}}}`)
	must(`{"env_vars":{"A":null,"B":{"value":"b"},"S":{"type":"secret_text","value":""}},"kv_namespaces":{"K2":null},"compatibility_flags":["nodejs_compat"],"fail_open":true}`)
	p, err := f.Project(ctx, account, "web")
	if err != nil {
		t.Fatal(err)
	}
	c := p.Configs.Production
	if len(c.Vars) != 2 || c.Vars["B"].Text != "b" || !c.Vars["S"].Secret() || c.Vars["S"].Text != "" || c.Date != "2026-01-01" || len(c.Resources["kv_namespaces"]) != 1 || len(c.Flags) != 1 {
		t.Errorf("settings: %+v", c)
	}
	if len(p.Configs.Preview.Vars) != 0 {
		t.Errorf("the preview has settings of production: %+v", p.Configs.Preview)
	}
	var stored string
	if err := f.store.DB.Read().QueryRow(`SELECT settings FROM pages_projects`).Scan(&stored); err != nil || strings.Contains(stored, "hush") {
		t.Errorf("the secret is stored as it is: %v %s", err, stored)
	}
	for _, bad := range []string{
		`{"env_vars":{"1A":{"value":"a"}}}`, `{"env_vars":{"A":{"type":"json","value":"a"}}}`, `{"env_vars":[]}`, `{"env_vars":{"N":{"type":"secret_text"}}}`,
		`{"compatibility_date":"soon"}`, `{"nonsense":{}}`, `{"kv_namespaces":{"K":"n"}}`, `{"kv_namespaces":{"a b":{}}}`, `{"compatibility_flags":"x"}`,
	} {
		if err := f.patch("web", bad); code(err) != pages.CodeInvalidSettings {
			t.Errorf("%s: %v", bad, err)
		}
	}
	bundle := &pages.Bundle{Metadata: json.RawMessage(`{"main_module":"functionsWorker-1.js"}`)}
	d, err := f.Deploy(ctx, account, "web", &pages.DeployRequest{Bundle: bundle, Commit: pages.Commit{Hash: "abc"}})
	if err != nil || !d.Succeeded {
		t.Fatalf("%+v %v", d, err)
	}
	var metadata struct {
		Bindings []struct {
			Name string `json:"name"`
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"bindings"`
		Date string `json:"compatibility_date"`
	}
	if err := json.Unmarshal(f.functions.made[d.Version].Metadata, &metadata); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(metadata.Bindings)
	for _, want := range []string{"{B plain_text b}", "{S secret_text hush-hush}", "{KV kv_namespace }", "{CF_PAGES_COMMIT_SHA plain_text abc}", "{ASSETS assets }"} {
		if !strings.Contains(got, want) {
			t.Errorf("the Functions lack %s: %s", want, got)
		}
	}
	if metadata.Date != "2026-01-01" {
		t.Errorf("compatibility date %q", metadata.Date)
	}
	f.functions.refuse = "line 1: no"
	failed, err := f.Retry(ctx, account, "web", d.ID)
	if err != nil || failed.Succeeded || failed.Trigger != "retry" {
		t.Errorf("a retry that fails: %+v %v", failed, err)
	}
	if err := f.DeleteDeployment(ctx, account, "web", failed.ID, false); err != nil {
		t.Errorf("deletion of what failed: %v", err)
	}
}
