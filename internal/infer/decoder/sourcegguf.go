package decoder

import (
	"fmt"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/gguf"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

// ggufSource is a GGUF file.
type ggufSource struct {
	f *gguf.File
}

func openGGUF(path string) (source, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	return &ggufSource{f: f}, nil
}

func (s *ggufSource) name(r role, layer int) string {
	switch r {
	case embeddings:
		return "token_embd"
	case outputNorm:
		return "output_norm"
	case output:
		return "output"
	case attentionNorm, query, key, value, attentionOutput, queryNorm, keyNorm, feedNorm, gate, up, down:
	}
	return fmt.Sprintf("blk.%d.%s", layer, map[role]string{
		attentionNorm: "attn_norm", query: "attn_q", key: "attn_k", value: "attn_v", attentionOutput: "attn_output",
		queryNorm: "attn_q_norm", keyNorm: "attn_k_norm", feedNorm: "ffn_norm", gate: "ffn_gate", up: "ffn_up", down: "ffn_down",
	}[r])
}

func (s *ggufSource) matrix(r role, layer, in, out int) (raw, error) {
	t, err := s.f.Tensor(s.name(r, layer) + ".weight")
	if err != nil {
		return raw{}, err
	}
	if err := t.Want(in, out); err != nil {
		return raw{}, err
	}
	return raw{t.Type, t.Data}, nil
}

func (s *ggufSource) vector(r role, layer, n int, bias bool) ([]float32, error) {
	return s.floats(s.name(r, layer)+suffix(bias), n)
}

func (s *ggufSource) floats(name string, n int) ([]float32, error) {
	t, err := s.f.Tensor(name)
	if err != nil {
		return nil, err
	}
	if err := t.Want(n); err != nil {
		return nil, err
	}
	v := make([]float32, n)
	t.Type.Floats(v, t.Data)
	return v, nil
}

func (s *ggufSource) has(r role, layer int, bias bool) bool {
	_, err := s.f.Tensor(s.name(r, layer) + suffix(bias))
	return err == nil
}

func (s *ggufSource) bytes() int64 { return s.f.Bytes() }
func (s *ggufSource) close() error { return s.f.Close() }

// reader reads metadata, and remembers the first error.
type reader struct {
	f   *gguf.File
	err error
}

func (r *reader) uint(key string, fallback int) int {
	v, err := r.f.Uint(key, fallback)
	r.note(err)
	return v
}

func (r *reader) float(key string, fallback float64) float64 {
	v, err := r.f.Float(key, fallback)
	r.note(err)
	return v
}

func (r *reader) text(key string) string {
	v, err := r.f.String(key, "")
	r.note(err)
	return v
}

func (r *reader) bool(key string, fallback bool) bool {
	v, err := r.f.Bool(key, fallback)
	r.note(err)
	return v
}

func (r *reader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (s *ggufSource) config() (*config, error) {
	r := &reader{f: s.f}
	arch := r.text("general.architecture")
	switch arch {
	case "llama", "mistral", "qwen2", "qwen3":
	default:
		return nil, unsupported("the architecture %.50q; llama, mistral, qwen2 and qwen3 can be run", arch)
	}
	of := func(key string) string { return arch + "." + key }
	if r.uint(of("expert_count"), 0) > 0 {
		return nil, unsupported("a mixture of experts; dense models can be run")
	}
	t, err := s.f.Tensor("token_embd.weight")
	if err != nil {
		return nil, err
	}
	c := &config{
		architecture: arch, layers: r.uint(of("block_count"), 0), hidden: r.uint(of("embedding_length"), 0),
		heads: r.uint(of("attention.head_count"), 0), intermediate: r.uint(of("feed_forward_length"), 0),
		vocabulary: t.Shape[len(t.Shape)-1], context: r.uint(of("context_length"), 0),
		window:      r.uint(of("attention.sliding_window"), 0),
		epsilon:     float32(r.float(of("attention.layer_norm_rms_epsilon"), 1e-5)),
		interleaved: arch == "llama" || arch == "mistral", ropeBase: r.float(of("rope.freq_base"), 10000),
	}
	c.kvHeads = r.uint(of("attention.head_count_kv"), c.heads)
	c.head = r.uint(of("attention.key_length"), c.hidden/max(1, c.heads))
	if v := r.uint(of("attention.value_length"), c.head); v != c.head {
		return nil, unsupported("keys of %d channels and values of %d", c.head, v)
	}
	if n := r.uint(of("rope.dimension_count"), c.head); n != c.head {
		return nil, unsupported("positions in %d of a head's %d channels", n, c.head)
	}
	if err := s.scaling(r, c, of); err != nil {
		return nil, err
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, c.check()
}

func (s *ggufSource) scaling(r *reader, c *config, of func(string) string) error {
	switch kind := r.text(of("rope.scaling.type")); kind {
	case "", "none":
	case "linear":
		c.ropeScale.linear = r.float(of("rope.scaling.factor"), 1)
	default:
		return unsupported("positions stretched by the method %.20q; linear and llama3 can be run", kind)
	}
	if _, err := s.f.Tensor("rope_freqs.weight"); err == nil {
		c.ropeScale.factors, err = s.floats("rope_freqs.weight", c.head/2)
		return err
	}
	return nil
}

func (s *ggufSource) words() (*words, error) {
	r := &reader{f: s.f}
	v := &tokenizer.Vocabulary{
		Model: r.text("tokenizer.ggml.model"), Pre: r.text("tokenizer.ggml.pre"),
		SpacePrefix: r.bool("tokenizer.ggml.add_space_prefix", true),
	}
	var err error
	v.Tokens, err = s.f.Strings("tokenizer.ggml.tokens")
	r.note(err)
	v.Merges, err = s.f.Strings("tokenizer.ggml.merges")
	r.note(err)
	v.Types, err = s.f.Ints("tokenizer.ggml.token_type")
	r.note(err)
	v.Scores, err = s.f.Floats("tokenizer.ggml.scores")
	r.note(err)
	w := &words{
		template: r.text("tokenizer.chat_template"), name: r.text("general.name"),
		bos: int32(r.uint("tokenizer.ggml.bos_token_id", 1<<30)), eos: int32(r.uint("tokenizer.ggml.eos_token_id", 1<<30)), //nolint:gosec // at most 2^31-1
	}
	ends := []int32{w.eos}
	for _, k := range []string{"eot", "eom"} {
		ends = append(ends, int32(r.uint("tokenizer.ggml."+k+"_token_id", 1<<30))) //nolint:gosec // at most 2^31-1
	}
	if r.err != nil {
		return nil, r.err
	}
	if w.tokens, err = tokenizer.FromVocabulary(v); err != nil {
		return nil, err
	}
	return w, w.finish(ends)
}

// turnEnds are the tokens by which models of the known families end their turn,
// whatever their files call the end of a text.
func turnEnds() []string {
	return []string{"<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>"}
}

// finish sets the tokens that end a text, and checks all.
func (w *words) finish(ends []int32) error {
	n := w.tokens.Vocabulary()
	if int(w.bos) >= n {
		w.bos = -1
	}
	if int(w.eos) >= n {
		w.eos = -1
	}
	for _, s := range turnEnds() {
		if id, ok := w.tokens.TokenID(s); ok {
			ends = append(ends, id)
		}
	}
	for _, id := range ends {
		if id >= 0 && int(id) < n && !slices.Contains(w.ends, id) {
			w.ends = append(w.ends, id)
		}
	}
	if len(w.ends) == 0 {
		return invalid("it names no token that ends a text")
	}
	return nil
}
