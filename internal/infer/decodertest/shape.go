package decodertest

import (
	"math"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

// Shape is the size and kind of a model.
type Shape struct {
	Architecture string // "llama", "mistral", "qwen2" or "qwen3"
	Layers       int
	Hidden       int
	Heads        int
	KVHeads      int
	Head         int
	Intermediate int
	Vocabulary   int
	Context      int
	Window       int
	Base         float64
	// Tied leaves the output matrix out: it is that of the embeddings.
	Tied bool
	// Factors stretches positions as Llama 3.1 does.
	Factors bool
	// SentencePiece makes the tokenizer one of Llama 2's kind, else of Qwen's or
	// Llama 3's.
	SentencePiece bool
	// Weights is the type of the matrices, Embeddings that of the embeddings, and
	// Other, if not zero, that of some: as mixed files have it.
	Weights, Embeddings, Other blocks.Type
	Seed                       uint64
}

// Tiny is a shape for tests.
func Tiny(architecture string) Shape {
	s := Shape{
		Architecture: architecture, Layers: 2, Hidden: 256, Heads: 4, KVHeads: 2, Head: 64, Intermediate: 256, Vocabulary: 512,
		Context: 512, Base: 10000, Weights: blocks.Q8, Embeddings: blocks.Q8, Seed: 1,
	}
	switch architecture {
	case "llama":
		s.SentencePiece = true
	case "mistral":
		s.SentencePiece, s.Window = true, 40
	case "qwen2":
		s.Tied, s.Base = true, 1e6
	case "qwen3":
		s.Head, s.Base = 96, 1e6
	}
	return s
}

// Qwen05 and Qwen15 are the shapes of Qwen 2.5's models of 0.5 and 1.5 billion
// weights.
func Qwen05(t blocks.Type) Shape {
	return Shape{
		Architecture: "qwen2", Layers: 24, Hidden: 896, Heads: 14, KVHeads: 2, Head: 64, Intermediate: 4864, Vocabulary: 151936,
		Context: 32768, Base: 1e6, Tied: true, Weights: t, Embeddings: blocks.Q8, Seed: 1,
	}
}

// Qwen15 is the larger one.
func Qwen15(t blocks.Type) Shape {
	return Shape{
		Architecture: "qwen2", Layers: 28, Hidden: 1536, Heads: 12, KVHeads: 2, Head: 128, Intermediate: 8960, Vocabulary: 151936,
		Context: 32768, Base: 1e6, Tied: true, Weights: t, Embeddings: blocks.Q6K, Seed: 1,
	}
}

// tensor is one of the model's.
type tensor struct {
	gguf, hub string
	in, out   int // out 0: a vector
	t         blocks.Type
	// spread is the standard deviation of its numbers; mean their middle.
	spread, mean float64
	// position turns what has a position: its rows are in another order in GGUF
	// files of Llama.
	position bool
}

// tensors lists what the model has, in the order of a file.
func (s *Shape) tensors() []tensor {
	h, q, kv := s.Hidden, s.Heads*s.Head, s.KVHeads*s.Head
	width := func(n int) float64 { return 1 / math.Sqrt(float64(n)) }
	other := s.Weights
	if s.Other != 0 {
		other = s.Other
	}
	ts := []tensor{{gguf: "token_embd.weight", hub: "model.embed_tokens.weight", in: h, out: s.Vocabulary, t: s.Embeddings, spread: 0.5}}
	for i := range s.Layers {
		of := func(gguf, hub string, in, out int, t blocks.Type, spread, mean float64) {
			ts = append(ts, tensor{
				gguf: number("blk.", i, ".") + gguf, hub: number("model.layers.", i, ".") + hub, in: in, out: out, t: t, spread: spread, mean: mean,
			})
		}
		of("attn_norm.weight", "input_layernorm.weight", h, 0, blocks.F32, 0.1, 1)
		of("attn_q.weight", "self_attn.q_proj.weight", h, q, s.Weights, width(h), 0)
		ts[len(ts)-1].position = true
		of("attn_k.weight", "self_attn.k_proj.weight", h, kv, s.Weights, width(h), 0)
		ts[len(ts)-1].position = true
		of("attn_v.weight", "self_attn.v_proj.weight", h, kv, other, width(h), 0)
		of("attn_output.weight", "self_attn.o_proj.weight", q, h, s.Weights, width(q), 0)
		if s.Architecture == "qwen2" {
			of("attn_q.bias", "self_attn.q_proj.bias", q, 0, blocks.F32, 0.5, 0)
			of("attn_k.bias", "self_attn.k_proj.bias", kv, 0, blocks.F32, 0.5, 0)
			of("attn_v.bias", "self_attn.v_proj.bias", kv, 0, blocks.F32, 0.5, 0)
		}
		if s.Architecture == "qwen3" {
			of("attn_q_norm.weight", "self_attn.q_norm.weight", s.Head, 0, blocks.F32, 0.1, 1)
			of("attn_k_norm.weight", "self_attn.k_norm.weight", s.Head, 0, blocks.F32, 0.1, 1)
		}
		of("ffn_norm.weight", "post_attention_layernorm.weight", h, 0, blocks.F32, 0.1, 1)
		of("ffn_gate.weight", "mlp.gate_proj.weight", h, s.Intermediate, s.Weights, width(h), 0)
		of("ffn_up.weight", "mlp.up_proj.weight", h, s.Intermediate, s.Weights, width(h), 0)
		of("ffn_down.weight", "mlp.down_proj.weight", s.Intermediate, h, other, width(s.Intermediate), 0)
	}
	ts = append(ts, tensor{gguf: "output_norm.weight", hub: "model.norm.weight", in: h, t: blocks.F32, spread: 0.1, mean: 1})
	if !s.Tied {
		ts = append(ts, tensor{gguf: "output.weight", hub: "lm_head.weight", in: h, out: s.Vocabulary, t: s.Embeddings, spread: 4 * width(h)})
	}
	return ts
}
