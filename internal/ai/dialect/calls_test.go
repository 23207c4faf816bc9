package dialect_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/dialect"
)

func tools() []chat.Tool { return []chat.Tool{{Name: "weather"}, {Name: "now"}} }

// read has a reader read an answer in pieces of n bytes.
func read(t *testing.T, answer string, n int) *chat.Result {
	t.Helper()
	r, all := dialect.NewReader(tools()), &chat.Collector{}
	for i := 0; i < len(answer); i += n {
		if err := all.Add(r.Read(answer[i:min(i+n, len(answer))])); err != nil {
			t.Fatal(err)
		}
	}
	last, called := r.End()
	if err := all.Add(last); err != nil {
		t.Fatal(err)
	}
	out := all.Result()
	if called != (len(out.ToolCalls) > 0) {
		t.Errorf("%q: there were calls: %v, but %d", answer, called, len(out.ToolCalls))
	}
	return out
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ answer, text, calls string }{
		{"Hello, world", "Hello, world", ""},
		{"", "", ""},
		{"  \n", "  \n", ""},
		// Hermes, Qwen.
		{"<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ghent\"}}\n</tool_call>", "", `weather {"city":"Ghent"}`},
		{"Let me see.\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"c\": \"é\"}}\n</tool_call>", "Let me see.", `now {}|weather {"c":"é"}`},
		{"<tool_call>{\"name\":\"now\",\"arguments\":\"{\\\"a\\\":1}\"}", "", `now {"a":1}`},
		{"<tool_call>{\"name\":\"other\",\"arguments\":{}}</tool_call> so", "<tool_call>{\"name\":\"other\",\"arguments\":{}}</tool_call> so", ""},
		{"<tool_call>{broken</tool_call>", "<tool_call>{broken</tool_call>", ""},
		{"<tool_call>{cut", "<tool_call>{cut", ""},
		{"a < b <tool", "a < b <tool", ""},
		// Llama 3.
		{`{"name": "weather", "parameters": {"city": "Ghent"}}`, "", `weather {"city":"Ghent"}`},
		{`<|python_tag|>{"name": "now", "parameters": {}}; {"name": "weather", "parameters": {"a": ";"}}`, "", `now {}|weather {"a":";"}`},
		{`{"type": "function", "function": {"name": "now", "arguments": {}}}`, "", `now {}`},
		{`{"type": "function", "function": "now", "parameters": {"a": null}}`, "", `now {"a":null}`},
		{`{"answer": 42}`, `{"answer": 42}`, ""},
		{`{"name": "weather", "parameters": [1]}`, `{"name": "weather", "parameters": [1]}`, ""},
		{`{"name": "now"}`, "", `now {}`},
		{`{"name": "now"} and more`, `{"name": "now"} and more`, ""},
		// Mistral.
		{`[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Ghent"}, "id": "x"}, {"name": "now", "arguments": {}}]`, "", `weather {"city":"Ghent"}|now {}`},
		{` [{"name": "now", "arguments": {}}]`, "", `now {}`},
		{`[TOOL_CALLS]weather[ARGS]{"city": "Ghent"}`, "", `weather {"city":"Ghent"}`},
		{"[1, 2]", "[1, 2]", ""},
		{"[TOOL", "[TOOL", ""},
	} {
		for _, n := range []int{1, 3, 1000} {
			got := read(t, c.answer, n)
			var calls []string
			for _, k := range got.ToolCalls {
				calls = append(calls, k.Name+" "+k.Arguments)
				if len(k.ID) != 9 {
					t.Errorf("the id %q has not nine letters", k.ID)
				}
			}
			if got.Text != c.text || strings.Join(calls, "|") != c.calls {
				t.Errorf("%q by %d: %q %q", c.answer, n, got.Text, calls)
			}
		}
	}
}

// TestReaderWithoutTools: nothing is a call where there are no tools, and nothing waits.
func TestReaderWithoutTools(t *testing.T) {
	t.Parallel()
	r := dialect.NewReader(nil)
	if d := r.Read(`{"name":"weather","arguments":{}}`); d.Text == "" || d.Tools != nil {
		t.Errorf("%+v", d)
	}
}

// FuzzReader: however an answer is cut into pieces, what is read of it is the same, and
// nothing of it is lost.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"a<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>b", `[TOOL_CALLS]now[ARGS]{}`, `<|python_tag|>{"name":"now"};{"name":"now"}`, "<tool_call><tool_call>"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, answer string, n int) {
		if n < 1 || len(answer) > 1<<16 {
			return
		}
		whole, cut := read(t, answer, 1<<20), read(t, answer, n)
		if whole.Text != cut.Text || len(whole.ToolCalls) != len(cut.ToolCalls) {
			t.Fatalf("%q in pieces of %d: %q and %d calls, not %q and %d", answer, n, cut.Text, len(cut.ToolCalls), whole.Text, len(whole.ToolCalls))
		}
		if len(whole.ToolCalls) == 0 && whole.Text != answer {
			t.Fatalf("%q became %q", answer, whole.Text)
		}
		for _, c := range whole.ToolCalls {
			if !json.Valid([]byte(c.Arguments)) {
				t.Fatalf("%q", c.Arguments)
			}
		}
	})
}
