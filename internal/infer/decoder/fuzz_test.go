package decoder_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

// FuzzOpen changes some bytes of a model's metadata: it opens and writes, or it
// is an error.
func FuzzOpen(f *testing.F) {
	var files [][]byte
	for _, arch := range []string{"llama", "qwen2"} {
		s := decodertest.Tiny(arch)
		s.Layers, s.Hidden, s.Heads, s.KVHeads, s.Head, s.Intermediate, s.Vocabulary, s.Context = 1, 64, 2, 1, 32, 64, 300, 64
		var b bytes.Buffer
		if err := s.WriteGGUF(&b); err != nil {
			f.Fatal(err)
		}
		files = append(files, b.Bytes())
		for _, key := range []string{"block_count", "embedding_length", "head_count", "rope.freq_base", "tokens", "token_type", "eos_token_id", "blk.0.attn_q"} {
			at := bytes.Index(b.Bytes(), []byte(key)) + len(key)
			for _, v := range []string{"\x04\x00\x00\x00\xff\xff\xff\xff", "\x04\x00\x00\x00\x00\x00\x00\x00", "\x06\x00\x00\x00\x00\x00\xc0\x7f", "\x09\x00\x00\x00\x09\x00\x00\x00"} {
				f.Add(len(files)%2 == 0, uint32(at), []byte(v))
			}
		}
	}
	f.Fuzz(func(t *testing.T, second bool, at uint32, v []byte) {
		b := slices.Clone(files[0])
		if second {
			b = slices.Clone(files[1])
		}
		copy(b[min(int(at), len(b)):], v)
		name := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := decoder.Open(name, decoder.Options{Threads: 1, CacheBytes: 1 << 20, Context: 64})
		var e *decoder.OpenError
		if err != nil {
			if !errors.As(err, &e) || e.Reason == decoder.Failed {
				t.Fatal(err)
			}
			return
		}
		defer m.Close()
		ids := m.Tokens("the of and <s> 世界", false, 8)
		if len(ids) == 0 {
			return
		}
		_, err = m.Generate(context.Background(), &decoder.Request{Prompt: ids, MaxTokens: 3, Sampler: decoder.Sampler{Temperature: 1}}, func(decoder.Piece) error { return nil })
		if err != nil && !errors.Is(err, decoder.ErrRequest) && !errors.Is(err, decoder.ErrNumbers) {
			t.Fatal(err)
		}
	})
}
