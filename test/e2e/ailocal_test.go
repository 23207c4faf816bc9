package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

const localClient = `import OpenAI from "openai";
const [baseURL, apiKey] = process.argv.slice(2);
const ai = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const out = {}, model = "@mine/writer", messages = [{ role: "user", content: "the word" }];
const ask = (more) => ai.chat.completions.create({ model, messages, max_tokens: 24, seed: 7, ...more });
const refused = (p) => p.then(() => "taken", (e) => { if (!(e instanceof OpenAI.APIError)) throw e; return [e.status, e.message.slice(0, 60)] });
const chat = await ask();
out.chat = [chat.choices[0].finish_reason, chat.usage.completion_tokens, chat.usage.total_tokens === chat.usage.prompt_tokens + 24];
let text = "", usage, pieces = 0, finish;
for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
	text += chunk.choices[0]?.delta?.content ?? "";
	finish = chunk.choices[0]?.finish_reason ?? finish;
	usage = chunk.usage ?? usage;
	pieces++;
}
out.stream = [text === chat.choices[0].message.content, finish, usage.completion_tokens, pieces > 3];
const schema = { type: "object", properties: { name: { type: "string", maxLength: 9 }, n: { type: "integer", minimum: 1, maximum: 5 } }, required: ["name", "n"], additionalProperties: false };
const made = JSON.parse((await ask({ max_tokens: 60, response_format: { type: "json_schema", json_schema: { name: "a", schema } } })).choices[0].message.content);
out.json = [typeof made.name, made.n >= 1 && made.n <= 5];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { enum: ["Ghent"] } }, required: ["city"] } } }];
const stream = ai.chat.completions.stream({ model, messages, max_tokens: 60, seed: 3, tools, tool_choice: "required" });
const done = await stream.finalChatCompletion();
const call = done.choices[0].message.tool_calls[0];
out.tools = [done.choices[0].finish_reason, call.function.name, call.function.arguments, call.id.length];
const again = await ask({ tools, messages: [...messages, done.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }] });
out.again = again.choices[0].finish_reason;
const word = text.trim().split(/\s+/).find((w) => w.length > 1);
out.stop = !(await ask({ stop: [word] })).choices[0].message.content.includes(word);
out.many = await refused(ask({ n: 2 }));
out.logprobs = await refused(ask({ logprobs: true }));
out.bias = await refused(ask({ logit_bias: { 1: 5 } }));
out.large = await refused(ask({ max_tokens: 1e9 }));
out.long = await refused(ask({ messages: [{ role: "user", content: "word ".repeat(200000) }] }));
out.recursive = await refused(ask({ response_format: { type: "json_schema", json_schema: { name: "a", schema: { type: "array", items: { $ref: "#" } } } } }));
console.log(JSON.stringify(out));
`

const localApp = `import { createWorkersAI } from "workers-ai-provider";
import { generateText, generateObject, streamText, tool, jsonSchema } from "ai";
export default { async fetch(request: Request, env: any) {
	const chat = createWorkersAI({ binding: env.AI })("@mine/writer" as any, { seed: 7 } as any);
	const cases: Record<string, () => Promise<unknown>> = {
		text: async () => { const r = await generateText({ model: chat, prompt: "the word", maxOutputTokens: 9 }); return [r.finishReason, r.usage.outputTokens] },
		stream: async () => { const r = streamText({ model: chat, prompt: "the word", maxOutputTokens: 20 }); let n = 0; for await (const part of r.textStream) n++; return [n > 1, await r.finishReason] },
		object: async () => Object.keys((await generateObject({ model: chat, prompt: "x", maxOutputTokens: 60, schema: jsonSchema({ type: "object", properties: { n: { type: "integer" } }, required: ["n"], additionalProperties: false }) })).object as any),
		tools: async () => { const r = await generateText({ model: chat, prompt: "weather?", maxOutputTokens: 60, toolChoice: "required",
			tools: { weather: tool({ description: "d", inputSchema: jsonSchema<{ city: string }>({ type: "object", properties: { city: { enum: ["Ghent"] } }, required: ["city"] }) as any, execute: async ({ city }: any) => "sunny in " + city }) } }); return r.toolResults.map((t: any) => t.output) },
		run: async () => { const r = await env.AI.run("@mine/writer", { prompt: "the word", max_tokens: 5 }); return [typeof r.response, r.usage.completion_tokens] },
		leave: async () => { const s = (await env.AI.run("@mine/writer", { prompt: "x", max_tokens: 400, stream: true })).getReader(); await s.read(); await s.cancel(); return "left" },
	};
	try { return Response.json(await cases[new URL(request.url).pathname.slice(1)]()) } catch (e: any) { return Response.json({ error: String(e.message) }) }
} };`

// TestAILocalChat has a small model with seeded weights, in a GGUF file, written to by the
// published clients: of OpenAI's API, and of Workers AI for the AI SDK.
func TestAILocalChat(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "model.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	shape := decodertest.Tiny("qwen2")
	if err := shape.WriteGGUF(file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	p.ok(t, dir, "", "ai", "add", "@mine/writer", "--from", file.Name())
	t.Run("openai", func(t *testing.T) {
		t.Parallel()
		said := openAI(t, p, localClient)
		for name, want := range map[string]string{
			"chat": `["length",24,true]`, "stream": `[true,"length",24,true]`, "json": `["string",true]`,
			"tools": `["tool_calls","weather","{\"city\":\"Ghent\"}",9]`, "again": `"length"`, "stop": `true`,
			"many": `[400,"…one answer…"]`, "logprobs": `[400,"…logprobs…"]`, "bias": `[400,"…logit_bias…"]`,
			"large": `[400,"…'/max_tokens' must be <= 512…"]`, "long": `[400,"…the prompt is longer…"]`, "recursive": `[400,"…the schema cannot be kept…"]`,
		} {
			if got := string(said[name]); !like(got, want) {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	})
	t.Run("sdk", func(t *testing.T) {
		t.Parallel()
		p.must(t, app(t, "local", localApp, `, "ai": {"binding": "AI"}, "compatibility_flags": ["nodejs_compat"]`, nil), "deploy")
		for _, c := range []struct{ name, want string }{
			{"text", `["length",9]`}, {"stream", `[true,"length"]`}, {"object", `["n"]`}, {"tools", `["sunny in Ghent"]`}, {"run", `["string",5]`}, {"leave", `"left"`},
		} {
			if a := p.get(t, p.host("local"), "/"+c.name); !like(a.Body, c.want) {
				t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
			}
		}
	})
}

// openAI runs a script with the published client, and returns what it printed by name.
func openAI(t *testing.T, p *platform, source string) map[string]json.RawMessage {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(repo(t), "tools", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "client.mjs")
	if err := os.WriteFile(script, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, p.APIURL+"/client/v4/accounts/"+p.AccountID+"/ai/v1", p.Token)
	cmd.Env = cleanEnv(t)
	cmd.Path = nodePath(cmd.Env)
	cmd.Dir = dir
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, failed.String())
	}
	got := map[string]json.RawMessage{}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}
