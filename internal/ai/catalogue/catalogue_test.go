package catalogue_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
)

func load(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestModelsAreWhole(t *testing.T) {
	t.Parallel()
	c := load(t)
	seen := map[string]bool{}
	for _, m := range c.Models() {
		s := c.Schemas(m.Kind)
		if s == nil || len(s.Output) == 0 || m.License == "" || m.Architecture == "" || m.Description == "" || m.Context == 0 || strings.Count(m.Repository, "/") != 1 && !strings.HasPrefix(m.Name, "@selvage/") || m.Author() == "" {
			t.Errorf("%+v lacks something", m)
		}
		if seen[m.Name] || seen[m.ID()] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name], seen[m.ID()] = true, true
		if found, ok := c.Find(m.Name); !ok || found != m {
			t.Errorf("%s is not found", m.Name)
		}
		if strings.HasPrefix(string(m.Kind), "embeddings") && m.Dimensions == 0 {
			t.Errorf("%s has no dimensions", m.Name)
		}
	}
	for _, name := range []string{
		"@cf/baai/bge-small-en-v1.5", "@cf/baai/bge-base-en-v1.5", "@cf/baai/bge-large-en-v1.5", "@cf/baai/bge-m3", "@cf/baai/bge-reranker-base",
		"@cf/huggingface/distilbert-sst-2-int8", "@cf/meta/llama-2-7b-chat-int8", "@cf/meta/llama-3.1-8b-instruct", "@cf/meta/llama-3.2-1b-instruct",
		"@cf/meta/llama-3.2-3b-instruct", "@cf/mistral/mistral-7b-instruct-v0.1", "@cf/qwen/qwen2.5-coder-32b-instruct", "@cf/qwen/qwen3-30b-a3b-fp8",
	} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if _, ok := c.Find("@cf/nobody/nothing"); ok {
		t.Error("a model that is not there is found")
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, tc := range []struct {
		kind         catalogue.Kind
		inputs, want string // want: what the error begins with, "" for none
	}{
		{catalogue.Embeddings, `{"text":"a"}`, ""},
		{catalogue.Embeddings, `{"text":["a","b"],"pooling":"cls"}`, ""},
		{catalogue.Embeddings, `{"messages":[{"role":"user","content":"a"}]}`, "required properties at '/' are 'text'"},
		{catalogue.Embeddings, `{"text":""}`, "oneOf at '/text' not met"},
		{catalogue.Embeddings, `{"text":["a"],"pooling":"max"}`, "enum value at '/pooling'"},
		{catalogue.EmbeddingsM3, `{"query":"q","contexts":[{"text":"a"}]}`, ""},
		{catalogue.Reranking, `{"query":"q","contexts":[{"text":"a"}],"top_k":0}`, "'/top_k' must be >= 1"},
		{catalogue.Classification, `{"text":["a"]}`, "Type mismatch of '/text', 'array' not in 'string'"},
		{catalogue.Generation, `{"prompt":"a","max_tokens":100}`, ""},
		{catalogue.Generation, `{"text":"a"}`, "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt', required properties at '/' are 'messages'"},
		{catalogue.Generation, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":null,"tool_calls":[{}]}],"tools":[{"type":"function","function":{"name":"f"}},{"name":"g"}]}`, ""},
		{catalogue.Generation, `{"prompt":"` + strings.Repeat("a", 1<<20) + `"}`, "oneOf at '/' not met, 0 matches: Length of '/prompt' must be <= 131072"},
	} {
		var v any
		if err := json.Unmarshal([]byte(tc.inputs), &v); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := c.Schemas(tc.kind).Check(v); err != nil {
			got = err.Error()
		}
		if tc.want == "" && got != "" || !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s %.100s: %s\nwant %s", tc.kind, tc.inputs, got, tc.want)
		}
	}
}
