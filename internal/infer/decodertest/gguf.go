package decodertest

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

// metadata builds a GGUF header.
type metadata struct {
	b    []byte
	keys int
}

func (m *metadata) text(s string) {
	m.b = binary.LittleEndian.AppendUint64(m.b, uint64(len(s)))
	m.b = append(m.b, s...)
}

func (m *metadata) u32(v uint32) { m.b = binary.LittleEndian.AppendUint32(m.b, v) }
func (m *metadata) u64(v uint64) { m.b = binary.LittleEndian.AppendUint64(m.b, v) }

func (m *metadata) key(name string, kind uint32) {
	m.keys++
	m.text(name)
	m.u32(kind)
}

func (m *metadata) uint(name string, v int) {
	m.key(name, 4)
	m.u32(uint32(v)) //nolint:gosec // small
}

func (m *metadata) float(name string, v float64) {
	m.key(name, 6)
	m.u32(math.Float32bits(float32(v)))
}

func (m *metadata) string(name, v string) {
	m.key(name, 8)
	m.text(v)
}

func (m *metadata) strings(name string, v []string) {
	m.key(name, 9)
	m.u32(8)
	m.u64(uint64(len(v)))
	for _, s := range v {
		m.text(s)
	}
}

// Template is the chat template of the models' files.
const Template = "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"

func (s *Shape) metadata() *metadata {
	m := &metadata{}
	arch := s.Architecture
	if arch == "mistral" {
		arch = "llama" // as such files say
	}
	m.string("general.architecture", arch)
	m.string("general.name", "random")
	for key, v := range map[string]int{
		"block_count": s.Layers, "embedding_length": s.Hidden, "feed_forward_length": s.Intermediate, "attention.head_count": s.Heads,
		"attention.head_count_kv": s.KVHeads, "attention.key_length": s.Head, "attention.value_length": s.Head,
		"rope.dimension_count": s.Head, "context_length": s.Context, "vocab_size": s.Vocabulary,
	} {
		m.uint(arch+"."+key, v)
	}
	if s.Window > 0 {
		m.uint(arch+".attention.sliding_window", s.Window)
	}
	m.float(arch+".attention.layer_norm_rms_epsilon", 1e-5)
	m.float(arch+".rope.freq_base", s.Base)
	v := s.vocabulary()
	model := "gpt2"
	if s.SentencePiece {
		model = "llama"
		m.key("tokenizer.ggml.scores", 9)
		m.u32(6)
		m.u64(uint64(len(v.scores)))
		for _, x := range v.scores {
			m.u32(math.Float32bits(x))
		}
	} else {
		pre := "qwen2"
		if s.Architecture == "llama" {
			pre = "llama-bpe"
		}
		m.string("tokenizer.ggml.pre", pre)
		m.strings("tokenizer.ggml.merges", v.merges)
	}
	m.string("tokenizer.ggml.model", model)
	m.strings("tokenizer.ggml.tokens", v.tokens)
	m.key("tokenizer.ggml.token_type", 9)
	m.u32(5)
	m.u64(uint64(len(v.types)))
	for _, t := range v.types {
		m.u32(uint32(t)) //nolint:gosec // small
	}
	m.uint("tokenizer.ggml.bos_token_id", v.bos)
	m.uint("tokenizer.ggml.eos_token_id", v.eos)
	m.string("tokenizer.chat_template", Template)
	return m
}

// factors are those of Llama 3.1 for the shape's positions.
func (s *Shape) factors() []float32 {
	out := make([]float32, s.Head/2)
	for i := range out {
		turns := original * math.Pow(s.Base, -2*float64(i)/float64(s.Head)) / (2 * math.Pi)
		switch {
		case turns < low:
			out[i] = factor
		case turns > high:
			out[i] = 1
		default:
			smooth := (turns - low) / (high - low)
			out[i] = float32(1 / ((1-smooth)/factor + smooth))
		}
	}
	return out
}

// The parameters by which [Shape.Factors] stretches positions.
const factor, low, high, original = 8.0, 1.0, 4.0, 64.0

// WriteGGUF writes the model as a GGUF file.
func (s *Shape) WriteGGUF(w io.Writer) error {
	m, ts := s.metadata(), s.tensors()
	if s.Factors {
		ts = append(ts, tensor{gguf: "rope_freqs.weight", in: s.Head / 2, t: blocks.F32})
	}
	head := &metadata{b: []byte("GGUF")}
	head.u32(3)
	head.u64(uint64(len(ts)))
	head.u64(uint64(m.keys)) //nolint:gosec // not negative
	head.b = append(head.b, m.b...)
	const align = 32
	at := 0
	for i := range ts {
		t := &ts[i]
		head.text(t.gguf)
		if t.out == 0 {
			head.u32(1)
		} else {
			head.u32(2)
		}
		head.u64(uint64(t.in)) //nolint:gosec // not negative
		if t.out > 0 {
			head.u64(uint64(t.out))
		}
		head.u32(uint32(t.t))
		head.u64(uint64(at))
		at += (t.t.RowBytes(t.in)*max(1, t.out) + align - 1) / align * align
	}
	out := bufio.NewWriterSize(w, 1<<20)
	pad := func(n int) { _, _ = out.Write(make([]byte, (align-n%align)%align)) } // its error is Flush's
	_, _ = out.Write(head.b)
	pad(len(head.b))
	for i := range ts {
		t := &ts[i]
		n := 0
		for _, row := range s.rows(t) {
			n += len(row)
			_, _ = out.Write(row)
		}
		pad(n)
	}
	return out.Flush()
}

// rows calls back with the rows of a tensor in the order of a GGUF file.
func (s *Shape) rows(t *tensor) func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		if t.gguf == "rope_freqs.weight" {
			var row []byte
			for _, v := range s.factors() {
				row = t.float(row, v)
			}
			yield(0, row)
			return
		}
		r := s.random(t.hub)
		var row []byte
		for i := range max(1, t.out) {
			row = t.row(row[:0], r, t.in)
			if !yield(i, row) {
				return
			}
		}
	}
}
