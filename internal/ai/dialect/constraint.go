package dialect

import (
	"encoding/json"
	"errors"

	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/grammar"
)

// Constraint holds an answer to a grammar. It is a [decoder.Mask].
type Constraint struct {
	model Model
	m     *grammar.Matcher
}

// Constraint returns what an answer of at most so many tokens is held to; nil: nothing.
func (d *Dialect) Constraint(r *chat.Request, most int) (*Constraint, error) {
	var g *grammar.Grammar
	var err error
	name, forced := r.Forced()
	switch {
	case forced:
		if g, err = d.calls(r, name); err != nil {
			return nil, err
		}
	case r.Format.JSON:
		schema := r.Format.Schema
		g, err = d.grammar("schema:"+string(schema), func(v *grammar.Vocabulary) (*grammar.Grammar, error) { return grammar.Compile(schema, v) })
		if err != nil {
			return nil, err
		}
	default:
		return nil, nil //nolint:nilnil // as documented
	}
	m, ok := g.Matcher(most)
	if !ok {
		return nil, problem(nil, "an answer that fits the schema may take %d tokens at least, and 'max_tokens', or what the model's context leaves, is %d", g.Least(), most)
	}
	return &Constraint{d.model, m}, nil
}

// calls is the grammar of a call of one of the tools, or of the named one.
func (d *Dialect) calls(r *chat.Request, name string) (*grammar.Grammar, error) {
	key, tools := "calls:"+d.argumentsKey(), []grammar.Tool{}
	for _, t := range r.Tools {
		if name == "" || t.Name == name {
			tools = append(tools, grammar.Tool{Name: t.Name, Parameters: t.Parameters})
		}
	}
	if len(tools) == 0 {
		return nil, problem(nil, "'tool_choice' names the function %.50q, which is not one of 'tools'", name)
	}
	raw, err := json.Marshal(tools)
	if err != nil {
		return nil, problem(err, "a tool's parameters are no JSON")
	}
	return d.grammar(key+string(raw), func(v *grammar.Vocabulary) (*grammar.Grammar, error) {
		return grammar.CompileCalls(tools, d.argumentsKey(), v)
	})
}

// Allowed puts in the tokens that may come.
func (c *Constraint) Allowed(set decoder.TokenSet) {
	if !c.m.Done() {
		copy(set, c.m.Mask())
	}
}

var errNotAllowed = errors.New("dialect: a token was taken that was not allowed")

// Accept goes on with a token.
func (c *Constraint) Accept(token int32) error {
	if c.model.Ends(token) {
		return nil
	}
	if !c.m.Accept(c.model.TokenBytes(token)) {
		return errNotAllowed
	}
	return nil
}

// Finish is why an answer that is held has ended: it was whole, or it was made to end
// because there was no room for more.
func (c *Constraint) Finish(f decoder.Finish) string {
	if f == decoder.FinishLength && !c.m.Done() || c.m.Pressed() {
		return "length"
	}
	return "stop"
}
