package decoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/safetensors"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

// dirSource is a folder as Hugging Face lays it out.
type dirSource struct {
	dir string
	f   *safetensors.Model
}

func openDir(dir string) (source, error) {
	f, err := safetensors.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return &dirSource{dir: dir, f: f}, nil
}

func (s *dirSource) name(r role, layer int) string {
	switch r {
	case embeddings:
		return "model.embed_tokens"
	case outputNorm:
		return "model.norm"
	case output:
		return "lm_head"
	case attentionNorm, query, key, value, attentionOutput, queryNorm, keyNorm, feedNorm, gate, up, down:
	}
	return fmt.Sprintf("model.layers.%d.%s", layer, map[role]string{
		attentionNorm: "input_layernorm", query: "self_attn.q_proj", key: "self_attn.k_proj", value: "self_attn.v_proj",
		attentionOutput: "self_attn.o_proj", queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm",
		feedNorm: "post_attention_layernorm", gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj",
	}[r])
}

func (s *dirSource) matrix(r role, layer, in, out int) (raw, error) {
	t, err := s.f.Tensor(s.name(r, layer) + ".weight")
	if err != nil {
		return raw{}, err
	}
	if err := t.Want(out, in); err != nil {
		return raw{}, err
	}
	return raw{map[safetensors.DType]blocks.Type{safetensors.F32: blocks.F32, safetensors.F16: blocks.F16, safetensors.BF16: blocks.BF16}[t.DType], t.Data()}, nil
}

func (s *dirSource) vector(r role, layer, n int, bias bool) ([]float32, error) {
	t, err := s.f.Tensor(s.name(r, layer) + suffix(bias))
	if err != nil {
		return nil, err
	}
	if err := t.Want(n); err != nil {
		return nil, err
	}
	v := make([]float32, n)
	t.Floats(v, 0)
	return v, nil
}

func (s *dirSource) has(r role, layer int, bias bool) bool {
	return s.f.Has(s.name(r, layer) + suffix(bias))
}

func (s *dirSource) bytes() int64 { return s.f.Bytes() }
func (s *dirSource) close() error { return s.f.Close() }

// scaling is rope_scaling, or, of newer files, rope_parameters.
type scaling struct {
	Type     string   `json:"rope_type"`
	OldType  string   `json:"type"`
	Base     *float64 `json:"rope_theta"`
	Factor   float64  `json:"factor"`
	Low      float64  `json:"low_freq_factor"`
	High     float64  `json:"high_freq_factor"`
	Original float64  `json:"original_max_position_embeddings"`
}

// document is config.json.
type document struct {
	ModelType    string   `json:"model_type"`
	Layers       int      `json:"num_hidden_layers"`
	Hidden       int      `json:"hidden_size"`
	Heads        int      `json:"num_attention_heads"`
	KVHeads      int      `json:"num_key_value_heads"`
	Head         int      `json:"head_dim"`
	Intermediate int      `json:"intermediate_size"`
	Vocabulary   int      `json:"vocab_size"`
	Context      int      `json:"max_position_embeddings"`
	Window       *int     `json:"sliding_window"`
	UseWindow    *bool    `json:"use_sliding_window"`
	Epsilon      float64  `json:"rms_norm_eps"`
	Base         float64  `json:"rope_theta"`
	Scaling      *scaling `json:"rope_scaling"`
	Parameters   *scaling `json:"rope_parameters"`
	Act          string   `json:"hidden_act"`
	EOS          ids      `json:"eos_token_id"`
	BOS          ids      `json:"bos_token_id"`
}

// ids is a number or a list of them.
type ids []int32

// UnmarshalJSON reads either.
func (v *ids) UnmarshalJSON(b []byte) error {
	var one *int32
	if json.Unmarshal(b, &one) == nil {
		if one != nil {
			*v = ids{*one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]int32)(v))
}

func (s *dirSource) config() (*config, error) {
	d := document{Epsilon: 1e-6, Base: 10000, Act: "silu"}
	if err := s.read("config.json", &d); err != nil {
		return nil, err
	}
	switch d.ModelType {
	case "llama", "mistral", "qwen2", "qwen3":
	default:
		return nil, unsupported("model_type %.50q; llama, mistral, qwen2 and qwen3 can be run", d.ModelType)
	}
	if d.Act != "silu" {
		return nil, unsupported("hidden_act %.50q; silu can be run", d.Act)
	}
	c := &config{
		architecture: d.ModelType, layers: d.Layers, hidden: d.Hidden, heads: d.Heads, kvHeads: d.KVHeads, head: d.Head,
		intermediate: d.Intermediate, vocabulary: d.Vocabulary, context: d.Context, epsilon: float32(d.Epsilon), ropeBase: d.Base,
	}
	if c.kvHeads == 0 {
		c.kvHeads = c.heads
	}
	if c.head == 0 && c.heads > 0 {
		c.head = c.hidden / c.heads
	}
	if d.Window != nil && (d.UseWindow == nil && d.ModelType == "mistral" || d.UseWindow != nil && *d.UseWindow) {
		c.window = *d.Window
	}
	for _, x := range []*scaling{d.Scaling, d.Parameters} {
		if err := c.stretch(x); err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

func (c *config) stretch(x *scaling) error {
	if x == nil {
		return nil
	}
	if x.Base != nil {
		c.ropeBase = *x.Base
	}
	kind := x.Type
	if kind == "" {
		kind = x.OldType
	}
	switch kind {
	case "", "default":
	case "linear":
		c.ropeScale.linear = x.Factor
	case "llama3":
		if x.Factor < 1 || x.Low <= 0 || x.High <= x.Low || x.Original <= 0 {
			return invalid("rope_scaling has the factors %g, %g and %g for %g tokens", x.Factor, x.Low, x.High, x.Original)
		}
		c.ropeScale = ropeScale{factor: x.Factor, low: x.Low, high: x.High, original: x.Original}
	default:
		return unsupported("rope_scaling by the method %.20q; linear and llama3 can be run", kind)
	}
	return nil
}

// maxDocument is many times what a configuration has.
const maxDocument = 4 << 20

// read decodes a JSON file of the folder.
func (s *dirSource) read(name string, v any) error {
	f, err := os.Open(filepath.Join(s.dir, name)) //nolint:gosec // below the folder that the caller names
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(b) > maxDocument {
		return invalid("%s has more than %d bytes", name, maxDocument)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return invalid("%s: %w", name, err)
	}
	return nil
}

// optional is read, of a file that need not be there.
func (s *dirSource) optional(name string, v any) error {
	err := s.read(name, v)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *dirSource) words() (*words, error) {
	t, err := tokenizer.Open(filepath.Join(s.dir, "tokenizer.json"))
	if err != nil {
		return nil, err
	}
	var c, g document
	if err := errors.Join(s.read("config.json", &c), s.optional("generation_config.json", &g)); err != nil {
		return nil, err
	}
	w := &words{tokens: t, bos: -1, eos: -1}
	if len(c.BOS) > 0 {
		w.bos = c.BOS[0]
	}
	if len(c.EOS) > 0 {
		w.eos = c.EOS[0]
	}
	if err := s.template(w); err != nil {
		return nil, err
	}
	return w, w.finish(append(c.EOS, g.EOS...))
}

// template reads what tokenizer_config.json, or a file of its own, says of chats.
func (s *dirSource) template(w *words) error {
	var d struct {
		Template json.RawMessage `json:"chat_template"`
		EOS      json.RawMessage `json:"eos_token"`
		BOS      json.RawMessage `json:"bos_token"`
	}
	if err := s.optional("tokenizer_config.json", &d); err != nil {
		return err
	}
	w.template = chatTemplate(d.Template)
	for _, x := range []struct {
		raw json.RawMessage
		id  *int32
	}{{d.BOS, &w.bos}, {d.EOS, &w.eos}} {
		if id, ok := w.tokens.TokenID(content(x.raw)); ok {
			*x.id = id
		}
	}
	b, err := os.ReadFile(filepath.Join(s.dir, "chat_template.jinja"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(b) > maxDocument:
		return invalid("chat_template.jinja has %d bytes", len(b))
	}
	w.template = string(b)
	return nil
}

// content is a token that is written as a string, or as an object.
func content(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var o struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return o.Content
}

// chatTemplate is a string, or a list of named ones, of which "default" counts.
func chatTemplate(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if json.Unmarshal(raw, &list) != nil {
		return ""
	}
	for _, x := range list {
		if x.Name == "default" {
			return x.Template
		}
	}
	return ""
}
