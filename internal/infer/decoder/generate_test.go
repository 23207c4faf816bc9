package decoder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/decoder"
	"github.com/selvage-dev/selvage/internal/infer/decodertest"
)

// generate returns the text, and checks that pieces are whole characters.
func generate(t *testing.T, m *decoder.Model, r *decoder.Request) (string, decoder.Result) {
	t.Helper()
	var text strings.Builder
	tokens := 0
	res, err := m.Generate(context.Background(), r, func(p decoder.Piece) error {
		if !utf8.ValidString(p.Text) {
			t.Errorf("the piece %q is not whole characters", p.Text)
		}
		tokens += p.Tokens
		text.WriteString(p.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tokens != res.Completion {
		t.Errorf("pieces of %d tokens, %d were counted", tokens, res.Completion)
	}
	return text.String(), res
}

// say makes a model write these tokens.
func say(t *testing.T, m *decoder.Model, tokens []int32, stop ...string) (string, decoder.Result) {
	t.Helper()
	f := &force{follow: tokens}
	r := &decoder.Request{Prompt: []int32{1}, MaxTokens: len(tokens), Mask: f, Stop: stop}
	decoder.Watch(r, f.watch)
	return generate(t, m, r)
}

func TestText(t *testing.T) {
	s := decodertest.Tiny("qwen2")
	m := open(t, file(t, &s), decoder.Options{})
	const euro = "the € 世界 of 😀!"
	ids := m.Tokens(euro, false, 0)
	if got, res := say(t, m, ids); got != euro || res.Finish != decoder.FinishLength || res.Completion != len(ids) {
		t.Errorf("%q was written as %q, %+v", euro, got, res)
	}
	// A character that never ends is one replacement, and comes at the end.
	if got, _ := say(t, m, m.Tokens("a\xe2\x82", false, 0)); got != "a\uFFFD" {
		t.Errorf("half a character is %q", got)
	}
	for _, c := range []struct{ stop, want string }{
		{"th", ""}, {"€ 世", "the "}, {"of 😀!", "the € 世界 "}, {"f", "the € 世界 o"}, {"xyz", euro}, {"\x82\xac", "the \uFFFD"}, {"界 off", euro},
	} {
		got, res := say(t, m, ids, "never", c.stop, "")
		want := decoder.FinishStop
		if c.want == euro {
			want = decoder.FinishLength
		}
		if got != c.want || res.Finish != want {
			t.Errorf("stopped at %q: %q, %s", c.stop, got, res.Finish)
		}
	}
	end := m.Tokens("<|im_end|>", true, 0)
	if len(end) != 1 || !m.Ends(end[0]) {
		t.Fatalf("the end of a turn is %v", end)
	}
	if got, res := say(t, m, append(slices.Clone(ids), end...)); got != euro || res.Finish != decoder.FinishStop || res.Completion != len(ids)+1 {
		t.Errorf("with an end: %q, %+v", got, res)
	}
	if n := len(m.Tokens("<|im_end|>", false, 0)); n < 5 {
		t.Errorf("what a user writes like an end is %d tokens", n)
	}
	if got, res := generate(t, m, &decoder.Request{Prompt: ids, MaxTokens: 3, Mask: nothing{}}); got != "" || res.Finish != decoder.FinishMask {
		t.Errorf("nothing allowed: %q, %+v", got, res)
	}
	boom := errors.New("boom")
	if _, err := m.Generate(context.Background(), &decoder.Request{Prompt: ids, MaxTokens: 3, Mask: refusing{boom}},
		func(decoder.Piece) error { return nil }); !errors.Is(err, boom) {
		t.Errorf("a mask that refuses: %v", err)
	}
}

type nothing struct{}

func (nothing) Allowed(decoder.TokenSet) {}
func (nothing) Accept(int32) error       { return nil }

type refusing struct{ err error }

func (refusing) Allowed(s decoder.TokenSet) { s.Add(5) }
func (r refusing) Accept(int32) error       { return r.err }

// The same request gives the same text: alone, again from the cache, and at any
// number of threads.
func TestSeed(t *testing.T) {
	s := decodertest.Tiny("llama")
	path := file(t, &s)
	var texts []string
	for _, threads := range []int{1, 2, 3} {
		m := open(t, path, decoder.Options{Threads: threads})
		for i := range 3 {
			got, res := generate(t, m, &decoder.Request{
				Prompt: randomTokens(1, 70, s.Vocabulary), MaxTokens: 40,
				Sampler: decoder.Sampler{Temperature: 1.2, TopP: 0.95, TopK: 50, Seed: 42, Repetition: 1.1, Frequency: 0.1, Presence: 0.1},
			})
			texts = append(texts, got)
			if want := min(i, 1) * 64; res.Cached != want {
				t.Errorf("time %d: %d tokens came from the cache, not %d", i, res.Cached, want)
			}
		}
		if other, _ := generate(t, m, &decoder.Request{
			Prompt: randomTokens(1, 70, s.Vocabulary), MaxTokens: 40, Sampler: decoder.Sampler{Temperature: 1.2, Seed: 43},
		}); other == texts[0] {
			t.Error("another seed gives the same text")
		}
	}
	// The cache has what the first run read 70 tokens at a time; a second run
	// reads 6, by another kernel. The texts after the cache are equal among
	// themselves, and those before.
	for i, s := range texts {
		if s != texts[min(i%3, 1)] {
			t.Errorf("text %d is %q, not %q", i, s, texts[min(i%3, 1)])
		}
	}
}

// Texts that are written at once do not mix.
func TestTogether(t *testing.T) {
	s := decodertest.Tiny("qwen3")
	m := open(t, file(t, &s), decoder.Options{Batch: 5, CacheBytes: 8 << 20})
	const n = 16
	want := make([]string, n)
	prompt := func(i int) []int32 {
		return append(randomTokens(9, 64, s.Vocabulary), randomTokens(uint64(i), 3+7*i, s.Vocabulary)...)
	}
	ask := func(i int) *decoder.Request {
		ids := m.Tokens(strings.Repeat("the of and ", 3+i%3), false, 0)
		f := &force{follow: ids}
		r := &decoder.Request{Prompt: prompt(i), MaxTokens: len(ids), Mask: f}
		decoder.Watch(r, f.watch)
		return r
	}
	alone := make([][][]float32, n)
	for i := range n {
		r := ask(i)
		want[i], _ = generate(t, m, r)
		f, _ := r.Mask.(*force)
		alone[i] = f.logits
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := ask(i)
			if got, _ := generate(t, m, r); got != want[i] {
				t.Errorf("text %d is %q, not %q", i, got, want[i])
			}
			f, _ := r.Mask.(*force)
			for j, l := range f.logits {
				exact := make([]float64, len(l))
				for k, v := range alone[i][j] {
					exact[k] = float64(v)
				}
				if c := cosine(l, exact); c < 0.99 {
					t.Errorf("text %d: the logits of token %d have the cosine %.4f with those of the text alone", i, j, c)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestLeaving(t *testing.T) {
	s := decodertest.Tiny("qwen2")
	m := open(t, file(t, &s), decoder.Options{Batch: 1, Queue: 1})
	emit := func(decoder.Piece) error { return nil }
	boom := errors.New("boom")
	res, err := m.Generate(context.Background(), &decoder.Request{Prompt: []int32{1}, MaxTokens: 400, Mask: anything{}}, func(decoder.Piece) error { return boom })
	if !errors.Is(err, boom) || res.Completion == 0 {
		t.Errorf("emit fails: %+v, %v", res, err)
	}
	// Who leaves while the third token is chosen costs no fourth.
	ctx, cancel := context.WithCancel(context.Background())
	res, err = m.Generate(ctx, &decoder.Request{Prompt: []int32{1}, MaxTokens: 400, Mask: &counting{at: 3, do: cancel}}, emit)
	if !errors.Is(err, context.Canceled) || res.Completion != 3 {
		t.Errorf("the context ends: %+v, %v", res, err)
	}
	// One writes, and stands still; one waits; and there is no room for a third.
	ctx, cancel = context.WithCancel(context.Background())
	writes, hold, waited, wrote := make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := m.Generate(ctx, &decoder.Request{Prompt: []int32{1}, MaxTokens: 500, Mask: &counting{at: 2, do: func() {
			close(writes)
			<-hold
		}}}, emit)
		wrote <- err
	}()
	<-writes
	second, leave := context.WithCancel(context.Background())
	go func() {
		err := decoder.ErrBusy
		for errors.Is(err, decoder.ErrBusy) { // the third may be there first, for a moment
			_, err = m.Generate(second, &decoder.Request{Prompt: []int32{2}, MaxTokens: 1}, emit)
		}
		waited <- err
	}()
	for err = nil; !errors.Is(err, decoder.ErrBusy); {
		third, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = m.Generate(third, &decoder.Request{Prompt: []int32{3}, MaxTokens: 1}, emit)
	}
	leave()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves the queue gets %v", err)
	}
	cancel()
	close(hold)
	if err := <-wrote; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves while writing gets %v", err)
	}
	if _, err := m.Generate(context.Background(), &decoder.Request{Prompt: []int32{3}, MaxTokens: 1}, emit); err != nil {
		t.Errorf("after they left: %v", err)
	}
}

// counting does something when a token is chosen.
type counting struct {
	n, at int
	do    func()
}

func (c *counting) Allowed(s decoder.TokenSet) {
	if c.n++; c.n == c.at {
		c.do()
	}
	s.Add(5)
}
func (*counting) Accept(int32) error { return nil }

type anything struct{}

func (anything) Allowed(s decoder.TokenSet) {
	for i := range 300 {
		s.Add(int32(i))
	}
}
func (anything) Accept(int32) error { return nil }

func TestClose(t *testing.T) {
	s := decodertest.Tiny("qwen2")
	m, err := decoder.Open(file(t, &s), decoder.Options{Threads: 2, Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	began := make(chan struct{}, 6)
	for range 6 {
		wg.Go(func() {
			began <- struct{}{}
			_, err := m.Generate(context.Background(), &decoder.Request{Prompt: []int32{1}, MaxTokens: 500, Mask: anything{}}, func(decoder.Piece) error { return nil })
			if err != nil && !errors.Is(err, decoder.ErrClosed) {
				t.Error(err)
			}
		})
	}
	for range 6 {
		<-began
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if _, err := m.Generate(context.Background(), &decoder.Request{Prompt: []int32{1}, MaxTokens: 1}, nil); !errors.Is(err, decoder.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
}

func TestRequests(t *testing.T) {
	s := decodertest.Tiny("qwen2")
	m := open(t, file(t, &s), decoder.Options{Context: 64})
	for name, r := range map[string]*decoder.Request{
		"no prompt":      {MaxTokens: 1},
		"no tokens":      {Prompt: []int32{1}},
		"a long prompt":  {Prompt: make([]int32, 64), MaxTokens: 1},
		"an odd token":   {Prompt: []int32{512}, MaxTokens: 1},
		"a low token":    {Prompt: []int32{-1}, MaxTokens: 1},
		"top_p":          {Prompt: []int32{1}, MaxTokens: 1, Sampler: decoder.Sampler{TopP: 1.5}},
		"temperature":    {Prompt: []int32{1}, MaxTokens: 1, Sampler: decoder.Sampler{Temperature: -1}},
		"a stop too big": {Prompt: []int32{1}, MaxTokens: 1, Stop: []string{strings.Repeat("x", 2000)}},
	} {
		if _, err := m.Generate(context.Background(), r, func(decoder.Piece) error { return nil }); !errors.Is(err, decoder.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, res := generate(t, m, &decoder.Request{Prompt: make([]int32, 60), MaxTokens: 1e9, Mask: anything{}}); res.Completion != 4 || res.Finish != decoder.FinishLength {
		t.Errorf("10^9 tokens in a context of 64: %+v", res)
	}
}

// The same weights as a GGUF file and as the hub lays them out are the same
// model.
func TestHub(t *testing.T) {
	for _, arch := range []string{"llama", "mistral", "qwen2", "qwen3"} {
		s := decodertest.Tiny(arch)
		s.Weights, s.Embeddings = blocks.BF16, blocks.F32
		s.Factors = arch == "llama"
		dir := t.TempDir()
		files, err := s.Hub()
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a, b := open(t, file(t, &s), decoder.Options{}), open(t, dir, decoder.Options{})
		const text = "the other <s> of 12345 and their words, 世界!\n\n  she"
		x, y := a.Tokens(text, false, 0), b.Tokens(text, false, 0)
		if !slices.Equal(x, y) {
			t.Errorf("%s: %q is %v and %v", arch, text, x, y)
		}
		var back []byte
		for _, id := range x {
			back = append(back, b.TokenBytes(id)...)
		}
		if got := strings.TrimPrefix(string(back), " "); got != text {
			t.Errorf("%s: %q comes back as %q", arch, text, got)
		}
		one, two := forced(t, a, x, nil)[0], forced(t, b, x, nil)[0]
		exact := make([]float64, len(one))
		for i, v := range one {
			exact[i] = float64(v)
		}
		if c := cosine(two, exact); c < 0.9999 {
			t.Errorf("%s: the cosine of the two is %.5f", arch, c)
		}
		if i := b.Info(); i.Template != decodertest.Template || i.EOS == "" || i.Context != 512 {
			t.Errorf("%s: %+v", arch, i)
		}
	}
}

func TestOpen(t *testing.T) {
	s := decodertest.Tiny("qwen2")
	path := file(t, &s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(from, to string) []byte { return []byte(strings.ReplaceAll(string(whole), from, to)) }
	for name, c := range map[string]struct {
		b      []byte
		reason decoder.Reason
	}{
		"half":                   {whole[:len(whole)/2], decoder.Invalid},
		"another architecture":   {change("\x05\x00\x00\x00\x00\x00\x00\x00qwen2", "\x05\x00\x00\x00\x00\x00\x00\x00gemma"), decoder.Unsupported},
		"another way to split":   {change("pre\x08\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00qwen2", "pre\x08\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00other"), decoder.Unsupported},
		"a tensor that is gone":  {change("blk.1.ffn_up.weight", "blk.1.ffn_no.weight"), decoder.Missing},
		"heads that are missing": {change("attention.head_count\x04\x00\x00\x00\x04", "attention.head_count\x04\x00\x00\x00\x00"), decoder.Invalid},
	} {
		name2 := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(name2, c.b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := decoder.Open(name2, decoder.Options{})
		var e *decoder.OpenError
		if !errors.As(err, &e) || e.Reason != c.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := decoder.Open(filepath.Dir(path), decoder.Options{Threads: 1}); err != nil {
		t.Errorf("the folder of a file: %v", err)
	} else {
		m.Close()
	}
	if _, err := decoder.Open(filepath.Join(t.TempDir(), "no"), decoder.Options{}); err == nil {
		t.Error("nothing opens")
	}
}

func TestDamaged(t *testing.T) {
	s := decodertest.Tiny("qwen2")
	s.Embeddings = blocks.F32
	b, err := os.ReadFile(file(t, &s))
	if err != nil {
		t.Fatal(err)
	}
	// The last norm's gain is the last tensor of a file without an output matrix.
	for i := len(b) - 4*s.Hidden; i < len(b); i += 4 {
		copy(b[i:], "\x00\x00\xc0\x7f")
	}
	name := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	m := open(t, name, decoder.Options{})
	if _, err := m.Generate(context.Background(), &decoder.Request{Prompt: []int32{1}, MaxTokens: 1}, nil); !errors.Is(err, decoder.ErrNumbers) {
		t.Errorf("weights that are no numbers: %v", err)
	}
}
