package decodertest

import (
	"encoding/binary"
	"encoding/json"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
)

// Hub returns the model as Hugging Face lays it out: files by their names. Its
// matrices have to be of floats.
func (s *Shape) Hub() (map[string][]byte, error) {
	files := map[string][]byte{"model.safetensors": s.safetensors()}
	for name, v := range map[string]any{
		"config.json": s.config(), "tokenizer.json": s.tokenizer(), "tokenizer_config.json": map[string]any{"chat_template": Template},
	} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		files[name] = b
	}
	return files, nil
}

func (s *Shape) config() map[string]any {
	v := s.vocabulary()
	c := map[string]any{
		"model_type": s.Architecture, "num_hidden_layers": s.Layers, "hidden_size": s.Hidden, "num_attention_heads": s.Heads,
		"num_key_value_heads": s.KVHeads, "head_dim": s.Head, "intermediate_size": s.Intermediate, "vocab_size": s.Vocabulary,
		"max_position_embeddings": s.Context, "rms_norm_eps": 1e-5, "rope_theta": s.Base, "hidden_act": "silu",
		"tie_word_embeddings": s.Tied, "eos_token_id": []int{v.eos}, "bos_token_id": v.bos,
	}
	if s.Window > 0 {
		c["sliding_window"] = s.Window
	}
	if s.Factors {
		c["rope_scaling"] = map[string]any{
			"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": int(original),
		}
	}
	return c
}

func (s *Shape) tokenizer() map[string]any {
	v := s.vocabulary()
	vocab := make(map[string]int)
	for i, t := range v.tokens {
		vocab[t] = i
	}
	var added []map[string]any
	for _, id := range v.special {
		added = append(added, map[string]any{"id": id, "content": v.tokens[id], "special": true})
	}
	model := map[string]any{"type": "BPE", "vocab": vocab, "merges": v.merges, "ignore_merges": s.Architecture == "llama"}
	digits := `\p{N}`
	if s.Architecture == "llama" {
		digits += "{1,3}"
	}
	split := `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` + digits + `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	t := map[string]any{"added_tokens": added, "model": model, "pre_tokenizer": map[string]any{
		"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": split}, "behavior": "Isolated", "invert": false},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
		},
	}}
	if s.SentencePiece {
		model["byte_fallback"], model["fuse_unk"], model["unk_token"] = true, true, "<unk>"
		model["merges"] = v.pairs(vocab)
		delete(t, "pre_tokenizer")
		t["normalizer"] = map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Prepend", "prepend": "▁"},
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"},
		}}
	}
	return t
}

// pairs are the merges that the scores of a SentencePiece vocabulary stand for.
func (v *vocabulary) pairs(vocab map[string]int) []string {
	out := []string{}
	for id, t := range v.tokens { // scores fall with the number
		if v.types[id] != 1 {
			continue
		}
		for at := range t {
			if at == 0 {
				continue
			}
			l, ok1 := vocab[t[:at]]
			r, ok2 := vocab[t[at:]]
			if ok1 && ok2 && v.types[l] == 1 && v.types[r] == 1 {
				out = append(out, t[:at]+" "+t[at:])
			}
		}
	}
	return out
}

func (s *Shape) safetensors() []byte {
	header, body := make(map[string]any), []byte(nil)
	ts := s.tensors()
	for i := range ts {
		t := &ts[i]
		var rows [][]byte
		for _, row := range s.rows(t) {
			rows = append(rows, append([]byte(nil), row...))
		}
		if t.position && (s.Architecture == "llama" || s.Architecture == "mistral") {
			rows = unturned(rows, s.Head)
		}
		begin := len(body)
		for _, row := range rows {
			body = append(body, row...)
		}
		shape := []int{t.in}
		if t.out > 0 {
			shape = []int{t.out, t.in}
		}
		header[t.hub] = map[string]any{
			"dtype": map[blocks.Type]string{blocks.F32: "F32", blocks.F16: "F16", blocks.BF16: "BF16"}[t.t], "shape": shape,
			"data_offsets": []int{begin, len(body)},
		}
	}
	head, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...), body...)
}

// unturned puts the rows of each head in the order of the hub: GGUF files of
// Llama have channels that turn together beside each other, the hub's have them
// half a head apart.
func unturned(rows [][]byte, head int) [][]byte {
	out := make([][]byte, len(rows))
	for i, row := range rows {
		h, j := i/head*head, i%head
		out[h+j%2*head/2+j/2] = row
	}
	return out
}
