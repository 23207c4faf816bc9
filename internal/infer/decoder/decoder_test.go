package decoder_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
	"github.com/selvage-dev/selvage/internal/infer/gguf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a model, and returns its path.
func file(t *testing.T, s *decodertest.Shape) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteGGUF(&b); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t *testing.T, path string, o decoder.Options) *decoder.Model {
	t.Helper()
	if o.Threads == 0 {
		o.Threads = 2
	}
	m, err := decoder.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func randomTokens(seed uint64, n, vocabulary int) []int32 {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]int32, n)
	for i := range out {
		out[i] = r.Int32N(int32(vocabulary))
	}
	return out
}

// cosine compares what the model thinks of each token with the reference.
func cosine(a []float32, b []float64) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		ab, aa, bb = ab+float64(x)*b[i], aa+float64(x)*float64(x), bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

// shapes are the architectures and types that are compared with the reference.
func shapes() map[string]decodertest.Shape {
	out := make(map[string]decodertest.Shape)
	for a, t := range map[string]blocks.Type{"llama": blocks.Q4, "mistral": blocks.Q6K, "qwen2": blocks.Q4K, "qwen3": blocks.Q8} {
		s := decodertest.Tiny(a)
		s.Weights = t
		if t == blocks.Q4K {
			s.Other, s.Embeddings = blocks.Q6K, blocks.Q6K
		}
		out[a+" "+t.String()] = s
	}
	s := decodertest.Tiny("llama")
	s.Factors, s.SentencePiece, s.Heads, s.Head, s.Weights = true, false, 8, 32, blocks.F16
	out["llama 3.1"] = s
	s = decodertest.Tiny("qwen2")
	s.Weights, s.Hidden, s.Intermediate = blocks.Q4, 192, 320 // not whole units of inner loops
	out["odd sizes"] = s
	return out
}

func TestReference(t *testing.T) {
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			path := file(t, &s)
			m := open(t, path, decoder.Options{})
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			ref := &reference{t: t, s: s, f: f, seen: make(map[string][]float64)}
			tokens := randomTokens(3, 44, s.Vocabulary)
			ref.eight = true
			want := ref.logits(tokens)
			exact := want
			if s.Weights == blocks.Q4 {
				ref.eight = false
				exact = ref.logits(tokens)
			}
			least, total, plain, n := 1.0, 0.0, 0.0, 0.0
			check := func(at int, got []float32) {
				c := cosine(got, want[at-1])
				least, total, plain, n = min(least, c), total+c, plain+cosine(got, exact[at-1]), n+1
			}
			// Whole prompts of several lengths, then token by token.
			for _, n := range []int{1, 2, 33, 44} {
				check(n, forced(t, m, tokens[:n], nil)[0])
			}
			for i, got := range forced(t, m, tokens[:36], tokens[36:]) {
				check(36+i, got)
			}
			// Random weights do not forgive: what rounding an activation the other way
			// does is more than in a trained model. A wrong angle of a position gives 0.9.
			t.Logf("cosine with the reference: least %.5f, mean %.5f; mean with exact activations %.5f", least, total/n, plain/n)
			if least < 0.998 || total/n < 0.999 || plain/n < 0.998 {
				t.Error("the model is not the reference")
			}
		})
	}
}

// forced returns the logits after the prompt, and after each of the tokens that
// are made to follow it.
func forced(t *testing.T, m *decoder.Model, prompt, follow []int32) [][]float32 {
	t.Helper()
	f := &force{follow: follow}
	r := &decoder.Request{Prompt: prompt, MaxTokens: len(follow) + 1, Mask: f}
	decoder.Watch(r, f.watch)
	_, err := m.Generate(context.Background(), r, func(decoder.Piece) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return f.logits
}

type force struct {
	follow []int32
	logits [][]float32
}

func (f *force) watch(logits []float32) {
	f.logits = append(f.logits, append([]float32(nil), logits...))
}

func (f *force) Allowed(set decoder.TokenSet) {
	if n := len(f.logits) - 1; n < len(f.follow) {
		set.Add(f.follow[n])
	}
}

func (f *force) Accept(int32) error { return nil }
