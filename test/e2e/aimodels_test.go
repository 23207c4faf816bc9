package e2e

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/modelstore/hubtest"
	"github.com/selvage-dev/selvage/internal/infer/infertest"
)

const aiLocalCases = `
const small = "@cf/baai/bge-small-en-v1.5";
export const run = {
	missing: (ai) => ai.run(small, { text: "the cat" }),
	embed: async (ai) => { const r = await ai.run(small, { text: ["the cat", "a"], pooling: "cls" }); return [r.shape, r.data[1].length, r.pooling, Math.abs(Math.hypot(...r.data[0]) - 1) < 1e-3] },
	mood: async (ai) => { const r = await ai.run("@mine/mood", { text: "the cat" }); return r.map((c) => c.label) },
	rank: async (ai) => { const r = await ai.run("@mine/rank", { query: "cat", contexts: [{ text: "a" }, { text: "the cat" }] }); return [r.response.length, r.response[0].score >= r.response[1].score] },
};`

// modelFolder makes a model with seeded weights, as the hub would lay it out.
func modelFolder(t *testing.T, labels ...string) string {
	t.Helper()
	dir := t.TempDir()
	spec := infertest.Tiny()
	spec.Labels = labels
	if err := spec.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAIModelsOfThePlatform(t *testing.T) {
	t.Parallel()
	folder := modelFolder(t)
	hub := &hubtest.Hub{Repositories: map[string]map[string][]byte{"BAAI/bge-small-en-v1.5": {}}, CutAt: 40 << 10}
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		hub.Repositories["BAAI/bge-small-en-v1.5"][name] = raw
	}
	hub.CutAt = int64(len(hub.Repositories["BAAI/bge-small-en-v1.5"]["model.safetensors"])/2 + 1)
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	p := start(t, "--ai-hubs", server.URL)
	dir := aiProject(t, aiLocalCases)
	p.must(t, dir, "deploy")
	const small = "@cf/baai/bge-small-en-v1.5"

	want := `{"error":"AiError: 5007: No such model ` + small + ` or task: it is in the catalogue, but not on this platform; run \"selvage ai pull ` + small + `\".","code":5007,"status":400}`
	if a := p.get(t, p.host("ai"), "/missing"); a.Body != want {
		t.Errorf("missing: %s\nwant %s", a.Body, want)
	}
	if n := len(hub.Requests()); n != 0 {
		t.Errorf("the platform asked the hub %d times without being told", n)
	}
	if out := p.ok(t, dir, "", "ai", "pull", small, "--dry-run"); !strings.Contains(out, "model.safetensors") || hub.Sent.Load() != 0 {
		t.Errorf("dry run, %d bytes sent:\n%s", hub.Sent.Load(), out)
	}
	if _, stderr, code := p.ours(t, dir, "n\n", "ai", "pull", small); code == 0 || !strings.Contains(stderr, "Download "+small) {
		t.Errorf("a pull that was declined: %d %s", code, stderr)
	}
	if out := p.ok(t, dir, "", "ai", "pull", small, "--yes"); !strings.Contains(out, "embeddings") || !strings.Contains(out, "ready") {
		t.Errorf("pull:\n%s", out)
	}
	if a := p.get(t, p.host("ai"), "/embed"); a.Body != `[[2,64],64,"cls",true]` {
		t.Errorf("embed: %s", a.Body)
	}

	p.ok(t, dir, "", "ai", "add", "@mine/mood", "--from", modelFolder(t, "NEGATIVE", "POSITIVE"))
	p.ok(t, dir, "", "ai", "add", "@mine/rank", "--from", modelFolder(t, "LABEL_0"))
	if a := p.get(t, p.host("ai"), "/mood"); a.Body != `["NEGATIVE","POSITIVE"]` {
		t.Errorf("mood: %s", a.Body)
	}
	if a := p.get(t, p.host("ai"), "/rank"); a.Body != `[2,true]` {
		t.Errorf("rank: %s", a.Body)
	}
	if _, stderr, code := p.ours(t, dir, "", "ai", "add", "@cf/mine/x", "--from", folder); code == 0 || !strings.Contains(stderr, "@mine/model") {
		t.Errorf("a name of the platform's for a model of one's own: %d %s", code, stderr)
	}
	if _, stderr, code := p.ours(t, dir, "", "ai", "pull", "@cf/google/gemma-3-12b-it", "--yes"); code == 0 || !strings.Contains(stderr, "ai.routes") {
		t.Errorf("a pull of what cannot be run: %d %s", code, stderr)
	}

	file := filepath.Join(t.TempDir(), "small.tar")
	p.ok(t, dir, "", "ai", "bundle", small, file)
	other := start(t)
	if out := other.ok(t, dir, "", "ai", "import", file, "--json"); !strings.Contains(out, hubtest.Commit) {
		t.Errorf("import: %s", out)
	}
	if out := other.ok(t, dir, "", "ai", "list"); !strings.Contains(out, small) || !strings.Contains(out, "0123456789ab") {
		t.Errorf("list:\n%s", out)
	}
	if out := other.ok(t, dir, "", "ai", "models"); !strings.Contains(out, "ready") || !strings.Contains(out, "selvage ai pull @cf/baai/bge-m3") {
		t.Errorf("models:\n%s", out)
	}
	other.ok(t, dir, "", "ai", "remove", small, "--yes")

	// All of it survives the platform.
	p.kill()
	p.up(t)
	if a := p.get(t, p.host("ai"), "/embed"); a.Body != `[[2,64],64,"cls",true]` {
		t.Errorf("embed after a restart: %s", a.Body)
	}
	p.ok(t, dir, "", "ai", "remove", small, "--yes")
	if a := p.get(t, p.host("ai"), "/missing"); a.Body != want {
		t.Errorf("after it was removed: %s", a.Body)
	}
}
