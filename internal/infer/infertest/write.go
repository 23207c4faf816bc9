package infertest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"github.com/selvage-dev/selvage/internal/fsx"
)

// Write puts the model into dir as Hugging Face lays models out.
func (s *Spec) Write(dir string) error {
	if err := s.writeConfig(dir); err != nil {
		return err
	}
	tok, err := json.Marshal(WordPiece(Vocabulary(s.Vocabulary)))
	if err != nil {
		return err
	}
	if err := fsx.WriteFile(filepath.Join(dir, "tokenizer.json"), tok, 0o600); err != nil {
		return err
	}
	ts := s.Tensors()
	shards := max(1, s.Shards)
	weightMap := make(map[string]string)
	for i := range shards {
		name := "model.safetensors"
		if shards > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
		}
		part := ts[len(ts)*i/shards : len(ts)*(i+1)/shards]
		for _, t := range part {
			weightMap[t.Name] = name
		}
		if err := s.writeTensors(filepath.Join(dir, name), part); err != nil {
			return err
		}
	}
	if shards == 1 {
		return nil
	}
	idx, err := json.Marshal(map[string]any{"weight_map": weightMap})
	if err != nil {
		return err
	}
	return fsx.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), idx, 0o600)
}

// Config is config.json.
func (s *Spec) Config() map[string]any {
	arch := map[string]string{"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}[s.Family]
	c := map[string]any{
		"model_type": s.Family, "vocab_size": s.Vocabulary, "max_position_embeddings": s.Positions,
		"architectures": []string{arch + "Model"},
	}
	if n := len(s.Labels); n > 0 {
		c["architectures"] = []string{arch + "ForSequenceClassification"}
		labels := make(map[string]string)
		for i, l := range s.Labels {
			labels[strconv.Itoa(i)] = l
		}
		c["id2label"] = labels
	}
	if s.Family == "distilbert" {
		c["n_layers"], c["dim"], c["n_heads"], c["hidden_dim"], c["activation"] = s.Layers, s.Hidden, s.Heads, s.Intermediate, "gelu"
		return c
	}
	c["num_hidden_layers"], c["hidden_size"], c["num_attention_heads"] = s.Layers, s.Hidden, s.Heads
	c["intermediate_size"], c["hidden_act"], c["type_vocab_size"], c["layer_norm_eps"] = s.Intermediate, "gelu", s.Types, s.epsilon()
	if s.Family == "roberta" {
		c["pad_token_id"] = 1
	}
	return c
}

func (s *Spec) epsilon() float64 {
	if s.Family == "roberta" {
		return 1e-5
	}
	return 1e-12
}

func (s *Spec) writeConfig(dir string) error {
	b, err := json.Marshal(s.Config())
	if err != nil {
		return err
	}
	return fsx.WriteFile(filepath.Join(dir, "config.json"), b, 0o600)
}

// writeTensors writes one safetensors file, a tensor at a time: the largest
// models do not fit in memory twice.
func (s *Spec) writeTensors(path string, ts []Tensor) (err error) {
	dtype, size := s.DType, 2
	if dtype == "" {
		dtype = "F32"
	}
	if dtype == "F32" {
		size = 4
	}
	header, offset := make(map[string]any), 0
	for _, t := range ts {
		n := size
		for _, d := range t.Shape {
			n *= d
		}
		header[t.Name] = map[string]any{"dtype": dtype, "shape": t.Shape, "data_offsets": []int{offset, offset + n}}
		offset += n
	}
	head, err := json.Marshal(header)
	if err != nil {
		return err
	}
	f, err := fsx.CreateTemp(filepath.Dir(path), "weights-*")
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, err = w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...))
	for i := range ts {
		if err == nil {
			_, err = w.Write(encode(ts[i].Data(), dtype))
		}
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return errors.Join(err, fsx.FS{}.Discard(f))
	}
	return fsx.Commit(f, path)
}

func encode(x []float32, dtype string) []byte {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		switch dtype {
		case "F16":
			b = binary.LittleEndian.AppendUint16(b, Half(v))
		case "BF16":
			b = binary.LittleEndian.AppendUint16(b, brain(v))
		default:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	return b
}

// brain rounds to bfloat16.
func brain(v float32) uint16 {
	u := math.Float32bits(v)
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// Half rounds to IEEE 754 binary16. It takes no infinities and no NaN.
func Half(v float32) uint16 {
	u := math.Float32bits(v)
	sign, exp := uint16(u>>16)&0x8000, int(u>>23&0xff)-112
	frac, shift := u&0x7fffff|0x800000, 13
	if exp <= 0 {
		if exp < -10 {
			return sign
		}
		shift, exp = 14-exp, 0
	}
	h := uint32(exp)<<10 + frac>>shift //nolint:gosec // not negative
	if exp > 0 {
		h -= 1 << 10
	}
	rest, half := frac&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > half || rest == half && h&1 == 1 {
		h++
	}
	return sign | uint16(h) //nolint:gosec // 15 bits
}
