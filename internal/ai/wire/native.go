package wire

import (
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/chat"
)

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func usageOf(u *chat.Usage) *usage {
	return &usage{u.Prompt, u.Completion, u.Prompt + u.Completion}
}

// nativeCall is a call in the platform's form: its arguments are a value, not a text.
type nativeCall struct {
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

func nativeCalls(calls []chat.ToolCall) []nativeCall {
	var out []nativeCall
	for _, c := range calls {
		arguments := json.RawMessage(c.Arguments)
		if !json.Valid(arguments) {
			arguments, _ = json.Marshal(c.Arguments) // what the model wrote, as a text
		}
		out = append(out, nativeCall{c.ID, c.Name, arguments})
	}
	return out
}

type native struct {
	Response  any          `json:"response"`
	Reasoning string       `json:"reasoning_content,omitempty"`
	ToolCalls []nativeCall `json:"tool_calls,omitempty"`
	Finish    string       `json:"finish_reason,omitempty"`
	Usage     *usage       `json:"usage,omitempty"`
}

// Native writes an answer in the platform's form. The text of JSON mode is the value
// itself.
func Native(a *ai.Answer) ([]byte, error) {
	if a.Result == nil {
		return a.JSON, nil
	}
	r := a.Result
	out := native{Response: r.Text, Reasoning: r.Reasoning, ToolCalls: nativeCalls(r.ToolCalls), Finish: r.Finish, Usage: usageOf(&r.Usage)}
	if a.Format.JSON && json.Valid([]byte(r.Text)) {
		out.Response = json.RawMessage(r.Text)
	}
	return json.Marshal(out)
}

// NativeStream writes the pieces of an answer as the platform streams them: one event
// for each text, then one with the calls and what the answer took, then [DONE].
type NativeStream struct{ all chat.Collector }

// Delta returns the event of a piece, nil for none.
func (s *NativeStream) Delta(d *chat.Delta) ([]byte, error) {
	if err := s.all.Add(&chat.Delta{Tools: d.Tools, Finish: d.Finish, Usage: d.Usage}); err != nil {
		return nil, err
	}
	if d.Text == "" && d.Reasoning == "" {
		return nil, nil
	}
	return event(native{Response: d.Text, Reasoning: d.Reasoning})
}

// End returns the events after the last piece.
func (s *NativeStream) End() ([]byte, error) {
	r := s.all.Result()
	last, err := event(native{Response: "", ToolCalls: nativeCalls(r.ToolCalls), Finish: r.Finish, Usage: usageOf(&r.Usage)})
	return append(last, done...), err
}

const done = "data: [DONE]\n\n"

func event(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(append([]byte("data: "), raw...), "\n\n"...), nil
}
