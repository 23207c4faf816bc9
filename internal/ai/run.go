package ai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

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

// Answer is what a run returned.
type Answer struct {
	// JSON is the output.
	JSON []byte
	// ID names the run in the platform's log.
	ID string
}

// Run runs a model. Inputs are the JSON that its schema describes. The error is a
// *[fault.Error] for the caller, or one of the platform's.
func (s *Service) Run(_ context.Context, _ *Caller, model string, inputs []byte) (*Answer, error) {
	m, err := s.Model(model)
	if err != nil {
		return nil, err
	}
	if _, err := s.check(&m, inputs); err != nil {
		return nil, err
	}
	return nil, notHere(&m)
}

// check decodes inputs and compares them with the model's schema.
func (s *Service) check(m *Model, inputs []byte) (map[string]any, error) {
	if len(inputs) > MaxInput {
		return nil, TooLarge()
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
		return nil, fault.Wrap(err, fault.CodeBadInput, "Bad input: Error: the inputs are not JSON")
	}
	if err := s.catalogue.Schemas(m.Kind).Check(v); err != nil {
		return nil, fault.Wrap(err, fault.CodeBadInput, "Bad input: Error: %s", err.Error())
	}
	object, _ := v.(map[string]any) // every schema wants one
	return object, nil
}

// TooLarge is the error for inputs of more than [MaxInput].
func TooLarge() *fault.Error {
	return fault.New(fault.CodeTooLarge, "Request is too large: inputs may have %d bytes", MaxInput)
}
