package ai_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/chat"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

// seeded is a service with a small model of Qwen's kind in a GGUF file, of seeded weights.
func seeded(t *testing.T) *ai.Service {
	t.Helper()
	dir := t.TempDir()
	var file bytes.Buffer
	shape := decodertest.Tiny("qwen2")
	if err := shape.WriteGGUF(&file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.gguf"), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t)
	m, err := s.Import(t.Context(), bundle(t, "@mine/writer", dir), "", "")
	if err != nil || m.Kind != catalogue.Generation || m.Architecture != "qwen2" {
		t.Fatalf("%+v %v", m, err)
	}
	return s
}

// TestSeededModel has a real engine write: what it says is chance, but not by chance.
func TestSeededModel(t *testing.T) {
	t.Parallel()
	s := seeded(t)
	say := func(inputs string) *chat.Result {
		a, err := s.Run(t.Context(), &ai.Caller{Account: "a", Script: "w"}, "@mine/writer", []byte(inputs))
		if err != nil {
			t.Fatalf("%s: %v", inputs, err)
		}
		return a.Result
	}
	first := say(`{"prompt":"the word","seed":7,"max_tokens":12,"temperature":4}`)
	if first.Finish != "length" || first.Usage.Completion != 12 || first.Usage.Prompt < 8 || first.Usage.Estimated {
		t.Errorf("%+v", first)
	}
	if again := say(`{"prompt":"the word","seed":7,"max_tokens":12,"temperature":4}`); again.Text != first.Text {
		t.Errorf("the same seed wrote %q and %q", first.Text, again.Text)
	}
	if other := say(`{"prompt":"the word","seed":8,"max_tokens":12,"temperature":4}`); other.Text == first.Text {
		t.Errorf("another seed wrote %q as well", first.Text)
	}
	var sum int64
	for _, schema := range []string{
		`{"type":"object","properties":{"name":{"type":"string","maxLength":20},"ok":{"type":"boolean"},"n":{"type":"integer","minimum":3,"maximum":9}},"required":["name","ok","n"]}`,
		`{"type":"array","items":{"enum":["red","green"]},"minItems":2,"maxItems":3}`,
	} {
		for _, most := range []string{"45", "120"} {
			r := say(`{"prompt":"x","seed":1,"max_tokens":` + most + `,"response_format":{"type":"json_schema","json_schema":` + schema + `}}`)
			if !json.Valid([]byte(r.Text)) {
				t.Errorf("%s, %s tokens: %+v", schema, most, r)
			}
			sum += int64(r.Usage.Completion)
		}
	}
	forced := say(`{"messages":[{"role":"user","content":"x"}],"seed":3,"max_tokens":80,"tools":[{"name":"weather","parameters":{"type":"object","properties":{"city":{"enum":["Ghent","Rome"]}},"required":["city"]}}],"tool_choice":"required"}`)
	if len(forced.ToolCalls) != 1 || forced.ToolCalls[0].Name != "weather" || forced.Finish != "tool_calls" || !json.Valid([]byte(forced.ToolCalls[0].Arguments)) {
		t.Errorf("%+v", forced)
	}
	if u := used(t, s, "worker:w"); u.Requests != 8 || u.Out != 36+sum+int64(forced.Usage.Completion) || u.Neurons == 0 {
		t.Errorf("%+v is recorded, want %d tokens out", u, 36+sum+int64(forced.Usage.Completion))
	}
}
