package modelstore_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/ai/modelstore"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

// TestGGUF pulls from repositories with GGUF files: one file of them, never all.
func TestGGUF(t *testing.T) {
	t.Parallel()
	f := start(t)
	var file bytes.Buffer
	shape := decodertest.Tiny("llama")
	if err := shape.WriteGGUF(&file); err != nil {
		t.Fatal(err)
	}
	weights, other := file.Bytes(), []byte("GGUF of other weights")
	mixed := files(1000)
	mixed["m.gguf"] = weights
	f.hub.Repositories = map[string]map[string][]byte{
		"a/one": {"m.gguf": weights, "LICENSE": []byte("l"), "README.md": other}, "a/usual": {"m-q4_k_m.gguf": weights, "m-Q8_0.gguf": other},
		"a/many": {"m-Q8_0.gguf": other, "m-Q6_K.gguf": weights}, "a/mixed": mixed, "a/broken": {"m.gguf": other},
	}
	for repository, want := range map[string]string{
		"a/one": "LICENSE m.gguf", "a/usual": "m-q4_k_m.gguf", "a/usual/m-Q8_0.gguf": "m-Q8_0.gguf", "a/many/m-Q6_K.gguf": "m-Q6_K.gguf",
		"a/mixed": "1_Pooling/config.json config.json model.safetensors tokenizer.json", "a/mixed/m.gguf": "m.gguf",
		"a/many": "several GGUF files", "a/many/none.gguf": "has no file", "a/many/../x.gguf": "no repository", "a/many/m.bin": "no repository",
	} {
		plan, err := f.store.Plan(t.Context(), repository, "")
		got, size := []string{}, int64(0)
		if err == nil {
			for _, file := range plan.Files {
				got, size = append(got, file.Path), size+file.Size
			}
			if plan.Size != size {
				t.Errorf("%s: %d bytes, want %d", repository, plan.Size, size)
			}
		} else {
			got = append(got, err.Error())
		}
		if text := strings.Join(got, " "); text != want && (err == nil || !strings.Contains(text, want)) {
			t.Errorf("%s: %s, want %s", repository, text, want)
		}
	}
	pull := func(repository, name string) (*modelstore.Model, error) {
		plan, err := f.store.Plan(t.Context(), repository, "")
		if err != nil {
			t.Fatal(err)
		}
		m := &modelstore.Model{Name: name}
		return m, f.store.Pull(t.Context(), m, plan, nil)
	}
	if m, err := pull("a/usual", "@mine/writer"); err != nil || m.Kind != catalogue.Generation || m.Architecture != "llama" {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := pull("a/broken", "@mine/broken"); err == nil || !strings.Contains(err.Error(), "GGUF") {
		t.Errorf("a file that is none: %v", err)
	}
	f.open(t)
	if m := f.store.Find("@mine/writer"); m == nil || m.Architecture != "llama" {
		t.Errorf("after a restart: %+v", m)
	}
}
