// Package schema checks the inputs of models against JSON Schemas: the part of the
// language in which the catalogue describes them. Its errors read like the platform's.
package schema

import (
	"encoding/json"
	"fmt"
	"slices"
)

// maxDepth bounds how deep a schema may be nested.
const maxDepth = 32

// Schema is a compiled schema. It is safe for concurrent use.
type Schema struct {
	types    []string
	required []string
	props    map[string]*Schema
	items    *Schema
	oneOf    []*Schema
	enum     []string

	minimum, maximum     *float64
	minLength, maxLength *int
	minItems, maxItems   *int
}

// written is how a schema is written. Words that only document are left out, and so is
// additionalProperties: what a model does not know of it ignores, as on the platform.
type written struct {
	Type       json.RawMessage            `json:"type"`
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
	Items      json.RawMessage            `json:"items"`
	OneOf      []json.RawMessage          `json:"oneOf"`
	Enum       []string                   `json:"enum"`
	Minimum    *float64                   `json:"minimum"`
	Maximum    *float64                   `json:"maximum"`
	MinLength  *int                       `json:"minLength"`
	MaxLength  *int                       `json:"maxLength"`
	MinItems   *int                       `json:"minItems"`
	MaxItems   *int                       `json:"maxItems"`
}

// Compile reads a schema.
func Compile(text []byte) (*Schema, error) { return compile(text, 0) }

func compile(text []byte, depth int) (*Schema, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("schema: it is nested deeper than %d levels", maxDepth)
	}
	var w written
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s := &Schema{
		required: w.Required, enum: w.Enum, minimum: w.Minimum, maximum: w.Maximum,
		minLength: w.MinLength, maxLength: w.MaxLength, minItems: w.MinItems, maxItems: w.MaxItems,
	}
	var err error
	if s.types, err = typesOf(w.Type); err != nil {
		return nil, err
	}
	if len(w.Properties) > 0 {
		s.props = make(map[string]*Schema, len(w.Properties))
	}
	for name, text := range w.Properties {
		if s.props[name], err = compile(text, depth+1); err != nil {
			return nil, fmt.Errorf("%w (in %s)", err, name)
		}
	}
	if len(w.Items) > 0 {
		if s.items, err = compile(w.Items, depth+1); err != nil {
			return nil, err
		}
	}
	for _, text := range w.OneOf {
		one, err := compile(text, depth+1)
		if err != nil {
			return nil, err
		}
		s.oneOf = append(s.oneOf, one)
	}
	return s, nil
}

// typesOf reads "type", which is a name or a list of names.
func typesOf(text json.RawMessage) ([]string, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var one string
	many := []string{}
	if json.Unmarshal(text, &one) == nil {
		many = append(many, one)
	} else if err := json.Unmarshal(text, &many); err != nil {
		return nil, fmt.Errorf("schema: type: %w", err)
	}
	for _, t := range many {
		if !slices.Contains([]string{"object", "array", "string", "number", "integer", "boolean", "null"}, t) {
			return nil, fmt.Errorf("schema: unknown type %q", t)
		}
	}
	return many, nil
}
