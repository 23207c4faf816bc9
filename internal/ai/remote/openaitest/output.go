package openaitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// output writes an answer, whole or in pieces.
type output struct {
	w      http.ResponseWriter
	stream bool
	raw    bool // of completions
	quiet  bool // never counts
}

type object map[string]any

func (o *output) event(choice, usage any) {
	o.w.Header().Set("Content-Type", "text/event-stream")
	e := object{"id": "x", "object": "chat.completion.chunk", "choices": []any{}}
	if choice != nil {
		e["choices"] = []any{choice}
	}
	if usage != nil {
		e["usage"] = usage
	}
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(o.w, "data: %s\n\n", raw)       //nolint:errcheck // a test's server
	_ = http.NewResponseController(o.w).Flush() // as above
}

// text sends one piece of a stream.
func (o *output) text(text string) {
	if o.raw {
		o.event(object{"index": 0, "text": text}, nil)
		return
	}
	o.event(object{"index": 0, "delta": object{"content": text}}, nil)
}

// words sends an answer; each word is a token.
func (o *output) words(words []string) {
	usage := any(object{"prompt_tokens": 7, "completion_tokens": len(words)})
	if o.quiet {
		usage = nil
	}
	if !o.stream {
		choice := object{"index": 0, "message": object{"role": "assistant", "content": strings.Join(words, "")}, "finish_reason": "stop"}
		if o.raw {
			choice = object{"index": 0, "text": strings.Join(words, ""), "finish_reason": "stop"}
		}
		o.whole(choice, usage)
		return
	}
	for _, word := range words {
		o.text(word)
	}
	o.event(object{"index": 0, "delta": object{}, "finish_reason": "stop"}, nil)
	o.end(usage)
}

func (o *output) whole(choice, usage any) {
	o.w.Header().Set("Content-Type", "application/json")
	answer := object{"id": "x", "choices": []any{choice}}
	if usage != nil {
		answer["usage"] = usage
	}
	_ = json.NewEncoder(o.w).Encode(answer)
}

func (o *output) end(usage any) {
	if usage != nil {
		o.event(nil, usage)
	}
	fmt.Fprint(o.w, "data: [DONE]\n\n") //nolint:errcheck // a test's server
}

// call asks for a function, its arguments in two pieces.
func (o *output) call(name, arguments string) {
	usage := object{"prompt_tokens": 20, "completion_tokens": 5}
	call := object{"index": 0, "id": "call_1", "type": "function", "function": object{"name": name, "arguments": arguments}}
	if !o.stream {
		o.whole(object{"index": 0, "message": object{"role": "assistant", "content": nil, "tool_calls": []any{call}}, "finish_reason": "tool_calls"}, usage)
		return
	}
	half := len(arguments) / 2
	call["function"] = object{"name": name, "arguments": arguments[:half]}
	o.event(object{"index": 0, "delta": object{"tool_calls": []any{call}}}, nil)
	o.event(object{"index": 0, "delta": object{"tool_calls": []any{object{"index": 0, "function": object{"arguments": arguments[half:]}}}}}, nil)
	o.event(object{"index": 0, "delta": object{}, "finish_reason": "tool_calls"}, nil)
	o.end(usage)
}
