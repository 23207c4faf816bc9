package dialect

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"

	"github.com/selvage-dev/selvage/internal/ai/chat"
)

// What models write before a call.
const (
	tagOpen      = "<tool_call>" // Hermes, Qwen
	tagClose     = "</tool_call>"
	mistralCalls = "[TOOL_CALLS]" // Mistral
	mistralArgs  = "[ARGS]"
	pythonTag    = "<|python_tag|>" // Llama 3
)

// Reader finds calls in what a model writes, in the forms that models were trained to:
//
//	<tool_call>{"name":…,"arguments":{…}}</tool_call>     Hermes, Qwen; text may stand around it
//	{"name":…,"parameters":{…}}                           Llama 3, after <|python_tag|> or not; more after a ";"
//	[{"name":…,"arguments":{…}}, …]                       Mistral, after [TOOL_CALLS] or not
//	[TOOL_CALLS]name[ARGS]{…}                             Mistral, later ones
//
// Text that may yet become a call is held back until it is clear. What looks like a call
// and is none, or is one of a tool that there is not, is text.
type Reader struct {
	tools []string
	begun bool // something that is no white space was read
	whole bool // the answer as a whole may be a call
	inTag bool
	gap   string // the white space before the tag
	after bool   // a call was the last that there was
	held  string
	calls int
	newID func() string
}

// NewReader returns a reader for answers of a model that has tools. A forced answer has begun
// with what models write before a call.
func NewReader(tools []chat.Tool) *Reader {
	r := &Reader{newID: newID}
	for i := range tools {
		r.tools = append(r.tools, tools[i].Name)
	}
	return r
}

// newID names a call: nine letters and digits, which is what Mistral's templates insist on.
func newID() string {
	const length = 9
	return rand.Text()[:length]
}

// maxHeld bounds what is held back; more than that is no call.
const maxHeld = 1 << 20

// Read takes the next piece of the answer and returns what is clear: text, or calls.
func (r *Reader) Read(piece string) *chat.Delta {
	d := &chat.Delta{}
	if len(r.tools) == 0 {
		d.Text = piece
		return d
	}
	r.held += piece
	if !r.begun {
		r.begin()
	}
	switch {
	case !r.begun:
	case r.whole:
		if len(r.held) > maxHeld {
			r.whole = false
			r.tagged(d)
		}
	default:
		r.tagged(d)
	}
	return d
}

// begin decides from the first character whether the answer as a whole may be calls.
func (r *Reader) begin() {
	text := strings.TrimSpace(r.held)
	if text == "" {
		return
	}
	for _, sign := range []string{mistralCalls, pythonTag} {
		if strings.HasPrefix(text, sign) {
			r.begun, r.whole = true, true
			return
		}
		if strings.HasPrefix(sign, text) {
			return // it may yet become that
		}
	}
	r.begun, r.whole = true, text[0] == '{' || text[0] == '['
}

// tagged passes on text, and calls in tags.
func (r *Reader) tagged(d *chat.Delta) {
	for {
		if !r.inTag {
			if r.after {
				r.held = strings.TrimLeft(r.held, blank)
				r.after = r.held == ""
			}
			before, rest, found := strings.Cut(r.held, tagOpen)
			if !found {
				// White space goes away if a call follows.
				keep := overlap(r.held, tagOpen)
				text := strings.TrimRight(r.held[:len(r.held)-keep], blank)
				d.Text += text
				r.held = r.held[len(text):]
				return
			}
			text := strings.TrimRight(before, blank)
			d.Text += text
			r.gap, r.held, r.inTag = before[len(text):], rest, true
		}
		inner, rest, found := strings.Cut(r.held, tagClose)
		if !found {
			if len(r.held) > maxHeld {
				d.Text += r.gap + tagOpen + r.held
				r.held, r.inTag = "", false
			}
			return
		}
		r.inTag, r.held = false, rest
		if calls := r.parse(inner); calls != nil {
			r.add(d, calls)
			r.after = true
		} else {
			d.Text += r.gap + tagOpen + inner + tagClose
		}
	}
}

const blank = " \n"

// overlap is how much of the end of text may be the beginning of a sign.
func overlap(text, sign string) int {
	for n := min(len(text), len(sign)-1); n > 0; n-- {
		if strings.HasSuffix(text, sign[:n]) {
			return n
		}
	}
	return 0
}

// End returns what was still held back, and whether there were calls.
func (r *Reader) End() (d *chat.Delta, called bool) {
	d = &chat.Delta{}
	switch {
	case r.inTag: // the tag's end was a token that stops the answer, or the answer was cut
		if calls := r.parse(r.held); calls != nil {
			r.add(d, calls)
		} else {
			d.Text = r.gap + tagOpen + r.held
		}
	case r.whole:
		text := strings.TrimSpace(r.held)
		text, _ = strings.CutPrefix(text, pythonTag)
		text, _ = strings.CutPrefix(text, mistralCalls)
		if calls := r.parse(text); calls != nil {
			r.add(d, calls)
		} else {
			d.Text = r.held
		}
	default:
		d.Text = r.held
	}
	r.held = ""
	return d, r.calls > 0
}

func (r *Reader) add(d *chat.Delta, calls []chat.ToolCall) {
	for _, c := range calls {
		d.Tools = append(d.Tools, chat.ToolDelta{Index: r.calls, ID: c.ID, Name: c.Name, Arguments: c.Arguments})
		r.calls++
	}
}

// parse reads one or more calls; nil: the text is something else.
func (r *Reader) parse(text string) []chat.ToolCall {
	if name, arguments, ok := strings.Cut(text, mistralArgs); ok {
		return r.known([]written{{Name: strings.TrimSpace(name), Arguments: json.RawMessage(strings.TrimSpace(arguments))}})
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	var all []written
	for d.More() {
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil
		}
		var one written
		var many []written
		switch {
		case json.Unmarshal(raw, &one) == nil:
			all = append(all, one)
		case json.Unmarshal(raw, &many) == nil:
			all = append(all, many...)
		default:
			return nil
		}
		rest, ok := strings.CutPrefix(strings.TrimSpace(text[d.InputOffset():]), ";")
		if ok {
			text, d = rest, json.NewDecoder(strings.NewReader(rest))
		}
	}
	return r.known(all)
}

// written is a call as models write it.
type written struct {
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments"`
	Parameters json.RawMessage `json:"parameters"`
	Function   json.RawMessage `json:"function"` // some write the whole form, or the name here
}

// known returns the calls if each is one of a tool, and nil otherwise.
func (r *Reader) known(all []written) []chat.ToolCall {
	const most = 64
	if len(all) == 0 || r.calls+len(all) > most {
		return nil
	}
	var out []chat.ToolCall
	for i := range all {
		w := &all[i]
		if w.Name == "" && w.Function != nil {
			var inner written
			if json.Unmarshal(w.Function, &inner) == nil {
				w = &inner
			} else {
				_ = json.Unmarshal(w.Function, &w.Name) // if it is no name either, no tool has it
			}
		}
		arguments := w.Arguments
		if arguments == nil {
			arguments = w.Parameters
		}
		var text string
		if json.Unmarshal(arguments, &text) == nil { // JSON within a text
			arguments = json.RawMessage(text)
		}
		if len(arguments) == 0 {
			arguments = json.RawMessage("{}")
		}
		var compact bytes.Buffer
		if !slices.Contains(r.tools, w.Name) || json.Compact(&compact, arguments) != nil || compact.Bytes()[0] != '{' {
			return nil
		}
		out = append(out, chat.ToolCall{ID: r.newID(), Name: w.Name, Arguments: compact.String()})
	}
	return out
}
