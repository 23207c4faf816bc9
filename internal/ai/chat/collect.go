package chat

import (
	"fmt"
	"strings"
)

// maxCalls bounds the calls of one answer.
const maxCalls = 128

// Collector puts the pieces of an answer together. The zero value is ready.
type Collector struct {
	text, reasoning strings.Builder
	calls           []ToolCall
	finish          string
	usage           *Usage
	pieces          int
}

// Add takes the next piece.
func (c *Collector) Add(d *Delta) error {
	c.text.WriteString(d.Text)
	c.reasoning.WriteString(d.Reasoning)
	if d.Text != "" || d.Reasoning != "" || len(d.Tools) > 0 {
		c.pieces++
	}
	for i := range d.Tools {
		t := &d.Tools[i]
		if t.Index < 0 || t.Index >= maxCalls || t.Index > len(c.calls) {
			return fmt.Errorf("chat: a piece of the tool call %d after %d calls", t.Index, len(c.calls))
		}
		if t.Index == len(c.calls) {
			c.calls = append(c.calls, ToolCall{})
		}
		call := &c.calls[t.Index]
		if t.ID != "" {
			call.ID = t.ID
		}
		if t.Name != "" {
			call.Name = t.Name
		}
		call.Arguments += t.Arguments
	}
	if d.Finish != "" {
		c.finish = d.Finish
	}
	if d.Usage != nil {
		c.usage = d.Usage
	}
	return nil
}

// Pieces is how many pieces with text, or of calls, have come.
func (c *Collector) Pieces() int { return c.pieces }

// Calls are the calls so far.
func (c *Collector) Calls() []ToolCall { return c.calls }

// Usage is what the engine said; nil: nothing yet.
func (c *Collector) Usage() *Usage { return c.usage }

// Result is the answer so far.
func (c *Collector) Result() *Result {
	r := &Result{Text: c.text.String(), Reasoning: c.reasoning.String(), ToolCalls: c.calls, Finish: c.finish}
	if c.usage != nil {
		r.Usage = *c.usage
	}
	return r
}
