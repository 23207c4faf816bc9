package dialect

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/jinja"
)

// Prompt returns the tokens that the model is to go on from. The error is a [*InputError],
// a [*decoder.TooLongError], or ctx's.
func (d *Dialect) Prompt(ctx context.Context, r *chat.Request) ([]int32, error) {
	if err := d.takes(r); err != nil {
		return nil, err
	}
	if r.Raw {
		bos := d.model.Tokens(d.info.BOS, true, 0)
		if d.info.BOS == "" || strings.HasPrefix(r.Prompt, d.info.BOS) {
			bos = nil
		}
		return d.fits(append(bos, d.model.Tokens(r.Prompt, true, d.info.Context+1)...))
	}
	text, err := d.render(ctx, r, r.Messages)
	if failed, ok := errors.AsType[*jinja.RunError](err); ok && failed.Raised && len(r.Messages) > 1 && isSystem(&r.Messages[0]) {
		// Some models were trained without a system's turn. What it says goes before what
		// the user says, as those who trained them advise.
		text, err = d.render(ctx, r, merged(r.Messages))
	}
	if failed, ok := errors.AsType[*jinja.RunError](err); ok {
		if failed.Raised {
			return nil, problem(err, "the model's chat template refuses the messages: %s", failed.Reason)
		}
		return nil, problem(err, "the model's chat template failed: %s", failed.Reason)
	}
	if err != nil {
		return nil, err
	}
	if _, forced := r.Forced(); forced {
		text += d.lead()
	}
	var tokens []int32
	for part := range strings.SplitSeq(text, mark) {
		tokens = append(tokens, d.model.Tokens(part, true, d.info.Context+1)...)
	}
	return d.fits(tokens)
}

func (d *Dialect) fits(tokens []int32) ([]int32, error) {
	switch {
	case len(tokens) >= d.info.Context:
		return nil, &decoder.TooLongError{Prompt: len(tokens), Context: d.info.Context}
	case len(tokens) == 0:
		return nil, problem(nil, "the prompt is empty")
	}
	return tokens, nil
}

func isSystem(m *chat.Message) bool { return m.Role == "system" || m.Role == "developer" }

// merged puts a first message of the system's before the user's that follows.
func merged(messages []chat.Message) []chat.Message {
	rest := slices.Clone(messages[1:])
	if rest[0].Role == "user" {
		rest[0].Content = messages[0].Content + "\n\n" + rest[0].Content
	}
	return rest
}

// render has the template write a conversation.
func (d *Dialect) render(ctx context.Context, r *chat.Request, messages []chat.Message) (string, error) {
	turns := &jinja.List{}
	for i := range messages {
		turns.Items = append(turns.Items, d.turn(&messages[i]))
	}
	vars := map[string]jinja.Value{
		"messages": turns, "tools": nil, "documents": nil, "add_generation_prompt": true,
		"bos_token": d.info.BOS, "eos_token": d.info.EOS,
	}
	if len(r.Tools) > 0 && !r.NoTools() {
		vars["tools"] = d.tools(r.Tools)
	}
	if r.Format.JSON {
		vars["enable_thinking"] = false // nothing may come before the JSON
	}
	return d.template.Render(ctx, vars, jinja.Options{})
}

func (d *Dialect) turn(m *chat.Message) *jinja.Dict {
	t := jinja.NewDict()
	role := m.Role
	if isSystem(m) {
		role = "system"
	}
	t.Set("role", role)
	t.Set("content", d.plain(m.Content))
	for key, value := range map[string]string{"name": m.Name, "tool_call_id": m.ToolCallID} {
		if value != "" {
			t.Set(key, d.plain(value))
		}
	}
	if len(m.ToolCalls) == 0 {
		return t
	}
	calls := &jinja.List{}
	for _, c := range m.ToolCalls {
		function, call := jinja.NewDict(), jinja.NewDict()
		function.Set("name", d.plain(c.Name))
		// Templates take arguments as a value; a text is what a model wrote that is none.
		arguments, err := jinja.FromJSON([]byte(c.Arguments))
		if err != nil {
			arguments = c.Arguments
		}
		function.Set("arguments", jinja.MapText(arguments, d.plain))
		call.Set("id", d.plain(c.ID))
		call.Set("type", "function")
		call.Set("function", function)
		calls.Items = append(calls.Items, call)
	}
	t.Set("tool_calls", calls)
	return t
}

func (d *Dialect) tools(tools []chat.Tool) *jinja.List {
	out := &jinja.List{}
	for i := range tools {
		t := &tools[i]
		function, tool := jinja.NewDict(), jinja.NewDict()
		function.Set("name", d.plain(t.Name))
		function.Set("description", d.plain(t.Description))
		parameters := json.RawMessage(`{"type":"object","properties":{}}`)
		if t.Parameters != nil {
			parameters = t.Parameters
		}
		if v, err := jinja.FromJSON(parameters); err == nil {
			function.Set("parameters", jinja.MapText(v, d.plain))
		}
		tool.Set("type", "function")
		tool.Set("function", function)
		out.Items = append(out.Items, tool)
	}
	return out
}

// mark is put into what people write, where it would otherwise be read as a special token.
// The prompt is cut there. It is a character that Unicode keeps free for such uses.
const mark = "\uFDD0"

// plain returns text in which no special token of the model is found.
func (d *Dialect) plain(text string) string {
	if strings.Contains(text, mark) {
		text = strings.ReplaceAll(text, mark, "\uFFFD")
	}
	limit := d.info.Context + 1
	if slices.Equal(d.model.Tokens(text, true, limit), d.model.Tokens(text, false, limit)) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r)
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsSpace(r) {
			b.WriteString(mark)
		}
	}
	return b.String()
}

// lead is what the answer begins with when it has to be a call.
func (d *Dialect) lead() string {
	switch {
	case strings.Contains(d.source, tagOpen):
		return tagOpen + "\n"
	case strings.Contains(d.source, mistralCalls):
		return mistralCalls
	}
	return ""
}

// argumentsKey is what the model calls the arguments of a call.
func (d *Dialect) argumentsKey() string {
	if !strings.Contains(d.source, tagOpen) && !strings.Contains(d.source, mistralCalls) && strings.Contains(d.source, `"parameters": `) {
		return "parameters"
	}
	return "arguments"
}
