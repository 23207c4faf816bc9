package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
)

// schema is what is read of a JSON Schema.
type schema struct {
	Type                 json.RawMessage   `json:"type"`
	Enum                 []json.RawMessage `json:"enum"`
	Const                json.RawMessage   `json:"const"`
	Properties           object            `json:"properties"`
	Required             []string          `json:"required"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
	Items                json.RawMessage   `json:"items"`
	PrefixItems          []json.RawMessage `json:"prefixItems"`
	MinItems             *float64          `json:"minItems"`
	MaxItems             *float64          `json:"maxItems"`
	MinLength            *float64          `json:"minLength"`
	MaxLength            *float64          `json:"maxLength"`
	Minimum              *json.Number      `json:"minimum"`
	Maximum              *json.Number      `json:"maximum"`
	ExclusiveMinimum     json.RawMessage   `json:"exclusiveMinimum"`
	ExclusiveMaximum     json.RawMessage   `json:"exclusiveMaximum"`
	AnyOf                []json.RawMessage `json:"anyOf"`
	OneOf                []json.RawMessage `json:"oneOf"`
	AllOf                []json.RawMessage `json:"allOf"`
	Ref                  string            `json:"$ref"`
	MultipleOf           *json.Number      `json:"multipleOf"`
	MinProperties        *float64          `json:"minProperties"`
	UniqueItems          bool              `json:"uniqueItems"`
}

// refused are keywords that decide over validity and are not kept here.
func refused() []string {
	return []string{
		"pattern", "not", "if", "patternProperties", "dependentRequired", "dependentSchemas", "dependencies", "propertyNames",
		"contains", "maxProperties", "unevaluatedProperties", "unevaluatedItems", "additionalItems", "$dynamicRef", "$recursiveRef",
	}
}

// object is a JSON object with its keys in their order.
type object struct {
	keys   []string
	values map[string]json.RawMessage
}

// UnmarshalJSON reads an object.
func (o *object) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is no object")
	}
	o.values = make(map[string]json.RawMessage)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string) // a key is one
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if _, twice := o.values[name]; !twice {
			o.keys = append(o.keys, name)
		}
		o.values[name] = raw
	}
	return nil
}

// check refuses what would be ignored although it decides.
func (c *compiler) check(text json.RawMessage, s *schema, path string) {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		c.fail(path, "is no schema")
	}
	for _, word := range refused() {
		if _, ok := all[word]; ok {
			c.fail(path, "has %q, which cannot be kept while a model writes; leave it out and check the answer", word)
		}
	}
	if s.MultipleOf != nil && s.MultipleOf.String() != "1" {
		c.fail(path, "has \"multipleOf\", which cannot be kept while a model writes; leave it out and check the answer")
	}
	if s.UniqueItems || s.MinProperties != nil && *s.MinProperties > 0 {
		c.fail(path, "has \"uniqueItems\" or \"minProperties\", which cannot be kept while a model writes; leave it out and check the answer")
	}
	// What stands beside these would have to hold as well.
	deciding := 0
	for _, word := range []string{"$ref", "const", "enum", "anyOf", "oneOf", "allOf"} {
		if _, ok := all[word]; ok {
			deciding++
		}
	}
	if deciding > 1 {
		c.fail(path, "has more than one of $ref, const, enum, anyOf, oneOf and allOf, which are not kept together")
	}
	if deciding == 1 {
		for _, word := range []string{"properties", "items", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"} {
			if _, ok := all[word]; ok {
				c.fail(path, "has %q beside $ref, const, enum, anyOf, oneOf or allOf, which are not kept together", word)
			}
		}
	}
}
