package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// aiWorker runs a case with env.AI and answers with its value, or with what it threw.
const aiWorker = `import { run } from "./cases.js";
export default { async fetch(r, env) {
	try { return Response.json(await run[new URL(r.url).pathname.slice(1)](env.AI, env)) } catch (e) { return Response.json({ error: String(e), code: env.AI.lastRequestInternalStatusCode, status: env.AI.lastRequestHttpStatusCode }) }
} }`

const aiCases = `export const run = {
	unknown: (ai) => ai.run("@cf/nobody/nothing", { prompt: "hi" }),
	missing: (ai) => ai.run("@cf/meta/llama-3.1-8b-instruct", { prompt: "hi" }),
	wrong: (ai) => ai.run("@cf/baai/bge-base-en-v1.5", { messages: [{ role: "user", content: "hi" }] }),
	prefixed: (ai) => ai.run("@cf/baai/bge-base-en-v1.5", {}, { prefix: "pfx" }),
	gateway: (ai) => ai.run("@cf/meta/llama-3.1-8b-instruct", { prompt: "hi" }, { gateway: { id: "g" } }),
	websocket: async (ai) => (await ai.run("@cf/meta/llama-3.1-8b-instruct", { prompt: "hi" }, { websocket: true })).status,
	stream: (ai) => ai.run("@cf/openai/whisper", { audio: { body: new Response("x").body, contentType: "audio/mpeg" } }),
	raw: async (ai) => { const r = await ai.run("@cf/nobody/nothing", { prompt: "hi" }, { returnRawResponse: true }); return [r.status, (await r.json()).internalCode] },
	big: (ai) => ai.run("@cf/meta/llama-3.1-8b-instruct", { prompt: "x".repeat(1 << 20) }),
	huge: (ai) => ai.run("@cf/meta/llama-3.1-8b-instruct", { prompt: "x".repeat(11 << 20) }),
	models: async (ai) => (await ai.models({ search: "bge", per_page: 2 })).map((m) => [m.name, m.task.name]),
	markdown: (ai) => ai.toMarkdown([{ name: "a.html", blob: new Blob(["<h1>a</h1>"], { type: "text/html" }) }]),
};`

func aiProject(t *testing.T, cases string) string {
	t.Helper()
	return project(t, map[string]string{
		"wrangler.jsonc": `{"name": "ai", "main": "index.js", "compatibility_date": "2026-09-01", "ai": {"binding": "AI"}}`,
		"index.js":       aiWorker, "cases.js": cases,
	})
}

func TestAIBindingErrors(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := aiProject(t, aiCases)
	if out := p.must(t, dir, "deploy"); !strings.Contains(out, "env.AI") {
		t.Errorf("wrangler does not show the binding:\n%s", out)
	}
	for _, c := range []struct{ name, want string }{
		{"unknown", `{"error":"AiError: 5007: No such model @cf/nobody/nothing or task. \"selvage ai models\" lists those there are.","code":5007,"status":400}`},
		{"wrong", `{"error":"AiError: 5006: Bad input: Error: required properties at '/' are 'text'","code":5006,"status":400}`},
		{"prefixed", `{"error":"AiError: 5006: Bad input: Error: required properties at '/' are 'text'","code":5006,"status":400}`},
		{"gateway", `{"error":"AiError: 5020: AI Gateway is not offered here. Leave out the option \"gateway\".","code":5020,"status":400}`},
		{"websocket", `400`},
		{"stream", `{"error":"AiError: 5020: No model here takes a stream as an input. Give the inputs of @cf/openai/whisper as JSON.","code":5020,"status":400}`},
		{"raw", `[400,5007]`},
		{"big", `{"error":"AiError: 5006: Bad input: Error: oneOf at '/' not met, 0 matches: Length of '/prompt' must be <= 131072, and it has 1048576 characters, required properties at '/' are 'messages'","code":5006,"status":400}`},
		{"huge", `{"error":"AiError: 3006: Request is too large: inputs may have 10485760 bytes","code":3006,"status":413}`},
		{"models", `[["@cf/baai/bge-base-en-v1.5","Text Embeddings"],["@cf/baai/bge-large-en-v1.5","Text Embeddings"]]`},
	} {
		if a := p.get(t, p.host("ai"), "/"+c.name); a.Body != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
	missing := p.get(t, p.host("ai"), "/missing").Body
	if !strings.HasPrefix(missing, `{"error":"AiError: 5007: No such model @cf/meta/llama-3.1-8b-instruct or task: it is in the catalogue, but not on this platform; `) {
		t.Errorf("missing: %s", missing)
	}
	if a := p.get(t, p.host("ai"), "/markdown"); !strings.Contains(a.Body, "toMarkdown is not offered here") {
		t.Errorf("markdown: %s", a.Body)
	}
	p.deployOurs(t, dir) // without Node.js
	if a := p.get(t, p.host("ai"), "/raw"); a.Body != `[400,5007]` {
		t.Errorf("deployed by selvage: %s", a.Body)
	}
}

func TestAICommandsOfWrangler(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := t.TempDir()
	var models []struct{ Name, Description string }
	decodeTail(t, p.must(t, dir, "ai", "models", "list", "--json"), &models)
	if len(models) < 20 || models[0].Name == "" {
		t.Errorf("models: %+v", models)
	}
	if out := p.must(t, dir, "ai", "models"); !strings.Contains(out, "Text Embeddings") {
		t.Errorf("the table of models:\n%s", out)
	}
	var schema struct {
		Input struct {
			Required []string `json:"required"`
		} `json:"input"`
	}
	decodeTail(t, p.must(t, dir, "ai", "models", "schema", "@cf/baai/bge-base-en-v1.5"), &schema)
	if len(schema.Input.Required) != 1 || schema.Input.Required[0] != "text" {
		t.Errorf("schema: %+v", schema)
	}
	p.must(t, dir, "ai", "finetune", "list")
}

// aiPost calls the API below /ai.
func (p *platform) aiPost(t *testing.T, path, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.APIURL+"/client/v4/accounts/"+p.AccountID+"/ai"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

func TestAIRunByAPI(t *testing.T) {
	t.Parallel()
	p := start(t)
	var out struct {
		Success bool `json:"success"`
		Errors  []struct {
			Code int `json:"code"`
		} `json:"errors"`
	}
	for _, c := range []struct {
		path, body string
		status     int
		code       int
	}{
		{"/run/@cf/nobody/nothing", `{"prompt":"a"}`, 400, 5007},
		{"/run/@cf/baai/bge-base-en-v1.5", `{"text":"a"}`, 400, 5007},
		{"/run/@cf/baai/bge-base-en-v1.5", `{"prompt":"a"}`, 400, 5006},
		{"/run/@cf/baai/bge-base-en-v1.5", `{"text":`, 400, 5006},
		{"/run/@cf/baai/bge-base-en-v1.5", ``, 400, 3003},
		{"/finetunes", `{"model":"m","name":"n","description":""}`, 400, 100327},
	} {
		status, answer := p.aiPost(t, c.path, c.body)
		if err := json.Unmarshal([]byte(answer), &out); err != nil || status != c.status || out.Success || len(out.Errors) != 1 || out.Errors[0].Code != c.code {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, answer)
		}
	}
}
