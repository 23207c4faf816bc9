package infer_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/infertest"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// model is an open model, and what computes the same in float64.
type model struct {
	*infer.Encoder
	ref *infertest.Reference
	tok *tokenizer.Tokenizer
}

func open(t *testing.T, s infertest.Spec, o infer.Options) model {
	t.Helper()
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	e, err := infer.OpenEncoder(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	tok, err := tokenizer.Open(dir + "/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	return model{e, infertest.NewReference(&s), tok}
}

// texts have very different lengths.
func texts() []string {
	return []string{
		"to be", "A", "the store of stones, where nobody goes!", strings.Repeat("sheasto rounou plea ", 9),
		"what? (really) 42", strings.Repeat("x", 40), "touroust batea; notou", strings.Repeat("word after word ", 25),
	}
}

// families are every kind of model that can be run.
func families() map[string]infertest.Spec {
	m := make(map[string]infertest.Spec)
	for _, f := range []string{"bert", "roberta", "distilbert"} {
		s := infertest.Tiny()
		s.Family = f
		m[f] = s
		s.Outliers = 2
		m[f+" with outliers"] = s
		s.Loud = true
		m[f+" with loud outliers"] = s
	}
	s := infertest.Tiny()
	s.Layers, s.Hidden, s.Heads, s.Intermediate, s.Outliers = 3, 192, 6, 768, 4
	m["bert, heads of 32"] = s
	return m
}

// TestEmbed holds the bound on accuracy for all kinds of models, in one batch
// and one by one.
func TestEmbed(t *testing.T) {
	for name, s := range families() {
		t.Run(name, func(t *testing.T) {
			m := open(t, s, infer.Options{Threads: 2})
			for _, p := range []infer.Pooling{infer.Mean, infer.CLS} {
				got, tokens, err := m.Embed(t.Context(), texts(), p)
				if err != nil {
					t.Fatal(err)
				}
				want := 0
				for i, text := range texts() {
					ids := m.tok.Encode(text, m.Info().MaxTokens).IDs
					want += len(ids)
					states := m.ref.States(ids, nil)
					v := states[0]
					if p == infer.Mean {
						v = infertest.Mean(states)
					}
					if c := infertest.Cosine(v, got[i]); !(c > 0.999) {
						t.Errorf("%s, text %d of %d tokens: cosine %.6f", p, i, len(ids), c)
					}
					alone, _, err := m.Embed(t.Context(), []string{text}, p)
					if err != nil {
						t.Fatal(err)
					}
					for j := range got[i] {
						if math.Abs(float64(alone[0][j]-got[i][j])) > 1e-4 {
							t.Fatalf("%s, text %d: [%d] is %g alone and %g in a batch", p, i, j, alone[0][j], got[i][j])
						}
					}
				}
				if tokens != want {
					t.Errorf("%d tokens, want %d", tokens, want)
				}
			}
		})
	}
}

// TestAccuracy holds the bound with layers of the shape of bge-small, all 12 of
// them in the full run, and
// does so too for the channels beside those that stand out: these alone would
// make any cosine look well. With loud channels small differences grow from
// layer to layer, and 8 bits may not be enough; the model has to notice itself.
func TestAccuracy(t *testing.T) {
	for _, c := range []struct {
		outliers  int
		loud      bool
		precision string // "" for any
	}{{0, false, "int8"}, {8, false, "int8"}, {4, true, "int8"}, {12, true, ""}} {
		s := infertest.Small()
		s.Vocabulary = 2000 // the rest of the words has nothing to do with it
		s.Outliers, s.Loud = c.outliers, c.loud
		if os.Getenv("SELVAGE_TEST_FULL") == "" {
			s.Layers = 4
		}
		m := open(t, s, infer.Options{Threads: 2})
		if p := m.Info().Precision; c.precision != "" && p != c.precision {
			t.Errorf("%+v: the model has %s", c, p)
		}
		text := "the stones of the store; nobody goes there, but who? bateast"
		got, _, err := m.Embed(t.Context(), []string{text}, infer.Mean)
		if err != nil {
			t.Fatal(err)
		}
		want := infertest.Mean(m.ref.States(m.tok.Encode(text, 512).IDs, nil))
		all := infertest.Cosine(want, got[0])
		for _, c := range s.OutlierChannels() {
			want[c], got[0][c] = 0, 0
		}
		rest := infertest.Cosine(want, got[0])
		t.Logf("%+v: %s, cosine %.6f, of the rest %.6f", c, m.Info().Precision, all, rest)
		if !(all > 0.999) || !(rest > 0.999) {
			t.Errorf("%+v: cosine %.6f, of the rest %.6f", c, all, rest)
		}
	}
}

// TestFloat32 holds that without quantisation nothing but rounding is between
// the engine and the reference.
func TestFloat32(t *testing.T) {
	for name, s := range families() {
		t.Run(name, func(t *testing.T) {
			m := open(t, s, infer.Options{Threads: 2, Float32: true})
			got, _, err := m.Embed(t.Context(), texts(), infer.Mean)
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range texts() {
				want := infertest.Mean(m.ref.States(m.tok.Encode(text, m.Info().MaxTokens).IDs, nil))
				for j, v := range want {
					if math.Abs(v-float64(got[i][j])) > 1e-3*(1+math.Abs(v)) {
						t.Fatalf("text %d: [%d] is %g, want %g", i, j, got[i][j], v)
					}
				}
			}
		})
	}
}

func TestClassify(t *testing.T) {
	for _, f := range []string{"bert", "roberta", "distilbert"} {
		t.Run(f, func(t *testing.T) {
			s := infertest.Tiny()
			s.Family, s.Labels, s.Outliers = f, []string{"NEGATIVE", "POSITIVE", "NEITHER"}, 2
			m := open(t, s, infer.Options{Threads: 2})
			if got := fmt.Sprint(m.Info().Labels); got != "[NEGATIVE POSITIVE NEITHER]" {
				t.Errorf("labels %s", got)
			}
			got, _, err := m.Classify(t.Context(), texts())
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range texts() {
				logits := m.ref.Logits(m.ref.States(m.tok.Encode(text, m.Info().MaxTokens).IDs, nil))
				var sum float64
				for _, l := range logits {
					sum += math.Exp(l)
				}
				for j, l := range logits {
					if want := math.Exp(l) / sum; math.Abs(want-float64(got[i][j])) > 0.02 {
						t.Errorf("text %d, label %d: %g, want %g", i, j, got[i][j], want)
					}
				}
			}
			if _, _, err := m.Rerank(t.Context(), "a", []string{"b"}); err == nil {
				t.Error("a classifier of three labels reranked")
			}
		})
	}
}

// TestRerank holds that the order is that of the reference, where that tells
// texts apart.
func TestRerank(t *testing.T) {
	for _, f := range []string{"bert", "roberta"} {
		t.Run(f, func(t *testing.T) {
			s := infertest.Tiny()
			s.Family, s.Labels, s.Outliers = f, []string{"LABEL_0"}, 2
			m := open(t, s, infer.Options{Threads: 2})
			got, _, err := m.Rerank(t.Context(), "what stones?", texts())
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float64, len(got))
			for i, text := range texts() {
				x := m.tok.EncodePair("what stones?", text, 126)
				types := x.Types
				if f == "roberta" {
					types = nil
				}
				want[i] = m.ref.Logits(m.ref.States(x.IDs, types))[0]
				if math.Abs(want[i]-float64(got[i])) > 0.05 {
					t.Errorf("text %d: %g, want %g", i, got[i], want[i])
				}
			}
			for i := range want {
				for j := range want {
					if want[i] > want[j]+0.05 && got[i] <= got[j] {
						t.Errorf("texts %d and %d changed places", i, j)
					}
				}
			}
		})
	}
}

// TestStored holds that the stored type and the number of files change nothing
// but rounding.
func TestStored(t *testing.T) {
	for _, dtype := range []string{"F16", "BF16"} {
		s := infertest.Tiny()
		s.DType, s.Shards = dtype, 3
		m := open(t, s, infer.Options{})
		got, _, err := m.Embed(t.Context(), texts(), infer.Mean)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts() {
			want := infertest.Mean(m.ref.States(m.tok.Encode(text, m.Info().MaxTokens).IDs, nil))
			if c := infertest.Cosine(want, got[i]); !(c > 0.999) {
				t.Errorf("%s, text %d: cosine %.6f", dtype, i, c)
			}
		}
	}
}

// TestConcurrent holds that callers at the same time get what they would alone.
func TestConcurrent(t *testing.T) {
	m := open(t, infertest.Tiny(), infer.Options{Threads: 3, Normalize: true, BatchTokens: 64})
	want, _, err := m.Embed(t.Context(), texts(), infer.Mean)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for c := range 16 {
		wg.Go(func() {
			for i := range 20 {
				n := (c + i) % len(want)
				got, _, err := m.Embed(t.Context(), texts()[n:n+1], infer.Mean)
				if err != nil {
					t.Error(err)
					return
				}
				var sum float64
				for j, v := range got[0] {
					sum += float64(v) * float64(v)
					if math.Abs(float64(v-want[n][j])) > 1e-4 {
						t.Errorf("text %d: [%d] is %g, was %g", n, j, v, want[n][j])
						return
					}
				}
				if math.Abs(sum-1) > 1e-4 {
					t.Errorf("length² %g", sum)
				}
			}
		})
	}
	wg.Wait()
}

func TestCancelled(t *testing.T) {
	m := open(t, infertest.Tiny(), infer.Options{Threads: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.Embed(ctx, texts(), infer.Mean); err != context.Canceled { //nolint:errorlint // exactly that
		t.Errorf("cancelled: %v", err)
	}
	if _, _, err := m.Embed(t.Context(), texts(), infer.Mean); err != nil {
		t.Errorf("after another was cancelled: %v", err)
	}
}
