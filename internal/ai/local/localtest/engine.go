// Package localtest is a model of this process for tests: it has no weights, and writes
// what its script says. All around it is real: the template, the masks, the queues.
package localtest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/ai/local"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
)

// Engines opens models and counts what they do. A model's config.json names its script:
//
//	echo     says what the last message says
//	tools    asks for the first tool with {"city":"Ghent"}, then says what the tool said
//	json     says {"answer":42}, as far as it may
//	endless  says "la " until nobody listens
//	prompt   says the prompt, special tokens as their number in brackets
//	gated    waits for Gate before each answer, then says "done"
type Engines struct {
	Gate chan struct{}

	Running, Peak, Left atomic.Int64
	// Tokens counts those that were written, by all.
	Tokens atomic.Int64
}

// The tokens above those of single bytes.
const (
	bos = 256 + iota
	turnBegin
	turnEnd
	tokens
)

func specials() []string {
	return []string{bos - 256: "<s>", turnBegin - 256: "<|im_start|>", turnEnd - 256: "<|im_end|>"}
}

// template is in the manner of Qwen's.
const template = `{%- if tools %}
    {{- '<|im_start|>system\n<tools>' }}
    {%- for tool in tools %}
        {{- "\n" ~ (tool | tojson) }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>\n{"name": "' ~ call.function.name ~ '", "arguments": ' ~ (call.function.arguments | tojson) ~ '}\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{{- '<|im_start|>assistant\n' if add_generation_prompt }}`

// Open opens the model in a folder.
func (e *Engines) Open(dir string) (local.Decoder, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "config.json")) //nolint:gosec // a test's
	if err != nil {
		return nil, err
	}
	m := &model{e: e}
	return m, json.Unmarshal(raw, m)
}

type model struct {
	e       *Engines
	Script  string `json:"script"`
	Context int    `json:"context"`
}

func (m *model) Info() decoder.Info {
	return decoder.Info{Architecture: "llama", Context: m.Context, Vocabulary: tokens, Template: template, BOS: "<s>", EOS: "<|im_end|>", WeightBytes: 1}
}

func (*model) Close() error { return nil }

func (*model) Tokens(text string, special bool, limit int) (out []int32) { //nolint:revive // as the interface has it
	for i := 0; i < len(text) && (limit == 0 || len(out) < limit); {
		at := -1
		if special {
			at = slices.IndexFunc(specials(), func(s string) bool { return strings.HasPrefix(text[i:], s) })
		}
		if at >= 0 {
			out = append(out, int32(bos+at))
			i += len(specials()[at])
			continue
		}
		out = append(out, int32(text[i]))
		i++
	}
	return out
}

func (*model) TokenBytes(token int32) []byte {
	if token >= 0 && token < bos {
		return []byte{byte(token)}
	}
	return nil
}

func (*model) Ends(token int32) bool { return token == turnEnd }

// read writes a prompt as text.
func read(prompt []int32) string {
	var b strings.Builder
	for _, id := range prompt {
		if id < bos {
			b.WriteByte(byte(id)) //nolint:gosec // below bos
		} else {
			b.WriteString(specials()[id-bos])
		}
	}
	return b.String()
}

// show is read, with special tokens as their number.
func show(prompt []int32) string {
	var b strings.Builder
	for _, id := range prompt {
		if id < bos {
			b.WriteByte(byte(id)) //nolint:gosec // below bos
		} else {
			b.WriteString("[" + strconv.Itoa(int(id)-bos) + "]")
		}
	}
	return b.String()
}

// answer is what the script has the model say.
func (m *model) answer(prompt string) string {
	turns := strings.Split(prompt, "<|im_start|>")
	role, last := "", strings.TrimPrefix(prompt, "<s>")
	if strings.HasSuffix(prompt, "<|im_start|>assistant\n") || strings.HasSuffix(prompt, "<tool_call>\n") {
		role, last, _ = strings.Cut(strings.TrimSuffix(turns[len(turns)-2], "<|im_end|>\n"), "\n")
	}
	switch m.Script {
	case "tools":
		_, list, ok := strings.Cut(prompt, "<tools>\n")
		var tool struct {
			Function struct {
				Name string `json:"name"`
			} `json:"function"`
		}
		first, _, _ := strings.Cut(list, "\n")
		if ok && role != "tool" && json.Unmarshal([]byte(first), &tool) == nil {
			call := `{"name": "` + tool.Function.Name + `", "arguments": {"city": "Ghent"}}`
			if strings.HasSuffix(prompt, "<tool_call>\n") {
				return call
			}
			return "<tool_call>\n" + call + "\n</tool_call>"
		}
	case "json":
		return `{"answer":42}`
	case "gated":
		return "done"
	}
	return strings.TrimSuffix(last, "<|im_end|>\n<|im_start|>assistant\n")
}

// Generate writes the answer, a byte a token.
func (m *model) Generate(ctx context.Context, r *decoder.Request, emit func(decoder.Piece) error) (decoder.Result, error) {
	running := m.e.Running.Add(1)
	defer m.e.Running.Add(-1)
	for peak := m.e.Peak.Load(); running > peak && !m.e.Peak.CompareAndSwap(peak, running); peak = m.e.Peak.Load() {
	}
	if m.Script == "gated" {
		select {
		case <-m.e.Gate:
		case <-ctx.Done():
			m.e.Left.Add(1)
			return decoder.Result{}, context.Cause(ctx)
		}
	}
	w := &writer{m: m, r: r, emit: emit, result: decoder.Result{Prompt: len(r.Prompt), Finish: decoder.FinishStop}}
	text := m.answer(read(r.Prompt))
	if m.Script == "prompt" {
		text = show(r.Prompt)
	}
	for i := 0; ; i++ {
		if err := ctx.Err(); err != nil {
			m.e.Left.Add(1)
			return w.result, context.Cause(ctx)
		}
		next := int32(turnEnd)
		switch {
		case m.Script == "endless":
			next = int32("la "[i%3])
		case i < len(text):
			next = int32(text[i])
		}
		more, err := w.write(next)
		if err != nil {
			m.e.Left.Add(1)
		}
		if err != nil || !more {
			return w.result, err
		}
	}
}

// writer is one answer on its way.
type writer struct {
	m      *model
	r      *decoder.Request
	emit   func(decoder.Piece) error
	result decoder.Result
	text   string // all
	held   string // of a character that is not whole
}

// write takes a token, or one that may come instead.
func (w *writer) write(next int32) (more bool, err error) {
	if w.r.Mask != nil {
		set := make(decoder.TokenSet, (tokens+63)/64)
		w.r.Mask.Allowed(set)
		if !set.Has(next) {
			next = -1
			for id := int32(tokens) - 1; id >= 0 && next < 0; id-- {
				if set.Has(id) {
					next = id
				}
			}
		}
	}
	if next < 0 {
		w.result.Finish = decoder.FinishMask
		return false, nil
	}
	w.result.Completion++
	w.m.e.Tokens.Add(1)
	if next == turnEnd {
		return false, w.emit(decoder.Piece{Tokens: 1})
	}
	if w.r.Mask != nil {
		if err := w.r.Mask.Accept(next); err != nil {
			return false, err
		}
	}
	w.held += string([]byte{byte(next)})
	w.text += string([]byte{byte(next)})
	for _, stop := range w.r.Stop {
		if strings.HasSuffix(w.text, stop) { // a stop of one byte is never emitted in part
			return false, nil
		}
	}
	p := decoder.Piece{Tokens: 1}
	if utf8.ValidString(w.held) {
		p.Text, w.held = w.held, ""
	}
	if err := w.emit(p); err != nil {
		return false, err
	}
	if w.result.Completion == w.r.MaxTokens {
		w.result.Finish = decoder.FinishLength
		return false, nil
	}
	return true, nil
}
