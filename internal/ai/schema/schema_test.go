package schema_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/schema"
)

func decode(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

const generation = `{"type":"object","oneOf":[
	{"properties":{"prompt":{"type":"string","minLength":1,"maxLength":10},"max_tokens":{"type":"integer","minimum":1}},"required":["prompt"]},
	{"properties":{"messages":{"type":"array","minItems":1,"items":{"type":"object","required":["role","content"],"properties":{"role":{"type":"string","enum":["user","system"]}}}}},"required":["messages"]}]}`

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, value, want string }{
		{`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`, `{"text":"a"}`, ""},
		{`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`, `{"messages":[]}`, "required properties at '/' are 'text'"},
		{`{"type":"object","properties":{"text":{"type":"string"}}}`, `{"text":{}}`, "Type mismatch of '/text', 'object' not in 'string'"},
		{`{"type":"object"}`, `[]`, "Type mismatch of '/', 'array' not in 'object'"},
		{`{"type":["string","null"]}`, `null`, ""},
		{`{"type":"integer"}`, `1.0`, ""},
		{`{"type":"integer"}`, `1.5`, "Type mismatch of '/', 'number' not in 'integer'"},
		{`{"type":"integer","maximum":5}`, `1e9`, "'/' must be <= 5"},
		{`{"type":"number"}`, `1e999`, "Type mismatch of '/', 'number' not in 'number'"},
		{`{"type":"array","maxItems":1}`, `[1,2]`, "Length of '/' must be <= 1, and it has 2 items"},
		{generation, `{"prompt":"hi"}`, ""},
		{generation, `{"prompt":"hi","messages":[{"role":"user","content":"x"}]}`, ""},
		{generation, `{}`, "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt', required properties at '/' are 'messages'"},
		{generation, `{"prompt":"eleven char"}`, "oneOf at '/' not met, 0 matches: Length of '/prompt' must be <= 10, and it has 11 characters, required properties at '/' are 'messages'"},
		{generation, `{"messages":[{"role":"pope","content":"x"}]}`, "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt', enum value at '/messages/0/role' is not one of 'user,system'"},
	} {
		s, err := schema.Compile([]byte(c.schema))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := s.Check(decode(t, c.value)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s against %s:\n%s\nwant %s", c.value, c.schema, got, c.want)
		}
	}
}

func TestManyProblemsAreBounded(t *testing.T) {
	t.Parallel()
	s, err := schema.Compile([]byte(`{"type":"array","items":{"type":"string"}}`))
	if err != nil {
		t.Fatal(err)
	}
	value := "[" + strings.Repeat("1,", 1000) + "1]"
	if text := s.Check(decode(t, value)).Error(); len(text) > 1000 {
		t.Errorf("the error has %d bytes", len(text))
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `[]`, `{"type":"strnig"}`, `{"type":7}`, `{"properties":{"a":1}}`, strings.Repeat(`{"items":`, 40) + `{}` + strings.Repeat(`}`, 40)} {
		if _, err := schema.Compile([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(generation), []byte(`{"prompt":"x"}`))
	f.Add([]byte(`{"type":"array","items":{"type":"number"}}`), []byte(`[1e400,"a"]`))
	f.Fuzz(func(t *testing.T, text, value []byte) {
		s, err := schema.Compile(text)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(value))
		d.UseNumber()
		var v any
		if d.Decode(&v) == nil {
			if err := s.Check(v); err != nil && err.Error() == "" {
				t.Error("an error that says nothing")
			}
		}
	})
}
