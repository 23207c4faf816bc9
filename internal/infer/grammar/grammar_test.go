package grammar_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/grammar"
)

// vocabulary has a token for each byte, then longer ones, then the end.
func vocabulary(tb testing.TB) (v *grammar.Vocabulary, tokens [][]byte, eos int32) {
	tb.Helper()
	for b := range 256 {
		tokens = append(tokens, []byte{byte(b)})
	}
	for s := range strings.SplitSeq("the|name|value|\"name\"|\":|\": |\",|\", \"|\"}|}]|},{|{\"|[{\"|[]|{}|true|false|null|tru|  |\n  |\n    |\\n|\\\"|\\u00|é|世界|🙂|\xf0\x9f|\x99\x82|ab|abc|abcd|a\"|\"\"|\"]|0.|e5|-1|.5|a|\\|<|Ghent", "|") {
		tokens = append(tokens, []byte(s))
	}
	for i := range 1000 {
		tokens = append(tokens, fmt.Appendf(nil, "%d", i))
	}
	tokens = append(tokens, nil) // a token of control
	eos = int32(len(tokens))
	tokens = append(tokens, []byte("</s>"))
	v, err := grammar.NewVocabulary(tokens, []int32{eos})
	if err != nil {
		tb.Fatal(err)
	}
	return v, tokens, eos
}

// write lets chance write an answer. Each token that it takes is one that the mask has.
func write(tb testing.TB, m *grammar.Matcher, tokens [][]byte, eos int32, most int, r *rand.Rand) string {
	tb.Helper()
	var out []byte
	for n := 0; !m.Done(); n++ {
		if n == most {
			if !m.Ends() {
				tb.Fatalf("%d tokens were not enough: %q", most, out)
			}
			break
		}
		mask := m.Mask()
		var may []int32
		for i, word := range mask {
			for ; word != 0; word &= word - 1 {
				id := int32(i*64) + int32(trailing(word))
				may = append(may, id)
				if id != eos && len(tokens[id]) > 1 {
					may = append(may, id, id, id) // longer ones more often
				}
			}
		}
		if len(may) == 0 {
			tb.Fatalf("nothing may follow %q", out)
		}
		id := may[r.IntN(len(may))]
		if id == eos {
			if !m.Ends() {
				tb.Fatalf("the end may follow %q, but it is not whole", out)
			}
			return string(out)
		}
		if !m.Accept(tokens[id]) {
			tb.Fatalf("%q may follow %q, and then not", tokens[id], out)
		}
		out = append(out, tokens[id]...)
	}
	return string(out)
}

func trailing(x uint64) (n int) {
	for ; x&1 == 0; x >>= 1 {
		n++
	}
	return n
}

// random makes a schema of what is documented.
func random(r *rand.Rand, depth int) map[string]any {
	kinds := 9
	if depth == 0 {
		kinds = 6
	}
	switch r.IntN(kinds) {
	case 0:
		s := map[string]any{"type": "string"}
		if r.IntN(2) == 0 {
			s["minLength"] = r.IntN(4)
			s["maxLength"] = s["minLength"].(int) + r.IntN(5)
		}
		return s
	case 1:
		s := map[string]any{"type": []any{"integer", "number"}[r.IntN(2)]}
		if r.IntN(2) == 0 {
			low := r.IntN(3000) - 1500
			s[[]string{"minimum", "exclusiveMinimum"}[r.IntN(2)]] = low
			s[[]string{"maximum", "exclusiveMaximum"}[r.IntN(2)]] = low + 2 + r.IntN(1<<r.IntN(12))
		} else if r.IntN(2) == 0 {
			s["minimum"] = float64(r.IntN(2000)-1000) / 16
		}
		return s
	case 2:
		return map[string]any{"type": []any{"boolean", "null", []any{"string", "null"}, []any{"integer", "boolean", "array"}}[r.IntN(4)]}
	case 3:
		return map[string]any{"enum": []any{"red", "re", `q"\`, 1, 12, 1.5, nil, true, []any{1}, map[string]any{"a": "é"}}[r.IntN(4) : 5+r.IntN(5)]}
	case 4:
		return map[string]any{"const": []any{"x", 0, map[string]any{"k": []any{}}}[r.IntN(3)]}
	case 5:
		if depth > 1 {
			return map[string]any{}
		}
		return map[string]any{"type": "array", "items": map[string]any{"type": "integer"}, "maxItems": 2}
	case 6:
		s := map[string]any{"type": "array", "items": random(r, depth-1), "minItems": r.IntN(3)}
		if r.IntN(2) == 0 {
			s["maxItems"] = s["minItems"].(int) + r.IntN(3)
		}
		if r.IntN(4) == 0 {
			s["prefixItems"] = []any{random(r, depth-1)}
		}
		return s
	case 7:
		return map[string]any{"anyOf": []any{random(r, depth-1), random(r, depth-1)}}
	}
	properties, required := map[string]any{}, []any{}
	for _, name := range []string{"name", "nam", "a", `é"`, "", "value"} {
		if r.IntN(2) == 0 {
			properties[name] = random(r, depth-1)
			if r.IntN(2) == 0 {
				required = append(required, name)
			}
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "required": required}
	switch r.IntN(3) {
	case 0:
		s["additionalProperties"] = false
	case 1:
		s["additionalProperties"] = random(r, depth-1)
	}
	return s
}

const validate = `
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
const out = [];
for (const { schema, texts } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
	const check = new Ajv.default({ strict: false }).compile(schema);
	for (const text of texts) {
		try { if (!check(JSON.parse(text))) out.push(JSON.stringify(schema) + " " + text + " " + JSON.stringify(check.errors[0])) }
		catch (e) { out.push(JSON.stringify(schema) + " " + text + " " + e.message) }
	}
}
console.log(JSON.stringify(out));`

type sample struct {
	Schema any      `json:"schema"`
	Texts  []string `json:"texts"`
}

// ajv validates texts with a validator that knows nothing of this package.
func ajv(t *testing.T, samples []sample) []string {
	t.Helper()
	dir := t.TempDir()
	modules, err := filepath.Abs("../../../tools/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(samples)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"samples.json": raw, "validate.mjs": []byte(validate)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "validate.mjs"), filepath.Join(dir, "samples.json"))
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var bad []string
	if err := json.Unmarshal(answer, &bad); err != nil {
		t.Fatal(err)
	}
	return bad
}

// TestValid lets chance write answers to random schemas, with much room and with as little
// as there may be, and has them validated.
func TestValid(t *testing.T) {
	t.Parallel()
	v, tokens, eos := vocabulary(t)
	r := rand.New(rand.NewPCG(5, 6))
	var samples []sample
	pressed := 0
	for range 80 {
		schema := random(r, 3)
		raw, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		g, err := grammar.Compile(raw, v)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		s := sample{Schema: schema}
		for _, most := range []int{g.Least(), g.Least() + 1, g.Least() + 7, 60 + g.Least()} {
			m, ok := g.Matcher(most)
			if !ok {
				t.Fatalf("%s: an answer of %d is refused", raw, most)
			}
			s.Texts = append(s.Texts, write(t, m, tokens, eos, most, r))
			if m.Pressed() {
				pressed++
			}
		}
		samples = append(samples, s)
		if _, ok := g.Matcher(g.Least() - 1); ok {
			t.Errorf("%s: an answer of less than %d is promised", raw, g.Least())
		}
	}
	if pressed < 50 {
		t.Errorf("only %d answers were pressed for room", pressed)
	}
	for _, bad := range ajv(t, samples) {
		t.Error(bad)
	}
}

// TestMask compares masks with what following each token byte by byte says.
func TestMask(t *testing.T) {
	t.Parallel()
	v, tokens, eos := vocabulary(t)
	r := rand.New(rand.NewPCG(7, 8))
	for range 6 {
		raw, err := json.Marshal(random(r, 2))
		if err != nil {
			t.Fatal(err)
		}
		g, err := grammar.Compile(raw, v)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var path [][]byte
			m, _ := g.Matcher(1 << 20)
			for len(path) < 12 && !m.Done() {
				mask := m.Mask()
				var may []int32
				for id := range int32(len(tokens)) {
					other, _ := g.Matcher(1 << 20)
					for _, p := range path {
						other.Accept(p)
					}
					want := len(tokens[id]) > 0 && other.Accept(tokens[id])
					if id == eos {
						want = m.Ends()
					}
					if has := mask[id/64]>>(id%64)&1 == 1; has != want {
						t.Fatalf("%s after %q: %q may come: %v, the mask: %v", raw, path, tokens[id], want, has)
					} else if has && id != eos {
						may = append(may, id)
					}
				}
				if len(may) == 0 {
					break
				}
				next := tokens[may[r.IntN(len(may))]]
				m.Accept(next)
				path = append(path, next)
			}
		}
	}
}

// accepts says whether a text is one that the schema's grammar takes.
func accepts(t *testing.T, v *grammar.Vocabulary, schema, text string) bool {
	t.Helper()
	g, err := grammar.Compile([]byte(schema), v)
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	m, _ := g.Matcher(1 << 20)
	return m.Accept([]byte(text)) && m.Ends()
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	v, _, _ := vocabulary(t)
	const person = `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"type":"string"},"maxItems":2}},"required":["name","age"]}`
	const refs = `{"$defs":{"p":{"type":"object","properties":{"x":{"$ref":"#/$defs/n"}},"required":["x"]},"n":{"type":"number"}},"type":"array","items":{"$ref":"#/$defs/p"}}`
	for _, c := range []struct {
		schema, text string
		want         bool
	}{
		{person, `{"name":"a","age":7}`, true},
		{person, `{"name": "a", "age": 150, "tags": ["x", "y"]}`, true},
		{person, "{\n  \"name\": \"\\u00e9\\n🙂\",\n  \"age\": 0\n}", true},
		{person, `{"age":7,"name":"a"}`, false},
		{person, `{"name":"a"}`, false},
		{person, `{"name":"a","age":151}`, false},
		{person, `{"name":"a","age":07}`, false},
		{person, `{"name":"a","age":7,}`, false},
		{person, `{"name":"a","age":7,"tags":["x","y","z"]}`, false},
		{person, `{"name":"a","age":7,"more":1}`, false},
		{person, `{"name":"a","age":7.5}`, false},
		{refs, `[{"x":1.5e3},{"x":-0.1}]`, true},
		{refs, `[{"x":"a"}]`, false},
		{refs, `[]`, true},
		{refs, `[{"x":1e999}]`, false},
		{`{"type":"string"}`, "\"\xff\"", false},
		{`{"type":"string"}`, "\"\xc3\xa9\"", true},
		{`{"type":"string"}`, "\"\xed\xa0\x80\"", false},
		{`{"type":"string"}`, `"\ud83d\ude42"`, false},
		{`{"type":"string"}`, `"\ud7ff\uE000"`, true},
		{`{"type":"string"}`, "\"\n\"", false},
		{`{"type":"string"}`, "\"\xc0\x80\"", false},
		{`{"type":"string"}`, "\"\xf4\x90\x80\x80\"", false},
		{`{"type":"string"}`, "\"\xf4\x8f\xbf\xbf\"", true},
		{`{"type":"string","maxLength":2}`, `"é🙂"`, true},
		{`{"type":"string","maxLength":2}`, `"a\u0041\n"`, false},
		{`{"additionalProperties":{"type":"integer"},"properties":{"ab":{"type":"string"}}}`, `{"ab":"x","abc":1,"a":2}`, true},
		{`{"additionalProperties":{"type":"integer"},"properties":{"ab":{"type":"string"}}}`, `{"ab":1}`, false},
		{`{"additionalProperties":{"type":"integer"},"properties":{"ab":{"type":"string"}}}`, `{"\u0061b":1}`, false},
		{`{"enum":[1,12,"1"]}`, `12`, true},
		{`{"enum":[1,12,"1"]}`, `1`, true},
		{`{"enum":[1,12,"1"]}`, `13`, false},
		{`{"type":"string","enum":[1,"1"]}`, `1`, false},
		{`{"type":"number","minimum":0.1,"maximum":0.25}`, `0.2`, true},
		{`{"type":"number","minimum":0.1,"maximum":0.25}`, `0.26`, false},
		{`{"type":"number","minimum":0.1,"maximum":0.25}`, `1`, false},
		{`{"type":"number","exclusiveMinimum":-3,"maximum":-2}`, `-2.5`, true},
		{`{"type":"number","exclusiveMinimum":-3}`, `-3`, false},
		{`{"type":"integer","exclusiveMinimum":-3}`, `-2`, true},
		{`{"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"]},{"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]}`, `{"k":"b"}`, true},
		{`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":2}`, `[1,"a"]`, true},
		{`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":2}`, `[1,"a",2]`, false},
		{`{}`, `{"a":[1,{"b":null}],"a":"x"}`, true},
		{`{}`, strings.Repeat("[", 30) + strings.Repeat("]", 30), false},
		{`{"type":"boolean"}`, `tru`, false},
	} {
		if got := accepts(t, v, c.schema, c.text); got != c.want {
			t.Errorf("%s takes %q: %v", c.schema, c.text, got)
		}
	}
	free, err := grammar.Compile(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := free.Matcher(100); !m.Accept([]byte(`{"a": 1}`)) || !m.Done() {
		t.Error("JSON mode without a schema does not take an object")
	}
	if m, _ := free.Matcher(100); m.Accept([]byte(`[`)) {
		t.Error("JSON mode without a schema takes a list, which OpenAI's does not")
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	v, _, _ := vocabulary(t)
	wide := `{"enum":["` + strings.Repeat(`x","`, 20000) + `"]}`
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`:               "recursive",
		`{"$defs":{"t":{"type":"array","items":{"$ref":"#/$defs/t"}}},"$ref":"#/$defs/t"}`: "recursive",
		`{"type":"string","pattern":"a+"}`:                                                 `"pattern"`,
		`{"properties":{"x":{"not":{}}}}`:                                                  "/properties/x",
		`{"$ref":"https://example.com/s"}`:                                                 "within the schema",
		`{"$ref":"#/$defs/none"}`:                                                          "leads nowhere",
		`false`:                                                                            "nothing fits",
		`{"type":"thing"}`:                                                                 "which there is not",
		`{"type":"integer","minimum":3,"maximum":2}`:                                       "no number",
		`{"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":4}`:                     "no number",
		`{"type":"array","minItems":2,"maxItems":1}`:                                       "minItems",
		`{"type":"array","items":false,"minItems":1}`:                                      "no value that fits",
		`{"type":"array","minItems":99999999}`:                                             "minItems",
		`{"oneOf":[{"type":"string"},{"type":["string","null"]}]}`:                         "anyOf",
		`{"oneOf":[{"type":"integer"},{"type":"number"}]}`:                                 "anyOf",
		`{"allOf":[{},{}]}`:                                                                "write them as one",
		`{"anyOf":[]}`:                                                                     "empty",
		`{"enum":[]}`:                                                                      "no value",
		`{"type":"string","enum":[1]}`:                                                     "none of its type",
		`{"type":"string","anyOf":[{"type":"integer"}]}`:                                   "beside",
		`{"enum":[1],"minimum":3}`:                                                         "minimum",
		`7`:                                                                                "no schema",
		`{"type":"object","properties":[]}`:                                                "wrong type",
		`{"type":"object","properties":{},"required":["a"],"additionalProperties":false}`: "does not allow",
		`{"type":"integer","minimum":1e99999999}`:                                         "too long",
		wide:                                  "more than",
		`{"type":"array","uniqueItems":true}`: "uniqueItems",
		`{"type":"number","multipleOf":3}`:    "multipleOf",
	} {
		_, err := grammar.Compile([]byte(schema), v)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, want %s", schema, err, want)
		}
	}
	if _, err := grammar.NewVocabulary([][]byte{[]byte("a")}, nil); err == nil {
		t.Error("a vocabulary in which nothing can be written is taken")
	}
	deep := `{"type":"string"}`
	for range 60 {
		deep = `{"$defs":{},"type":"object","properties":{"a":` + deep + `,"b":{"type":"null"}},"required":["a","b"]}`
	}
	g, err := grammar.Compile([]byte(deep), v)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := g.Matcher(100); ok {
		t.Errorf("an answer of 100 tokens is promised where %d are needed", g.Least())
	}
}

func FuzzSchema(f *testing.F) {
	v, tokens, eos := vocabulary(f)
	for _, s := range []string{
		`{"type":"object","properties":{"a":{"type":["integer","null"],"minimum":-5}},"required":["a"],"additionalProperties":true}`,
		`{"anyOf":[{"const":1},{"enum":["x",{}]}]}`, `{"$defs":{"a":{"type":"number","maximum":1.5}},"items":{"$ref":"#/$defs/a"},"minItems":2}`, `{"prefixItems":[{}],"maxLength":2}`,
	} {
		f.Add(s, uint64(1))
	}
	f.Fuzz(func(t *testing.T, schema string, seed uint64) {
		g, err := grammar.Compile([]byte(schema), v)
		if err != nil || g.Least() > 2000 {
			return
		}
		most := g.Least() + int(seed%50)
		m, ok := g.Matcher(most)
		if !ok {
			t.Fatal("refused")
		}
		if text := write(t, m, tokens, eos, most, rand.New(rand.NewPCG(seed, 1))); !json.Valid([]byte(text)) {
			t.Fatalf("%q", text)
		}
	})
}

// BenchmarkMask is what masks of a large vocabulary cost: the first time, and when they are known.
func BenchmarkMask(b *testing.B) {
	tokens := make([][]byte, 0, 128_256)
	for c := range 256 {
		tokens = append(tokens, []byte{byte(c)})
	}
	r := rand.New(rand.NewPCG(1, 1))
	for len(tokens) < 128_000 {
		word := []byte(" ")[:r.IntN(2)]
		for range 1 + r.IntN(9) {
			word = append(word, byte('a'+r.IntN(26)))
		}
		if r.IntN(20) == 0 {
			word = append(word, `"':,.{}[]()`[r.IntN(11)], byte(' '+r.IntN(90)))
		}
		tokens = append(tokens, word)
	}
	v, err := grammar.NewVocabulary(append(tokens, []byte("</s>")), []int32{int32(len(tokens))})
	if err != nil {
		b.Fatal(err)
	}
	schema := []byte(`{"type":"object","properties":{"name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},"n":{"type":"integer"}},"required":["name","tags","n"]}`)
	text := []string{`{"`, `name`, `":"`, `some`, ` words`, ` here`, `","`, `tags`, `":["`, `x`, `","`, `y`, `"],"`, `n`, `":`, `1`, `2`}
	answer := func(g *grammar.Grammar) {
		m, _ := g.Matcher(1000)
		for _, s := range text {
			m.Mask()
			if !m.Accept([]byte(s)) {
				b.Fatal(s)
			}
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			g, err := grammar.Compile(schema, v)
			if err != nil {
				b.Fatal(err)
			}
			answer(g)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(text)), "µs/token")
	})
	b.Run("known", func(b *testing.B) {
		g, err := grammar.Compile(schema, v)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			answer(g)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(text)), "µs/token")
	})
}
