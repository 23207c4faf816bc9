package e2e

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/remote/openaitest"
)

// startAI starts a platform with a server behind it that runs models.
func startAI(t *testing.T, args ...string) (*platform, *openaitest.Server) {
	t.Helper()
	fake := &openaitest.Server{Key: "k-upstream"}
	h := httptest.NewServer(fake)
	t.Cleanup(h.Close)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("# of tests\nfake = k-upstream\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, append([]string{
		"--ai-upstreams", "fake=" + h.URL + "/v1", "--ai-keys", keys,
		"--ai-routes", "@cf/meta/llama-3.1-8b-instruct=fake:echo,@cf/meta/llama-3.2-3b-instruct=fake:tools,@cf/meta/llama-3.2-1b-instruct=fake:json," +
			"@cf/meta/llama-3-8b-instruct=fake:endless,@cf/meta/llama-3.1-70b-instruct=fake:broken,@cf/qwen/*=fake:broken,@cf/baai/bge-small-en-v1.5=fake:embed,@own/quiet=fake:quiet",
	}, args...)...)
	return p, fake
}

const aiUpstreamCases = `
const echo = "@cf/meta/llama-3.1-8b-instruct", tools = [{ name: "weather", description: "d", parameters: { type: "object", properties: { city: { type: "string" } } } }];
export const run = {
	prompt: (ai) => ai.run(echo, { prompt: "one two" }),
	messages: (ai) => ai.run(echo, { messages: [{ role: "system", content: "s" }, { role: "user", content: "hi" }] }),
	stream: async (ai) => new Response(await ai.run(echo, { prompt: "one two", stream: true })).text(),
	rawStream: async (ai) => { const r = await ai.run(echo, { prompt: "x", stream: true }, { returnRawResponse: true }); const id = r.headers.get("cf-ai-req-id"); return [r.status, r.headers.get("content-type"), id.length, id === ai.lastRequestId, (await r.text()).includes("[DONE]")] },
	tools: (ai) => ai.run("@cf/meta/llama-3.2-3b-instruct", { messages: [{ role: "user", content: "x" }], tools }),
	toolStream: async (ai) => new Response(await ai.run("@cf/meta/llama-3.2-3b-instruct", { messages: [{ role: "user", content: "x" }], tools, stream: true })).text(),
	json: async (ai) => (await ai.run("@cf/meta/llama-3.2-1b-instruct", { prompt: "x", response_format: { type: "json_schema", json_schema: { type: "object" } } })).response,
	notJSON: (ai) => ai.run(echo, { prompt: "no json", response_format: { type: "json_object" } }),
	embed: (ai) => ai.run("@cf/baai/bge-small-en-v1.5", { text: ["a", "bcd"] }),
	own: async (ai) => (await ai.run("@own/quiet", { prompt: "a b" })).usage.completion_tokens,
	tokens: (ai) => ai.run(echo, { prompt: "x", max_tokens: 1e9 }),
	lora: (ai) => ai.run(echo, { prompt: "x", lora: "mine" }),
	image: (ai) => ai.run(echo, { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:" } }] }] }),
	broken: async (ai) => { const s = await ai.run("@cf/meta/llama-3.1-70b-instruct", { prompt: "x", stream: true }); try { return await new Response(s).text() } catch (e) { return "cut" } },
	leave: async (ai) => { const r = (await ai.run("@cf/meta/llama-3-8b-instruct", { prompt: "x", stream: true })).getReader(); await r.read(); await r.cancel(); return "left" },
	models: async (ai) => (await ai.models({ search: "@own" })).map((m) => [m.name, m.selvage.state]),
};`

func TestAIUpstream(t *testing.T) {
	t.Parallel()
	p, fake := startAI(t)
	p.must(t, aiProject(t, aiUpstreamCases), "deploy")
	for _, c := range []struct{ name, want string }{
		{"prompt", `{"response":"one two","finish_reason":"stop","usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}`},
		{"messages", `{"response":"hi","finish_reason":"stop","usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}`},
		{"stream", `"data: {\"response\":\"one \"}\n\ndata: {\"response\":\"two\"}\n\ndata: {\"response\":\"\",\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\ndata: [DONE]\n\n"`},
		{"rawStream", `[200,"text/event-stream",36,true,true]`},
		{"tools", `{"response":"","tool_calls":[{"id":"call_1","name":"weather","arguments":{"city":"Ghent"}}],"finish_reason":"tool_calls","usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}`},
		{"toolStream", `"data: {\"response\":\"\",\"tool_calls\":[{\"id\":\"call_1\",\"name\":\"weather\",\"arguments\":{\"city\":\"Ghent\"}}],\"finish_reason\":\"tool_calls\",\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"total_tokens\":25}}\n\ndata: [DONE]\n\n"`},
		{"json", `{"answer":42}`},
		{"notJSON", `{"error":"AiError: 5024: JSON Mode couldn't be met: the model's answer is not JSON (finish reason \"stop\")","code":5024,"status":400}`},
		{"embed", `{"shape":[2,3],"data":[[1,1,0],[3,1,0]]}`},
		{"own", `1`},
		{"tokens", `{"error":"AiError: 5006: Bad input: Error: '/max_tokens' must be <= 131072, which is the model's context","code":5006,"status":400}`},
		{"lora", `{"error":"AiError: 5006: Bad input: Error: LoRA adapters are not offered here; leave out 'lora'","code":5006,"status":400}`},
		{"image", `{"error":"AiError: 5006: Bad input: Error: '/messages/0/content': it has a part of type \"image_url\"; only text is taken here","code":5006,"status":400}`},
		{"broken", `"cut"`},
		{"leave", `"left"`},
		{"models", `[["@own/quiet","upstream"]]`},
	} {
		if a := p.get(t, p.host("ai"), "/"+c.name); a.Body != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); fake.Left.Load() != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a worker left the stream, and the server goes on writing it")
		}
	}
}

// TestAIOpenAIClient uses the published client of OpenAI's API.
func TestAIOpenAIClient(t *testing.T) {
	t.Parallel()
	p, _ := startAI(t)
	want := map[string]string{
		"chat":     `["hi","stop",9]`,
		"stream":   `["one ","two"]`,
		"usage":    `9`,
		"tools":    `["weather","{\"city\":\"Ghent\"}"]`,
		"json":     `{"answer":42}`,
		"embed":    `[[1,1,0],[3,1,0]]`,
		"floats":   `[[1,1,0]]`,
		"models":   `true`,
		"unknown":  `[400,5007,"invalid_request_error"]`,
		"wrong":    `[400,5006]`,
		"many":     `400`,
		"badToken": `[401,"authentication_error"]`,
	}
	got := openAI(t, p, openAIClient)
	for name, w := range want {
		if string(got[name]) != w {
			t.Errorf("%s: %s, want %s", name, got[name], w)
		}
	}
}

const openAIClient = `import OpenAI from "openai";
const [baseURL, apiKey] = process.argv.slice(2);
const ai = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const out = {}, model = "@cf/meta/llama-3.1-8b-instruct", messages = [{ role: "user", content: "hi" }];
const caught = (e) => { if (e instanceof OpenAI.APIError) return e; throw e };
const chat = await ai.chat.completions.create({ model, messages });
out.chat = [chat.choices[0].message.content, chat.choices[0].finish_reason, chat.usage.total_tokens + 1];
out.stream = [];
for await (const chunk of await ai.chat.completions.create({ model, messages: [{ role: "user", content: "one two" }], stream: true, stream_options: { include_usage: true } })) {
	const text = chunk.choices[0]?.delta?.content;
	if (text) out.stream.push(text);
	if (chunk.usage) out.usage = chunk.usage.total_tokens;
}
const stream = ai.chat.completions.stream({ model: "@cf/meta/llama-3.2-3b-instruct", messages, tools: [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }] });
const call = (await stream.finalChatCompletion()).choices[0].message.tool_calls[0].function;
out.tools = [call.name, call.arguments];
out.json = JSON.parse((await ai.chat.completions.create({ model: "@cf/meta/llama-3.2-1b-instruct", messages, response_format: { type: "json_schema", json_schema: { name: "a", schema: { type: "object" } } } })).choices[0].message.content);
out.embed = (await ai.embeddings.create({ model: "@cf/baai/bge-small-en-v1.5", input: ["a", "bcd"] })).data.map((d) => d.embedding);
out.floats = (await ai.embeddings.create({ model: "@cf/baai/bge-small-en-v1.5", input: "a", encoding_format: "float" })).data.map((d) => d.embedding);
out.models = (await ai.models.list()).data.some((m) => m.id === model);
out.unknown = await ai.chat.completions.create({ model: "gpt-nothing", messages }).catch(caught).then((e) => [e.status, e.code, e.type]);
out.wrong = await ai.chat.completions.create({ model: "@cf/baai/bge-small-en-v1.5", messages }).catch(caught).then((e) => [e.status, e.code]);
out.many = await ai.chat.completions.create({ model, messages, n: 2 }).catch(caught).then((e) => e.status);
out.badToken = await new OpenAI({ baseURL, apiKey: "slv_wrong", maxRetries: 0 }).models.list().catch(caught).then((e) => [e.status, e.type]);
console.log(JSON.stringify(out));
`

const aiSDKApp = `import { createWorkersAI } from "workers-ai-provider";
import { embedMany, generateText, generateObject, streamText, tool, stepCountIs, jsonSchema } from "ai";
export default { async fetch(request: Request, env: any) {
	const workersai = createWorkersAI({ binding: env.AI });
	const chat = workersai("@cf/meta/llama-3.1-8b-instruct");
	const cases: Record<string, () => Promise<unknown>> = {
		text: async () => { const r = await generateText({ model: chat, prompt: "one two" }); return [r.text, r.finishReason, r.usage.totalTokens] },
		stream: async () => { const r = streamText({ model: chat, prompt: "one two" }); const parts: string[] = []; for await (const part of r.textStream) parts.push(part); return [parts, await r.finishReason] },
		object: async () => (await generateObject({ model: workersai("@cf/meta/llama-3.2-1b-instruct"), prompt: "x", schema: jsonSchema({ type: "object", properties: { answer: { type: "number" } } }) })).object,
		tools: async () => { const r = await generateText({ model: workersai("@cf/meta/llama-3.2-3b-instruct"), prompt: "weather?", stopWhen: stepCountIs(3),
			tools: { weather: tool({ description: "d", inputSchema: jsonSchema<{ city: string }>({ type: "object", properties: { city: { type: "string" } } }), execute: async ({ city }) => "sunny in " + city }) } }); return [r.text, r.steps.length] },
		embed: async () => (await embedMany({ model: workersai.textEmbedding("@cf/baai/bge-small-en-v1.5"), values: ["a", "bcd"] })).embeddings,
		error: async () => generateText({ model: workersai("@cf/nobody/nothing" as any), prompt: "x", maxRetries: 0 }),
	};
	try { return Response.json(await cases[new URL(request.url).pathname.slice(1)]()) } catch (e: any) { return Response.json({ error: String(e.message) }) }
} };`

// TestAIWithSDK deploys an app that uses the published provider of Workers AI for the AI SDK.
func TestAIWithSDK(t *testing.T) {
	t.Parallel()
	p, _ := startAI(t)
	dir := app(t, "sdk", aiSDKApp, `, "ai": {"binding": "AI"}, "compatibility_flags": ["nodejs_compat"]`, nil)
	p.must(t, dir, "deploy")
	for _, c := range []struct{ name, want string }{
		{"text", `["one two","stop",9]`},
		{"stream", `[["one ","two"],"stop"]`},
		{"object", `{"answer":42}`},
		{"tools", `["sunny in Ghent",2]`},
		{"embed", `[[1,1,0],[3,1,0]]`},
		{"error", `{"error":"…5007: No such model @cf/nobody/nothing or task…"}`},
	} {
		if a := p.get(t, p.host("sdk"), "/"+c.name); !like(a.Body, c.want) {
			t.Errorf("%s: %s\nwant %s", c.name, a.Body, c.want)
		}
	}
}
