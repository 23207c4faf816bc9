package decodertest

import (
	"fmt"
	"strings"
)

// vocabulary is a tokenizer's tables.
type vocabulary struct {
	tokens   []string
	types    []int32
	scores   []float32
	merges   []string
	bos, eos int
	// special are the numbers of special tokens.
	special []int
}

// letters is how byte-level vocabularies write bytes.
func letters() [256]string {
	var t [256]string
	next := rune(0x100)
	for i := range 256 {
		r := rune(i)
		if printed := r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae; !printed {
			r = next
			next++
		}
		t[i] = string(r)
	}
	return t
}

// words are what the larger tokens are made of.
const words = "the of and to in is that it was for on are with as his they be at one have this from or had by hot word but what some we can out other were all there when up use your how said an each she"

func (s *Shape) vocabulary() *vocabulary {
	if s.SentencePiece {
		return s.sentencePiece()
	}
	v := &vocabulary{}
	seen := make(map[string]bool)
	put := func(t string) {
		seen[t] = true
		v.tokens = append(v.tokens, t)
		v.types = append(v.types, 1)
	}
	for _, t := range letters() {
		put(t)
	}
	specials := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
	if s.Architecture == "llama" {
		specials = []string{"<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"}
	}
	room := s.Vocabulary - len(specials)
	space := letters()[' ']
	for w := range strings.FieldsSeq(words) {
		for _, w := range []string{w, space + w} {
			left := ""
			for _, r := range w {
				right := string(r)
				if left != "" && !seen[left+right] && len(v.tokens) < room {
					v.merges = append(v.merges, left+" "+right)
					put(left + right)
				}
				left += right
			}
		}
	}
	for i := 0; len(v.tokens) < room; i++ { // never made, but what a model may write
		put(fmt.Sprintf("%sw%d", space, i))
	}
	for _, t := range specials {
		v.special = append(v.special, len(v.tokens))
		put(t)
		v.types[len(v.types)-1] = 3
	}
	v.bos, v.eos = v.special[0], v.special[len(v.special)-1]
	if s.Architecture == "llama" {
		v.eos = v.special[2]
	}
	return v
}

func (s *Shape) sentencePiece() *vocabulary {
	v := &vocabulary{bos: 1, eos: 2, special: []int{0, 1, 2}}
	seen := make(map[string]bool)
	put := func(t string, kind int32) {
		if seen[t] || len(v.tokens) >= s.Vocabulary {
			return
		}
		seen[t] = true
		v.tokens, v.types = append(v.tokens, t), append(v.types, kind)
		v.scores = append(v.scores, -float32(len(v.tokens)))
	}
	put("<unk>", 2)
	put("<s>", 3)
	put("</s>", 3)
	for i := range 256 {
		put(fmt.Sprintf("<0x%02X>", i), 6)
	}
	for w := range strings.FieldsSeq(words) {
		for _, w := range []string{"▁" + w, w} {
			rs := []rune(w)
			for n := 2; n <= len(rs); n++ {
				put(string(rs[:n]), 1)
			}
		}
	}
	put("▁", 1)
	for c := 'a'; c <= 'z'; c++ {
		put(string(c), 1)
	}
	for i := 0; len(v.tokens) < s.Vocabulary; i++ {
		put(fmt.Sprintf("▁w%d", i), 1)
	}
	return v
}
