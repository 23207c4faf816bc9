package ai_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai"
	"github.com/selvage-dev/selvage/internal/ai/builtin"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/infertest"
)

// write makes a model with seeded weights and returns its folder.
func write(t *testing.T, spec infertest.Spec) string { //nolint:gocritic // once
	t.Helper()
	dir := t.TempDir()
	if err := spec.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// bundle packs a folder as "selvage ai add" does.
func bundle(t *testing.T, name, dir string) *bytes.Buffer {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []map[string]any
	bodies := map[string][]byte{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		bodies[e.Name()] = raw
		files = append(files, map[string]any{"path": e.Name(), "size": len(raw)})
	}
	manifest, err := json.Marshal(map[string]any{"selvage_model": 1, "name": name, "source": "files", "files": files})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	put := func(name string, body []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	put("selvage-model.json", manifest)
	for _, e := range entries {
		put("files/"+e.Name(), bodies[e.Name()])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func run(t *testing.T, s *ai.Service, model, inputs string, v any) {
	t.Helper()
	a, err := s.Run(t.Context(), &ai.Caller{Account: "a", Script: "w"}, model, []byte(inputs))
	if err != nil {
		t.Fatalf("%s %s: %v", model, inputs, err)
	}
	if err := json.Unmarshal(a.JSON, v); err != nil {
		t.Fatalf("%s: %v", a.JSON, err)
	}
}

// TestTheBinarysModel: it is there without a download, and nothing takes its place.
func TestTheBinarysModel(t *testing.T) {
	t.Parallel()
	s := open(t)
	const name = builtin.Embed
	if m, err := s.Model(name); err != nil || m.State != ai.Ready || m.Hint != "" {
		t.Errorf("%+v %v", m, err)
	}
	e, err := s.Embed(t.Context(), &ai.Caller{Account: "a", Token: "t"}, name, []string{"dog", "puppy"})
	if err != nil || len(e.Vectors) != 2 || e.Tokens != 2 {
		t.Errorf("%+v %v", e, err)
	}
	_, pulled := s.Plan(t.Context(), &ai.PullOptions{Name: name})
	_, imported := s.Import(t.Context(), bundle(t, name, write(t, infertest.Tiny())), "", "")
	for _, err := range []error{pulled, imported, s.Remove(t.Context(), name)} {
		if fault, ok := errors.AsType[*ai.Error](err); !ok || !strings.Contains(fault.Message, "is in the binary") {
			t.Error(err)
		}
	}
}

func TestEmbeddingsOfThisProcess(t *testing.T) {
	t.Parallel()
	s := open(t)
	dir := write(t, infertest.Tiny())
	const name = "@cf/baai/bge-small-en-v1.5"
	m, err := s.Import(t.Context(), bundle(t, name, dir), "", "")
	if err != nil || m.Kind != catalogue.Embeddings {
		t.Fatalf("%+v %v", m, err)
	}
	e, err := infer.OpenEncoder(dir, infer.Options{Normalize: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	for _, pooling := range []infer.Pooling{infer.Mean, infer.CLS} {
		want, _, err := e.Embed(t.Context(), []string{"a b c", "the cat"}, pooling)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Shape   []int       `json:"shape"`
			Data    [][]float32 `json:"data"`
			Pooling string      `json:"pooling"`
		}
		run(t, s, name, `{"text":["a b c","the cat"],"pooling":"`+string(pooling)+`"}`, &got)
		if len(got.Shape) != 2 || got.Shape[0] != 2 || got.Shape[1] != 64 || got.Pooling != string(pooling) {
			t.Errorf("%+v", got)
		}
		for i := range want {
			var dot float64
			for k := range want[i] {
				dot += float64(want[i][k]) * float64(got.Data[i][k])
			}
			if math.Abs(dot-1) > 1e-5 {
				t.Errorf("text %d, %s: cosine %v with the engine's own", i, pooling, dot)
			}
		}
	}
	vectors, err := s.Embed(t.Context(), &ai.Caller{Account: "a", Token: "t"}, name, []string{"a"})
	if err != nil || len(vectors.Vectors) != 1 || vectors.Tokens == 0 {
		t.Errorf("%+v %v", vectors, err)
	}
	if err := s.Remove(t.Context(), name); err != nil {
		t.Error(err)
	}
	_, err = s.Run(t.Context(), &ai.Caller{}, name, []byte(`{"text":"a"}`))
	if fault, ok := errors.AsType[*ai.Error](err); !ok || fault.Code != 5007 || !strings.Contains(fault.Message, `run "selvage ai pull @cf/baai/bge-small-en-v1.5"`) {
		t.Errorf("after it was removed: %v", err)
	}
}

func TestClassificationAndReranking(t *testing.T) {
	t.Parallel()
	s := open(t)
	spec := infertest.Tiny()
	spec.Labels = []string{"NEGATIVE", "POSITIVE"}
	if _, err := s.Import(t.Context(), bundle(t, "@mine/mood", write(t, spec)), "", ""); err != nil {
		t.Fatal(err)
	}
	var classes []struct {
		Label string
		Score float64
	}
	run(t, s, "@mine/mood", `{"text":"the cat"}`, &classes)
	if len(classes) != 2 || classes[0].Label != "NEGATIVE" || classes[1].Label != "POSITIVE" || math.Abs(classes[0].Score+classes[1].Score-1) > 1e-5 {
		t.Errorf("%+v", classes)
	}
	spec.Labels = []string{"LABEL_0"}
	m, err := s.Import(t.Context(), bundle(t, "@mine/ranker", write(t, spec)), "", "")
	if err != nil || m.Kind != catalogue.Reranking {
		t.Fatalf("%+v %v", m, err)
	}
	var ranked struct {
		Response []struct {
			ID    int
			Score float64
		}
	}
	run(t, s, "@mine/ranker", `{"query":"cat","contexts":[{"text":"a"},{"text":"the cat"},{"text":"b c"}],"top_k":2}`, &ranked)
	if r := ranked.Response; len(r) != 2 || r[0].Score < r[1].Score || r[0].ID == r[1].ID || r[0].Score <= 0 || r[0].Score >= 1 {
		t.Errorf("%+v", ranked)
	}
}

func TestM3(t *testing.T) {
	t.Parallel()
	s := open(t)
	const name = "@cf/baai/bge-m3"
	spec := infertest.Tiny()
	spec.Family = "roberta"
	if _, err := s.Import(t.Context(), bundle(t, name, write(t, spec)), "", ""); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Response json.RawMessage
		Data     [][]float32
		Shape    []int
	}
	run(t, s, name, `{"text":"the cat"}`, &got)
	if len(got.Data) != 1 || got.Shape[1] != 64 {
		t.Errorf("text: %+v", got)
	}
	run(t, s, name, `{"contexts":[{"text":"a"},{"text":"b"}]}`, &got)
	if got.Shape[0] != 2 || !bytes.HasPrefix(got.Response, []byte("[[")) {
		t.Errorf("contexts: %+v", got)
	}
	run(t, s, name, `{"query":"the cat","contexts":[{"text":"a"},{"text":"the cat"}]}`, &got)
	var scores []struct {
		ID    int     `json:"id"`
		Score float64 `json:"score"`
	}
	if err := json.Unmarshal(got.Response, &scores); err != nil || len(scores) != 2 || scores[0].ID != 1 || math.Abs(scores[0].Score-1) > 1e-4 {
		t.Errorf("query: %s %v", got.Response, err)
	}
}

// TestBrokenModels adds what passes for a model until it is opened.
func TestBrokenModels(t *testing.T) {
	t.Parallel()
	s := open(t)
	dir := write(t, infertest.Tiny())
	weights := filepath.Join(dir, "model.safetensors")
	raw, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"@mine/cut": raw[:len(raw)/2], "@mine/header": append([]byte{0, 0, 0, 0, 0, 0, 0, 0x80}, raw[8:]...), "@mine/empty": {},
	} {
		if err := os.WriteFile(weights, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Import(t.Context(), bundle(t, name, dir), "", ""); err != nil {
			t.Fatal(err)
		}
		_, err := s.Run(t.Context(), &ai.Caller{}, name, []byte(`{"text":"a"}`))
		if fault, ok := errors.AsType[*ai.Error](err); !ok || fault.Code != 5021 || strings.Contains(fault.Message, "/") && strings.Contains(fault.Message, os.TempDir()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"@cf/baai/other", "@selvage/mine", "mine"} {
		if _, err := s.Import(t.Context(), bundle(t, name, dir), "", ""); err == nil {
			t.Errorf("the name %s is taken", name)
		}
	}
	if used, _ := s.Disk(); used == 0 || len(s.Stored()) != 3 {
		t.Errorf("%d bytes of %d models", used, len(s.Stored()))
	}
}
