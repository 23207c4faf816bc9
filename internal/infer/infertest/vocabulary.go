package infertest

import "strings"

// Vocabulary returns n tokens of the kind that WordPiece has: special ones,
// single characters, syllables, words, and what continues them.
func Vocabulary(n int) []string {
	v := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	seen := make(map[string]bool)
	add := func(s string) {
		if !seen[s] && len(v) < n {
			seen[s] = true
			v = append(v, s)
		}
	}
	for c := '!'; c <= '~'; c++ {
		if c < 'A' || c > 'Z' {
			add(string(c))
			add("##" + string(c))
		}
	}
	var syllables []string
	for c := range strings.SplitSeq("b c d f g h k l m n p r s t v w st tr pl sh", " ") {
		for o := range strings.SplitSeq("a e i o u ea ou", " ") {
			syllables = append(syllables, c+o)
		}
	}
	for _, s := range syllables {
		add(s)
		add("##" + s)
	}
	for _, tail := range []string{"", "n", "r", "st", "ng"} {
		for _, a := range syllables {
			for _, b := range syllables {
				add(a + b + tail)
			}
		}
	}
	for _, a := range syllables {
		for _, b := range syllables {
			add("##" + a + b)
		}
	}
	return v
}

// WordPiece is a tokenizer.json as BERT has it.
func WordPiece(vocab []string) map[string]any {
	ids := make(map[string]int, len(vocab))
	for i, s := range vocab {
		ids[s] = i
	}
	var added []any
	for _, s := range vocab[:5] {
		added = append(added, map[string]any{
			"id": ids[s], "content": s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true,
		})
	}
	text := func(id string, t int) any { return map[string]any{"Sequence": map[string]any{"id": id, "type_id": t}} }
	special := func(id string, t int) any {
		return map[string]any{"SpecialToken": map[string]any{"id": id, "type_id": t}}
	}
	token := func(s string) any { return map[string]any{"id": s, "ids": []int{ids[s]}, "tokens": []string{s}} }
	return map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": map[string]any{
			"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true,
		},
		"pre_tokenizer": map[string]any{"type": "BertPreTokenizer"},
		"post_processor": map[string]any{
			"type":           "TemplateProcessing",
			"single":         []any{special("[CLS]", 0), text("A", 0), special("[SEP]", 0)},
			"pair":           []any{special("[CLS]", 0), text("A", 0), special("[SEP]", 0), text("B", 1), special("[SEP]", 1)},
			"special_tokens": map[string]any{"[CLS]": token("[CLS]"), "[SEP]": token("[SEP]")},
		},
		"decoder": map[string]any{"type": "WordPiece", "prefix": "##", "cleanup": true},
		"model": map[string]any{
			"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": ids,
		},
	}
}
