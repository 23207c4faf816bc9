package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

const aiCostCases = `
const echo = "@cf/meta/llama-3.1-8b-instruct";
export const run = {
	prompt: async (ai) => (await ai.run(echo, { prompt: "one two" })).response,
	stream: async (ai) => { const t = await new Response(await ai.run(echo, { prompt: "one two", stream: true })).text(); return t.endsWith("data: [DONE]\n\n") },
	raw: async (ai) => { const r = await ai.run(echo, { prompt: "one" }, { returnRawResponse: true }); return [r.status, Number(r.headers.get("retry-after")) > 0, (await r.json()).internalCode] },
};`

// TestAIUsageSurvivesKill counts what a worker used, exactly, after the platform was killed,
// and stops the worker at its limit.
func TestAIUsageSurvivesKill(t *testing.T) {
	t.Parallel()
	p, _ := startAI(t)
	dir := aiProject(t, aiCostCases)
	p.must(t, dir, "deploy")
	for range 3 {
		if a := p.get(t, p.host("ai"), "/prompt"); a.Body != `"one two"` {
			t.Fatalf("prompt: %s", a.Body)
		}
	}
	if a := p.get(t, p.host("ai"), "/stream"); a.Body != `true` {
		t.Fatalf("stream: %s", a.Body)
	}
	p.kill()
	p.up(t)
	var rows []struct {
		Subject   string  `json:"subject"`
		Model     string  `json:"model"`
		Requests  int     `json:"requests"`
		TokensIn  int     `json:"tokens_in"`
		TokensOut int     `json:"tokens_out"`
		Neurons   float64 `json:"neurons"`
		Dollars   float64 `json:"dollars"`
	}
	if err := json.Unmarshal([]byte(p.ok(t, dir, "", "ai", "usage", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	const neurons = (28*25608 + 8*75147) / 1e6
	if len(rows) != 1 || rows[0].Subject != "worker:ai" || rows[0].Requests != 4 || rows[0].TokensIn != 28 || rows[0].TokensOut != 8 ||
		rows[0].Neurons != neurons || rows[0].Dollars < neurons*0.011/1000*0.999 || rows[0].Dollars > neurons*0.011/1000*1.001 {
		t.Errorf("usage: %+v, want %v neurons", rows, neurons)
	}
	if out := p.ok(t, dir, "", "ai", "usage", "--by", "worker"); !strings.Contains(out, "worker:ai") || !strings.Contains(out, "WOULD COST") {
		t.Errorf("usage:\n%s", out)
	}
	p.ok(t, dir, "", "ai", "limit", "set", "worker:*", "--requests-per-month", "5")
	if a := p.get(t, p.host("ai"), "/prompt"); a.Body != `"one two"` {
		t.Errorf("the fifth: %s", a.Body)
	}
	if a := p.get(t, p.host("ai"), "/prompt"); !strings.Contains(a.Body, `"error":"AiError: 3036: You have used up the 5 requests per month that worker:ai may use`) || !strings.Contains(a.Body, `"status":429`) {
		t.Errorf("the sixth: %s", a.Body)
	}
	if a := p.get(t, p.host("ai"), "/raw"); a.Body != `[429,true,3036]` {
		t.Errorf("the raw answer: %s", a.Body)
	}
	if status, body := p.aiPost(t, "/run/@cf/meta/llama-3.1-8b-instruct", `{"prompt":"one two"}`); status != 200 {
		t.Errorf("a token, which has no limit: %d %s", status, body)
	}
	if out := p.ok(t, dir, "", "ai", "limit", "list"); !strings.Contains(out, "worker:*") || !strings.Contains(out, "requests") {
		t.Errorf("limits:\n%s", out)
	}
	if _, stderr, code := p.ours(t, dir, "", "ai", "limit", "set", "everybody", "--tokens-per-day", "1"); code == 0 || !strings.Contains(stderr, "worker:NAME") {
		t.Errorf("limits of nobody: %d %s", code, stderr)
	}
	p.ok(t, dir, "", "ai", "limit", "remove", "worker:*", "--yes")
	if a := p.get(t, p.host("ai"), "/prompt"); a.Body != `"one two"` {
		t.Errorf("without a limit: %s", a.Body)
	}
}
