package infer_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/infertest"
)

// FuzzConfig: whatever config.json says of the weights beside it, the model is refused
// or runs, and takes no memory because of a number in it.
func FuzzConfig(f *testing.F) {
	dir := f.TempDir()
	spec := infertest.Spec{Family: "bert", Layers: 1, Hidden: 32, Heads: 1, Intermediate: 32, Vocabulary: 300, Positions: 16, Types: 2}
	if err := spec.Write(dir); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, c := range []string{
		`{"model_type":"bert","vocab_size":300,"max_position_embeddings":16,"num_hidden_layers":1000000000,"hidden_size":32,"num_attention_heads":1,"intermediate_size":32,"hidden_act":"gelu","type_vocab_size":2,"layer_norm_eps":1e-12}`,
		`{"model_type":"bert","vocab_size":9223372036854775807,"hidden_size":9223372036854775807,"num_attention_heads":3,"num_hidden_layers":1}`,
		`{"model_type":"roberta","pad_token_id":-5,"vocab_size":300,"max_position_embeddings":16,"num_hidden_layers":1,"hidden_size":32,"num_attention_heads":0,"intermediate_size":32}`,
		`{"model_type":"distilbert","n_layers":-1,"dim":32,"n_heads":32,"hidden_dim":31,"activation":"gelu","id2label":{"0":"a","7":"b"}}`,
		`[]`, `{"id2label":{"99999999999":"x"}}`, ``,
	} {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := infer.OpenEncoder(dir, infer.Options{Threads: 1})
		if err != nil {
			if o, ok := errors.AsType[*infer.OpenError](err); !ok || o.Reason == infer.Failed {
				t.Fatal(err)
			}
			return
		}
		if _, _, err := e.Embed(t.Context(), []string{"a b c d e f g h i j k l m n o p"}, infer.Mean); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}
