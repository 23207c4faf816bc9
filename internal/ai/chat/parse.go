package chat

import (
	"encoding/json"
	"fmt"
	"strings"
)

// DefaultMaxTokens is how long an answer may be when the request does not say.
const DefaultMaxTokens = 256

// inputs are the platform's, which have passed the model's schema.
type inputs struct {
	Prompt              *string           `json:"prompt"`
	Raw                 bool              `json:"raw"`
	Messages            []message         `json:"messages"`
	Stream              bool              `json:"stream"`
	MaxTokens           *float64          `json:"max_tokens"`
	MaxCompletionTokens *float64          `json:"max_completion_tokens"`
	Temperature         *float64          `json:"temperature"`
	TopP                *float64          `json:"top_p"`
	TopK                *float64          `json:"top_k"`
	Seed                *float64          `json:"seed"`
	RepetitionPenalty   *float64          `json:"repetition_penalty"`
	FrequencyPenalty    *float64          `json:"frequency_penalty"`
	PresencePenalty     *float64          `json:"presence_penalty"`
	Stop                json.RawMessage   `json:"stop"`
	Tools               []json.RawMessage `json:"tools"`
	ToolChoice          json.RawMessage   `json:"tool_choice"`
	ResponseFormat      *responseFormat   `json:"response_format"`
	ReasoningEffort     json.RawMessage   `json:"reasoning_effort"`
	LoRA                string            `json:"lora"`
}

type message struct {
	Role       string            `json:"role"`
	Content    json.RawMessage   `json:"content"`
	Name       string            `json:"name"`
	ToolCallID string            `json:"tool_call_id"`
	ToolCalls  []json.RawMessage `json:"tool_calls"`
}

type responseFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"json_schema"`
}

// InputError says what of the inputs cannot be taken. Its text is for the caller.
type InputError struct{ Reason string }

func (e *InputError) Error() string { return e.Reason }

func reject(format string, args ...any) error { return &InputError{fmt.Sprintf(format, args...)} }

// Parse reads the platform's inputs, or the body of OpenAI's chat completions, which
// has the same fields. An error is an *[InputError].
func Parse(text []byte) (r *Request, stream bool, err error) {
	var in inputs
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, false, reject("a field has the wrong type")
	}
	if in.LoRA != "" {
		return nil, false, reject("LoRA adapters are not offered here; leave out 'lora'")
	}
	r = &Request{
		Raw: in.Raw && len(in.Messages) == 0, MaxTokens: DefaultMaxTokens, Temperature: in.Temperature, TopP: in.TopP,
		RepetitionPenalty: in.RepetitionPenalty, FrequencyPenalty: in.FrequencyPenalty, PresencePenalty: in.PresencePenalty,
		ToolChoice: given(in.ToolChoice), ReasoningEffort: given(in.ReasoningEffort),
	}
	for _, n := range []*float64{in.MaxTokens, in.MaxCompletionTokens} {
		if n != nil {
			r.MaxTokens = clamp(*n)
		}
	}
	if in.TopK != nil {
		k := clamp(*in.TopK)
		r.TopK = &k
	}
	if in.Seed != nil {
		seed := int64(*in.Seed)
		r.Seed = &seed
	}
	if r.Stop, err = stops(in.Stop); err != nil {
		return nil, false, err
	}
	if err := r.conversation(&in); err != nil {
		return nil, false, err
	}
	if err := r.tools(in.Tools); err != nil {
		return nil, false, err
	}
	return r, in.Stream, r.format(in.ResponseFormat)
}

// given is nil for null.
func given(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// clamp makes an int of what JSON has as a number.
func clamp(x float64) int {
	const most = 1 << 30
	return int(max(1, min(x, most)))
}

// stops reads "stop", a text or a list of at most maxStops.
func stops(raw json.RawMessage) ([]string, error) {
	const maxStops, longest = 16, 256
	var list []string
	var one string
	switch {
	case given(raw) == nil:
		return nil, nil
	case json.Unmarshal(raw, &one) == nil:
		list = []string{one}
	case json.Unmarshal(raw, &list) != nil:
		return nil, reject("'stop' is neither a text nor a list of texts")
	}
	if len(list) > maxStops {
		return nil, reject("'stop' has %d texts; at most %d are taken", len(list), maxStops)
	}
	for _, s := range list {
		if s == "" || len(s) > longest {
			return nil, reject("a text of 'stop' has %d bytes; from 1 to %d are taken", len(s), longest)
		}
	}
	return list, nil
}

func (r *Request) conversation(in *inputs) error {
	if len(in.Messages) == 0 {
		if in.Prompt == nil {
			return reject("there are neither 'prompt' nor 'messages'")
		}
		r.Prompt = *in.Prompt
		if !r.Raw {
			r.Messages, r.Prompt = []Message{{Role: "user", Content: *in.Prompt}}, ""
		}
		return nil
	}
	for i := range in.Messages {
		m := &in.Messages[i]
		content, err := textOf(m.Content)
		if err != nil {
			return reject("'/messages/%d/content': %v", i, err)
		}
		switch m.Role {
		case "system", "developer", "user", "assistant", "tool":
		default:
			return reject("'/messages/%d/role' is %.20q; there are system, user, assistant and tool", i, m.Role)
		}
		out := Message{Role: m.Role, Content: content, Name: m.Name, ToolCallID: m.ToolCallID}
		for j, raw := range m.ToolCalls {
			call, err := parseCall(raw)
			if err != nil {
				return reject("'/messages/%d/tool_calls/%d': %v", i, j, err)
			}
			out.ToolCalls = append(out.ToolCalls, call)
		}
		r.Messages = append(r.Messages, out)
	}
	return nil
}

// textOf reads the content of a message: a text, nothing, or parts that are texts.
func textOf(raw json.RawMessage) (string, error) {
	if len(given(raw)) == 0 {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", reject("it is neither a text nor a list of parts")
	}
	var b strings.Builder
	for i := range parts {
		if parts[i].Type != "text" {
			return "", reject("it has a part of type %.20q; only text is taken here", parts[i].Type)
		}
		b.WriteString(parts[i].Text)
	}
	return b.String(), nil
}

// parseCall reads a call in OpenAI's form or in the platform's, {"name":…,"arguments":{…}}.
func parseCall(raw json.RawMessage) (ToolCall, error) {
	var in struct {
		ID        string          `json:"id"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		Function  *struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	}
	if json.Unmarshal(raw, &in) != nil {
		return ToolCall{}, reject("it is no call of a function")
	}
	call := ToolCall{ID: in.ID, Name: in.Name}
	arguments := in.Arguments
	if in.Function != nil {
		call.Name, arguments = in.Function.Name, in.Function.Arguments
	}
	if call.Name == "" {
		return ToolCall{}, reject("it names no function")
	}
	var text string
	if json.Unmarshal(arguments, &text) == nil {
		call.Arguments = text
	} else {
		call.Arguments = string(arguments)
	}
	return call, nil
}

func (r *Request) tools(list []json.RawMessage) error {
	const most = 128
	if len(list) > most {
		return reject("'tools' has %d functions; at most %d are taken", len(list), most)
	}
	type function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	}
	for i, raw := range list {
		var in struct {
			function

			Function *function `json:"function"`
		}
		if json.Unmarshal(raw, &in) != nil {
			return reject("'/tools/%d' is no function", i)
		}
		f := in.function
		if in.Function != nil {
			f = *in.Function
		}
		if f.Name == "" {
			return reject("'/tools/%d' has no name", i)
		}
		if err := checkNesting(f.Parameters); err != nil {
			return reject("'/tools/%d/parameters' %v", i, err)
		}
		r.Tools = append(r.Tools, Tool{f.Name, f.Description, given(f.Parameters)})
	}
	return nil
}

func (r *Request) format(f *responseFormat) error {
	if f == nil || f.Type == "text" {
		return nil
	}
	r.Format.JSON = true
	if f.Type != "json_schema" {
		return nil
	}
	schema := given(f.Schema)
	if schema == nil {
		return reject("'/response_format/json_schema' is missing")
	}
	// OpenAI's API has an envelope around it, the platform's has not.
	var envelope struct {
		Name   *string         `json:"name"`
		Schema json.RawMessage `json:"schema"`
	}
	if json.Unmarshal(schema, &envelope) == nil && len(envelope.Schema) > 0 {
		schema = envelope.Schema
	}
	if err := checkNesting(schema); err != nil {
		return reject("'/response_format/json_schema' %v", err)
	}
	r.Format.Schema = schema
	return nil
}

// checkNesting refuses schemas that cost more to follow than they can be meant to: those
// that are nested very deep, or are very large.
func checkNesting(raw json.RawMessage) error {
	const largest, deepest = 256 << 10, 64
	if len(raw) > largest {
		return fmt.Errorf("has %d bytes; at most %d are taken", len(raw), largest)
	}
	depth, inText, escaped := 0, false, false
	for _, b := range raw {
		switch {
		case escaped:
			escaped = false
		case inText && b == '\\':
			escaped = true
		case b == '"':
			inText = !inText
		case inText:
		case b == '{' || b == '[':
			depth++
			if depth > deepest {
				return fmt.Errorf("is nested deeper than %d levels", deepest)
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return nil
}
