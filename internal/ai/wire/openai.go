package wire

import (
	"encoding/json"
	"time"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/chat"
)

type openAIAnswer struct {
	ID      string         `json:"id"`
	Object  string         `json:"object"`
	Created int64          `json:"created"`
	Model   string         `json:"model"`
	Choices []openAIChoice `json:"choices"`
	Usage   *usage         `json:"usage,omitempty"`
}

type openAIChoice struct {
	Index   int            `json:"index"`
	Message *openAIMessage `json:"message,omitempty"`
	Delta   *openAIMessage `json:"delta,omitempty"`
	Finish  *string        `json:"finish_reason"`
}

type openAIMessage struct {
	Role      string       `json:"role,omitempty"`
	Content   *string      `json:"content,omitempty"`
	Reasoning string       `json:"reasoning_content,omitempty"`
	ToolCalls []openAICall `json:"tool_calls,omitempty"`
}

type openAICall struct {
	Index    *int           `json:"index,omitempty"`
	ID       string         `json:"id,omitempty"`
	Type     string         `json:"type,omitempty"`
	Function openAIFunction `json:"function"`
}

type openAIFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

// OpenAI writes an answer as OpenAI's chat completions has it.
func OpenAI(a *ai.Answer, at time.Time) ([]byte, error) {
	r := a.Result
	m := &openAIMessage{Role: "assistant", Content: &r.Text, Reasoning: r.Reasoning}
	for _, c := range r.ToolCalls {
		m.ToolCalls = append(m.ToolCalls, openAICall{ID: c.ID, Type: "function", Function: openAIFunction{c.Name, c.Arguments}})
	}
	finish := r.Finish
	if finish == "" {
		finish = "stop"
	}
	return json.Marshal(openAIAnswer{
		ID: "chatcmpl-" + a.ID, Object: "chat.completion", Created: at.Unix(), Model: a.Model,
		Choices: []openAIChoice{{Message: m, Finish: &finish}}, Usage: usageOf(&r.Usage),
	})
}

// OpenAIStream writes the pieces of an answer as events of OpenAI's API.
type OpenAIStream struct {
	Answer *ai.Answer
	At     time.Time
	// WithUsage adds an event with what the answer took.
	WithUsage bool

	began bool
	usage *chat.Usage
}

// Delta returns the event of a piece, nil for none.
func (s *OpenAIStream) Delta(d *chat.Delta) ([]byte, error) {
	if d.Usage != nil {
		s.usage = d.Usage
	}
	if d.Text == "" && d.Reasoning == "" && len(d.Tools) == 0 && d.Finish == "" {
		return nil, nil
	}
	m := &openAIMessage{Reasoning: d.Reasoning}
	if d.Text != "" {
		m.Content = &d.Text
	}
	if !s.began {
		m.Role, s.began = "assistant", true
	}
	for i := range d.Tools {
		t := &d.Tools[i]
		c := openAICall{Index: &t.Index, ID: t.ID, Function: openAIFunction{t.Name, t.Arguments}}
		if t.ID != "" {
			c.Type = "function"
		}
		m.ToolCalls = append(m.ToolCalls, c)
	}
	choice := openAIChoice{Delta: m}
	if d.Finish != "" {
		choice.Finish = &d.Finish
	}
	return s.event([]openAIChoice{choice}, nil)
}

func (s *OpenAIStream) event(choices []openAIChoice, u *usage) ([]byte, error) {
	return event(openAIAnswer{ID: "chatcmpl-" + s.Answer.ID, Object: "chat.completion.chunk", Created: s.At.Unix(), Model: s.Answer.Model, Choices: choices, Usage: u})
}

// End returns the events after the last piece.
func (s *OpenAIStream) End() ([]byte, error) {
	if !s.WithUsage || s.usage == nil {
		return []byte(done), nil
	}
	last, err := s.event([]openAIChoice{}, usageOf(s.usage))
	return append(last, done...), err
}

// OpenAIEmbeddings writes vectors as OpenAI's embeddings does.
func OpenAIEmbeddings(model string, e *ai.Embedded) []byte {
	name, _ := json.Marshal(model) // a string always encodes
	out := append([]byte(`{"object":"list","model":`), name...)
	out = append(out, `,"data":[`...)
	for i, v := range e.Vectors {
		if i > 0 {
			out = append(out, ',')
		}
		index, _ := json.Marshal(i)
		out = append(append(out, `{"object":"embedding","index":`...), index...)
		out = append(ai.AppendVector(append(out, `,"embedding":`...), v), '}')
	}
	tokens, _ := json.Marshal(e.Tokens)
	out = append(append(out, `],"usage":{"prompt_tokens":`...), tokens...)
	return append(append(append(out, `,"total_tokens":`...), tokens...), `}}`...)
}

// OpenAIError writes an error as OpenAI's clients read it, and as the API's do.
func OpenAIError(code, status int, message string) []byte {
	kind := "invalid_request_error"
	switch {
	case status == 429: //nolint:mnd // Too Many Requests
		kind = "rate_limit_error"
	case status >= 500: //nolint:mnd // the platform's own
		kind = "server_error"
	case status == 401 || status == 403: //nolint:mnd // Unauthorized, Forbidden
		kind = "authentication_error"
	}
	type inner struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Param   *int   `json:"param"`
		Code    int    `json:"code"`
	}
	raw, _ := json.Marshal(struct { // it always encodes
		Error   inner       `json:"error"`
		Success bool        `json:"success"`
		Errors  []errorItem `json:"errors"`
	}{inner{Message: message, Type: kind, Code: code}, false, []errorItem{{code, message}}})
	return raw
}

// OpenAIModels writes the list of models.
func OpenAIModels(models []ai.Model) ([]byte, error) {
	type item struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
	}
	items := []item{}
	for i := range models {
		if models[i].Hint == "" {
			items = append(items, item{ID: models[i].Name, Object: "model", OwnedBy: models[i].Author()})
		}
	}
	return json.Marshal(map[string]any{"object": "list", "data": items})
}
