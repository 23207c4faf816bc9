package jinja_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/jinja"
)

// theirs renders with @huggingface/jinja, which is written independently of this.
const theirs = `
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
const cases = JSON.parse(readFileSync(process.argv[2], "utf8")), out = [];
const parsed = new Map();
for (const { template, vars } of cases) {
	try {
		if (!parsed.has(template)) parsed.set(template, new Template(template));
		out.push({ text: parsed.get(template).render(vars) });
	} catch (e) { out.push({ error: e.message }) }
}
console.log(JSON.stringify(out));`

type example struct {
	Template string         `json:"template"`
	Vars     map[string]any `json:"vars"`

	file string
}

// contents are put into random conversations, each at most once. They leave out what the
// port does differently from Jinja2: lstrip with an argument, and
// messages that are equal. The templates leave out booleans in text, which it prints as
// JavaScript does, and what was written before a break, which it drops.
func contents() []string {
	return []string{"", "a", "Hello, world", "two  spaces  ", "\n\nx\n", "é世🙂", "{{ x }} {% if %}", "<think>\nt\n</think>\n\nz", "<|im_end|>", `"\/'`, "<tool_response>1</tool_response>", "a/b/c", "x\t"}
}

// examples are all templates with all conversations, and with random ones.
func examples(t *testing.T, random int) []example {
	t.Helper()
	raw, err := os.ReadFile("testdata/conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	var conversations []map[string]any
	if err := json.Unmarshal(raw, &conversations); err != nil {
		t.Fatal(err)
	}
	tools := conversations[6]["tools"]
	r := rand.New(rand.NewPCG(3, 4))
	for range random {
		var messages []any
		order := r.Perm(len(contents()))
		for i := range 1 + r.IntN(6) {
			role := []string{"user", "assistant"}[i%2]
			if r.IntN(6) == 0 {
				role = []string{"system", "tool", "user", "assistant"}[r.IntN(4)]
			}
			m := map[string]any{"role": role, "content": contents()[order[i]]}
			if role == "assistant" && r.IntN(4) == 0 {
				m["tool_calls"] = []any{map[string]any{"id": "123456789", "type": "function", "function": map[string]any{"name": "f", "arguments": map[string]any{"x": contents()[r.IntN(len(contents()))]}}}}
			}
			if role == "tool" {
				m["tool_call_id"] = "123456789"
			}
			messages = append(messages, m)
		}
		c := map[string]any{"messages": messages, "add_generation_prompt": r.IntN(4) > 0}
		if r.IntN(3) == 0 {
			c["tools"] = tools
		}
		conversations = append(conversations, c)
	}
	files, err := filepath.Glob("testdata/templates/*.jinja")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d templates, %v", len(files), err)
	}
	var out []example
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range conversations {
			vars := map[string]any{"date_string": "02 Jan 2006", "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true}
			maps.Copy(vars, c)
			out = append(out, example{string(source), vars, filepath.Base(file)})
		}
	}
	return out
}

type rendered struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

func reference(t *testing.T, cases []example) []rendered {
	t.Helper()
	dir := t.TempDir()
	modules, err := filepath.Abs("../../../tools/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cases.json": raw, "render.mjs": []byte(theirs)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "render.mjs"), filepath.Join(dir, "cases.json"))
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var out []rendered
	if err := json.Unmarshal(answer, &out); err != nil || len(out) != len(cases) {
		t.Fatalf("%d answers for %d cases: %v", len(out), len(cases), err)
	}
	return out
}

func render(t *testing.T, source string, vars any) (string, error) {
	t.Helper()
	raw, err := json.Marshal(vars)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jinja.FromJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := jinja.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.Render(t.Context(), v.(*jinja.Dict).Map(), jinja.Options{})
}

// TestReference compares with Hugging Face's own implementation in JavaScript, on
// templates as models ship them.
func TestReference(t *testing.T) {
	t.Parallel()
	cases := examples(t, 30)
	raised := 0
	for i, want := range reference(t, cases) {
		c := &cases[i]
		got, err := render(t, c.Template, c.Vars)
		failed, _ := errors.AsType[*jinja.RunError](err)
		switch {
		case want.Error == "" && err != nil, want.Error != "" && err == nil:
			vars, _ := json.Marshal(c.Vars)
			t.Errorf("%s, %s: %v\nthe reference: %q %s", c.file, vars, err, want.Text, want.Error)
		case want.Error != "":
			raised++
			if failed.Raised && want.Error != failed.Reason {
				t.Errorf("%s: %v, the reference: %s", c.file, err, want.Error)
			}
		case got != want.Text:
			vars, _ := json.Marshal(c.Vars)
			t.Errorf("%s, %s:\n%q\nthe reference:\n%q", c.file, vars, got, want.Text)
		}
	}
	if raised == 0 || raised > len(cases)/2 {
		t.Errorf("%d of %d cases end with an error", raised, len(cases))
	}
}
