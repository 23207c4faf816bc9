package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const aiBuiltinCases = `
const words = "@selvage/wordnet/embed-en-v1";
const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
export const run = {
	near: async (ai) => {
		const r = await ai.run(words, { text: ["dog", "puppy", "carburettor"] });
		return [r.shape, r.pooling, cosine(r.data[0], r.data[1]) > cosine(r.data[0], r.data[2]) + 0.2];
	},
	one: async (ai) => (await ai.run(words, { text: "a puppy" })).data.map((v) => v.length),
	cls: (ai) => ai.run(words, { text: "a puppy", pooling: "cls" }),
	wrong: (ai) => ai.run(words, { prompt: "hi" }),
	models: async (ai) => (await ai.models({ search: "wordnet" })).map((m) => [m.name, m.selvage.state]),
};`

// TestAIBuiltin: search by meaning works as soon as the platform runs, with nothing pulled.
func TestAIBuiltin(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := aiProject(t, aiBuiltinCases)
	p.deployOurs(t, dir)
	for _, c := range []struct{ name, want string }{
		{"near", `[[3,128],"mean",true]`},
		{"one", `[128]`},
		{"cls", `{"error":"AiError: 5006: Bad input: Error: pooling 'cls' is the vector of a model's first token, which this model does not have: leave pooling out","code":5006,"status":400}`},
		{"wrong", `{"error":"AiError: 5006: Bad input: Error: required properties at '/' are 'text'","code":5006,"status":400}`},
		{"models", `[["@selvage/wordnet/embed-en-v1","ready"]]`},
	} {
		if a := p.get(t, p.host("ai"), "/"+c.name); a.Body != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
	const name = "@selvage/wordnet/embed-en-v1"
	status, body := p.aiPost(t, "/run/"+name, `{"text":["a puppy"]}`)
	var native struct {
		Result struct {
			Data [][]float32 `json:"data"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(body), &native); err != nil || status != http.StatusOK || len(native.Result.Data) != 1 {
		t.Fatalf("REST: %d %.200s %v", status, body, err)
	}
	status, body = p.aiPost(t, "/v1/embeddings", `{"model":"`+name+`","input":"a puppy"}`)
	var openai struct {
		Data []struct {
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &openai); err != nil || status != http.StatusOK || len(openai.Data) != 1 {
		t.Fatalf("OpenAI: %d %.200s %v", status, body, err)
	}
	for i, x := range native.Result.Data[0] {
		if openai.Data[0].Embedding[i] != x {
			t.Fatalf("the doors disagree at %d: %v and %v", i, openai.Data[0].Embedding[i], x)
		}
	}
	if out := p.ok(t, dir, "", "ai", "models"); !strings.Contains(out, name) {
		t.Errorf("models:\n%s", out)
	}
	for _, args := range [][]string{{"ai", "pull", name, "--yes"}, {"ai", "add", name, "--from", modelFolder(t)}} {
		if _, stderr, code := p.ours(t, dir, "", args...); code == 0 || !strings.Contains(stderr, "in the binary") {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
}
