package ai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/ai/fault"
)

// MaxInput bounds the JSON of one run, in bytes.
const MaxInput = 10 << 20

// Caller says for whom a model runs.
type Caller struct {
	Account string
	Script  string // the worker that calls; "" for a call of the API
	Token   string // the id of the API token that calls; "" for a worker
	Ray     string
}

// subject is who waits and is charged.
func (c *Caller) subject() string {
	if c.Script != "" {
		return "worker:" + c.Script
	}
	return "token:" + c.Token
}

// Answer is what a run returns: one of JSON, Result and Stream.
type Answer struct {
	ID    string // names the run
	Model string
	// JSON is the output of a model that writes no text.
	JSON []byte
	// Result is a whole text.
	Result *chat.Result
	// Stream runs the model and passes each piece to emit, whose error stops it. It is
	// called once. An error before the first piece is the answer.
	Stream func(emit func(*chat.Delta) error) error
	// Format says what the text had to be.
	Format chat.Format
}

// Run runs a model. Inputs are the JSON that its schema describes. The error is a
// *[fault.Error] for the caller, or one of the platform's.
func (s *Service) Run(ctx context.Context, caller *Caller, model string, inputs []byte) (*Answer, error) {
	m, err := s.Model(model)
	if err != nil {
		return nil, err
	}
	if err := s.check(&m, inputs); err != nil {
		return nil, err
	}
	if m.Kind == catalogue.Generation {
		r, stream, err := chat.Parse(inputs)
		if err != nil {
			return nil, badInput(err)
		}
		return s.chat(ctx, caller, &m, r, stream)
	}
	return s.vectors(ctx, caller, &m, inputs)
}

// check compares inputs with the model's schema.
func (s *Service) check(m *Model, inputs []byte) error {
	if len(inputs) > MaxInput {
		return TooLarge()
	}
	d := json.NewDecoder(bytes.NewReader(inputs))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return fault.Wrap(err, fault.CodeBadInput, "Bad input: Error: the inputs are not JSON")
	}
	if err := s.catalogue.Schemas(m.Kind).Check(v); err != nil {
		return badInput(err)
	}
	return nil
}

// badInput is the error for inputs that a model does not take; the text of err is for
// the caller.
func badInput(err error) *fault.Error {
	return fault.Wrap(err, fault.CodeBadInput, "Bad input: Error: %s", err.Error())
}

// TooLarge is the error for inputs of more than [MaxInput].
func TooLarge() *fault.Error {
	return fault.New(fault.CodeTooLarge, "Request is too large: inputs may have %d bytes", MaxInput)
}

func newAnswer(m *Model) *Answer { return &Answer{ID: uuid.NewString(), Model: m.Name} }
