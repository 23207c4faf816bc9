package remote

import (
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/ai/chat"
)

// request is the body of chat/completions, and of completions.
type request struct {
	Model             string          `json:"model"`
	Messages          []turn          `json:"messages,omitempty"`
	Prompt            string          `json:"prompt,omitempty"`
	MaxTokens         int             `json:"max_tokens"`
	Temperature       *float64        `json:"temperature,omitempty"`
	TopP              *float64        `json:"top_p,omitempty"`
	TopK              *int            `json:"top_k,omitempty"`
	Seed              *int64          `json:"seed,omitempty"`
	RepetitionPenalty *float64        `json:"repetition_penalty,omitempty"`
	FrequencyPenalty  *float64        `json:"frequency_penalty,omitempty"`
	PresencePenalty   *float64        `json:"presence_penalty,omitempty"`
	Stop              []string        `json:"stop,omitempty"`
	Tools             []tool          `json:"tools,omitempty"`
	ToolChoice        json.RawMessage `json:"tool_choice,omitempty"`
	ResponseFormat    any             `json:"response_format,omitempty"`
	ReasoningEffort   json.RawMessage `json:"reasoning_effort,omitempty"`
	Stream            bool            `json:"stream,omitempty"`
	StreamOptions     any             `json:"stream_options,omitempty"`
}

type turn struct {
	Role       string `json:"role"`
	Content    string `json:"content"`
	Name       string `json:"name,omitempty"`
	ToolCallID string `json:"tool_call_id,omitempty"`
	ToolCalls  []call `json:"tool_calls,omitempty"`
}

type tool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string          `json:"name,omitempty"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

type call struct {
	Index    int    `json:"index,omitempty"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func encode(model string, r *chat.Request, stream bool) *request { //nolint:revive // part of the form
	out := &request{
		Model: model, Prompt: r.Prompt, MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP, TopK: r.TopK, Seed: r.Seed,
		RepetitionPenalty: r.RepetitionPenalty, FrequencyPenalty: r.FrequencyPenalty, PresencePenalty: r.PresencePenalty, Stop: r.Stop,
		ToolChoice: r.ToolChoice, ReasoningEffort: r.ReasoningEffort, Stream: stream,
	}
	if stream {
		out.StreamOptions = map[string]bool{"include_usage": true}
	}
	for i := range r.Messages {
		m := &r.Messages[i]
		w := turn{Role: m.Role, Content: m.Content, Name: m.Name, ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			k := call{ID: c.ID, Type: "function"}
			k.Function.Name, k.Function.Arguments = c.Name, c.Arguments
			w.ToolCalls = append(w.ToolCalls, k)
		}
		out.Messages = append(out.Messages, w)
	}
	for _, t := range r.Tools {
		out.Tools = append(out.Tools, tool{"function", function{t.Name, t.Description, t.Parameters}})
	}
	switch {
	case r.Format.Schema != nil:
		out.ResponseFormat = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "answer", "schema": r.Format.Schema}}
	case r.Format.JSON:
		out.ResponseFormat = map[string]any{"type": "json_object"}
	}
	return out
}

// completion is an answer, or an event of one.
type completion struct {
	Choices []struct {
		Message      content `json:"message"`
		Delta        content `json:"delta"`
		Text         string  `json:"text"` // of completions
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type content struct {
	Content          string `json:"content"`
	ReasoningContent string `json:"reasoning_content"`
	Reasoning        string `json:"reasoning"`
	ToolCalls        []call `json:"tool_calls"`
}

// delta is what an answer (whole) or an event says.
func (c *completion) delta(whole bool) *chat.Delta { //nolint:revive // which of two forms
	d := &chat.Delta{}
	if c.Usage != nil && c.Usage.PromptTokens >= 0 && c.Usage.CompletionTokens >= 0 && c.Usage.PromptTokens+c.Usage.CompletionTokens > 0 {
		d.Usage = &chat.Usage{Prompt: c.Usage.PromptTokens, Completion: c.Usage.CompletionTokens}
	}
	if len(c.Choices) == 0 {
		return d
	}
	choice := &c.Choices[0]
	in := &choice.Delta
	if whole {
		in = &choice.Message
	}
	d.Text, d.Reasoning, d.Finish = in.Content+choice.Text, in.ReasoningContent, choice.FinishReason
	if d.Reasoning == "" {
		d.Reasoning = in.Reasoning
	}
	for i := range in.ToolCalls {
		t := &in.ToolCalls[i]
		index := t.Index
		if whole {
			index = i
		}
		d.Tools = append(d.Tools, chat.ToolDelta{Index: index, ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments})
	}
	return d
}
