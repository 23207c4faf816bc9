package chat_test

import (
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/chat"
)

func TestParse(t *testing.T) {
	t.Parallel()
	r, stream, err := chat.Parse([]byte(`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"name":"g","arguments":{"x":1}}]},
		{"role":"tool","tool_call_id":"1","content":"done"}],"stream":true,"stop":"END","max_completion_tokens":5,"seed":7,
		"tools":[{"type":"function","function":{"name":"f"}},{"name":"g","description":"d","parameters":{"type":"object"}}],
		"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}`))
	if err != nil || !stream || len(r.Messages) != 4 || r.Messages[1].Content != "ab" || r.MaxTokens != 5 || *r.Seed != 7 || len(r.Stop) != 1 {
		t.Fatalf("%+v %v %v", r, stream, err)
	}
	if calls := r.Messages[2].ToolCalls; len(calls) != 2 || calls[0].Arguments != "{}" || calls[1] != (chat.ToolCall{Name: "g", Arguments: `{"x":1}`}) {
		t.Errorf("calls: %+v", calls)
	}
	if len(r.Tools) != 2 || r.Tools[1].Description != "d" || string(r.Format.Schema) != `{"type":"object"}` {
		t.Errorf("tools and format: %+v %+v", r.Tools, r.Format)
	}
	r, _, err = chat.Parse([]byte(`{"prompt":"p"}`))
	if err != nil || r.Raw || r.Prompt != "" || len(r.Messages) != 1 || r.MaxTokens != chat.DefaultMaxTokens {
		t.Errorf("a prompt: %+v %v", r, err)
	}
	r, _, err = chat.Parse([]byte(`{"prompt":"p","raw":true}`))
	if err != nil || !r.Raw || r.Prompt != "p" || len(r.Messages) != 0 {
		t.Errorf("a raw prompt: %+v %v", r, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100)
	for text, want := range map[string]string{
		`{}`: "neither 'prompt' nor 'messages'",
		`{"messages":[{"role":"pope","content":"x"}]}`:                                       "'/messages/0/role'",
		`{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`:                    "only text is taken",
		`{"prompt":"x","lora":"l"}`:                                                          "LoRA",
		`{"prompt":"x","stop":7}`:                                                            "'stop'",
		`{"prompt":"x","stop":[""]}`:                                                         "'stop'",
		`{"prompt":"x","tools":[{}]}`:                                                        "has no name",
		`{"prompt":"x","tools":[{"name":"f","parameters":` + deep + `}]}`:                    "nested deeper",
		`{"prompt":"x","response_format":{"type":"json_schema"}}`:                            "missing",
		`{"prompt":"x","response_format":{"type":"json_schema","json_schema":` + deep + `}}`: "nested deeper",
		`{"prompt":"x","response_format":{"type":"json_schema","json_schema":{"a":"` + strings.Repeat("x", 300<<10) + `"}}}`: "bytes",
		`{"messages":[{"role":"assistant","tool_calls":[{}]}]}`:                                                              "names no function",
	} {
		if _, _, err := chat.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v", text, err)
		}
	}
}

func TestCollectorRefusesGaps(t *testing.T) {
	t.Parallel()
	var c chat.Collector
	for _, index := range []int{-1, 1, 1 << 30} {
		if err := c.Add(&chat.Delta{Tools: []chat.ToolDelta{{Index: index}}}); err == nil {
			t.Errorf("the call %d is taken as the first one", index)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"tools":[{"name":"f"}],"stop":["a"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, _, err := chat.Parse(text)
		if err == nil && (r.MaxTokens < 1 || len(r.Messages) == 0 && !r.Raw) {
			t.Errorf("%+v", r)
		}
	})
}
