// Package chat is what the platform, its engines and the servers behind it say to each
// other about text generation. It is nobody's wire format.
package chat

import (
	"cmp"
	"encoding/json"
)

// Request asks for text.
type Request struct {
	// Messages is the conversation. With Raw it is empty, and Prompt is what the model
	// goes on from, without its chat template.
	Messages []Message
	Prompt   string
	Raw      bool

	MaxTokens         int // > 0
	Temperature       *float64
	TopP              *float64
	TopK              *int
	Seed              *int64
	RepetitionPenalty *float64
	FrequencyPenalty  *float64
	PresencePenalty   *float64
	Stop              []string

	Tools      []Tool
	ToolChoice json.RawMessage // as OpenAI's API has it; nil: the model chooses
	Format     Format
	// ReasoningEffort is passed on to servers that know it; nil for none.
	ReasoningEffort json.RawMessage
}

// Message is one turn of a conversation.
type Message struct {
	Role       string
	Content    string
	Name       string
	ToolCallID string // of a tool's answer
	ToolCalls  []ToolCall
}

// Tool is a function that the model may ask to be called.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // JSON Schema; nil for none
}

// ToolCall asks for a function to be called.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON, as the model wrote it
}

// Format says what the text must be.
type Format struct {
	JSON   bool
	Schema json.RawMessage // nil: any JSON
}

// Delta is a piece of an answer.
type Delta struct {
	Text      string
	Reasoning string
	Tools     []ToolDelta
	// Finish says why the answer has ended: stop, length or tool_calls. It comes once.
	Finish string
	// Usage comes once, with the last piece or after it.
	Usage *Usage
}

// ToolDelta is a piece of a call. The first one of an Index has ID and Name.
type ToolDelta struct {
	Index     int
	ID, Name  string
	Arguments string
}

// Usage is what an answer took, in tokens.
type Usage struct {
	Prompt, Completion int
	// Estimated says that the server did not tell, and that the numbers are a guess.
	Estimated bool
}

// Result is a whole answer.
type Result struct {
	Text      string
	Reasoning string
	ToolCalls []ToolCall
	Finish    string
	Usage     Usage
}

// Forced says whether the answer must be a call, and of which function if not of any.
func (r *Request) Forced() (name string, forced bool) {
	var word string
	var choice struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	switch {
	case r.ToolChoice == nil:
	case json.Unmarshal(r.ToolChoice, &word) == nil:
		return "", word == "required" || word == "any"
	case json.Unmarshal(r.ToolChoice, &choice) == nil:
		name = cmp.Or(choice.Function.Name, choice.Name)
		return name, name != ""
	}
	return "", false
}

// NoTools says that the answer must be none.
func (r *Request) NoTools() bool { return string(r.ToolChoice) == `"none"` }
