package tokenizer_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/infer/infertest"
)

// alphabet is what random texts are made of: several scripts, marks that
// combine, white space of all kinds, and what tokenisers treat by itself. It
// leaves out what the JavaScript port is known to do differently from the
// original: a final sigma, ideographs beyond the first plane, U+0085 and
// U+FEFF, and the long s, which it does not take for an s.
func alphabet() []string {
	return slices.Concat(
		strings.Split("a b c d e st re the THE he's I'LL we've 'm 'd \u2019s n't 1 23 4567 ½ ² Ⅳ ٣", " "),
		strings.Split(`! ? , . ; : ' " ( ) [ ] { } < > $ + = ~ ^ | # @ % & * _ - / \ … — « » ¿ 。 、`, " "),
		[]string{" ", " ", " ", "  ", "   ", "\n", "\r\n", "\n\n ", "\t", "\u00a0", "\u3000", "\u2003"},
		strings.Split("é É e\u0301 ñ ü Å ß İ ı ﬁ Ω ж Ж й ё א ש ع ل ف ك क ् ष ि ก ำ 中 国 日 本 語 か ガ ｶ 한 국 어 각 Ａ ｂ １ ™ 🙂 👍🏽 👩\u200d👩\u200d👧 🇩🇪 \u0301 \u200b \u00ad", " "),
		[]string{"[MASK]", "<mask>", "<|end|>", "</s>", "▁", "Ġ", "##s"},
	)
}

func randomTexts(n int) []string {
	r, as := rand.New(rand.NewPCG(1, 2)), alphabet()
	texts := []string{"", " ", "a", "Hello, world! It's 12345 o'clock.", "\n\n  x  \n", "it'S  we'RE"}
	for len(texts) < n {
		var b strings.Builder
		for range 1 + r.IntN(24) {
			b.WriteString(as[r.IntN(len(as))])
		}
		texts = append(texts, b.String())
	}
	return texts
}

// added returns added tokens after a vocabulary of n.
func added(n int, names ...string) []any {
	var out []any
	for i, s := range names {
		out = append(out, map[string]any{
			"id": n + i, "content": s, "single_word": false, "lstrip": s == "<mask>", "rstrip": false, "normalized": false, "special": true,
		})
	}
	return out
}

func sequenceOf(kind, field string, parts ...any) map[string]any {
	return map[string]any{"type": kind, field: parts}
}

// train returns a vocabulary that begins with base, and merges that make more
// of it, as frequent pairs of the texts ask for.
func train(base []string, words [][]string, n int) (vocab map[string]int, merges []string) {
	vocab = make(map[string]int)
	for _, s := range base {
		if _, ok := vocab[s]; !ok {
			vocab[s] = len(vocab)
		}
	}
	for len(merges) < n {
		counts := make(map[[2]string]int)
		for _, w := range words {
			for i := range len(w) - 1 {
				counts[[2]string{w[i], w[i+1]}]++
			}
		}
		var best [2]string
		for p, c := range counts {
			if b := counts[best]; c > b || c == b && p[0]+" "+p[1] < best[0]+" "+best[1] {
				best = p
			}
		}
		if counts[best] < 2 {
			break
		}
		merges = append(merges, best[0]+" "+best[1])
		if _, ok := vocab[best[0]+best[1]]; !ok {
			vocab[best[0]+best[1]] = len(vocab)
		}
		for k, w := range words {
			var out []string
			for i := 0; i < len(w); i++ {
				if i+1 < len(w) && w[i] == best[0] && w[i+1] == best[1] {
					out = append(out, best[0]+best[1])
					i++
				} else {
					out = append(out, w[i])
				}
			}
			words[k] = out
		}
	}
	return vocab, merges
}

// letterOf is how byte-level vocabularies write a byte.
func letterOf() (t [256]string) {
	next := rune(256)
	for i := range t {
		r := rune(i)
		if printed := r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae; !printed {
			r = next
			next++
		}
		t[i] = string(r)
	}
	return t
}

// byteBPE is a tokenizer.json like those of GPT-2, Llama 3 and Qwen.
func byteBPE(normalizer any, splitters ...any) map[string]any {
	letters := letterOf()
	var words [][]string
	for _, t := range randomTexts(300) {
		for _, f := range strings.SplitAfter(t, " ") {
			var w []string
			for _, b := range []byte(f) {
				w = append(w, letters[b])
			}
			words = append(words, w)
		}
	}
	vocab, merges := train(letters[:], words, 400)
	return map[string]any{
		"added_tokens": added(len(vocab), "<|end|>", "</s>"), "normalizer": normalizer, "pre_tokenizer": sequenceOf("Sequence", "pretokenizers", splitters...),
		"post_processor": map[string]any{"type": "ByteLevel", "trim_offsets": false}, "decoder": map[string]any{"type": "ByteLevel"},
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": nil, "byte_fallback": false, "fuse_unk": false},
	}
}

// spaceBPE is a tokenizer.json like those of Llama 2 and Mistral 7B.
func spaceBPE() map[string]any {
	var words [][]string
	base := []string{"<unk>"}
	for i := range 256 {
		base = append(base, "<0x"+strings.ToUpper(string("0123456789abcdef"[i>>4])+string("0123456789abcdef"[i&15]))+">")
	}
	for i, t := range randomTexts(300) {
		w := strings.Split("▁"+strings.ReplaceAll(t, " ", "▁"), "")
		words = append(words, w)
		if i < 60 { // so that some characters are not in the vocabulary
			base = append(base, w...)
		}
	}
	known := make(map[string]bool)
	for _, s := range base {
		known[s] = true
	}
	for i, w := range words {
		words[i] = slices.DeleteFunc(w, func(s string) bool { return !known[s] })
	}
	vocab, merges := train(base, words, 300)
	return map[string]any{
		"added_tokens": added(len(vocab), "</s>"), "pre_tokenizer": nil, "post_processor": nil, "decoder": nil,
		"normalizer": sequenceOf("Sequence", "normalizers", map[string]any{"type": "Prepend", "prepend": "▁"},
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"}),
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true},
	}
}

// unigramOf is a tokenizer.json like that of XLM-RoBERTa.
func unigramOf() map[string]any {
	r := rand.New(rand.NewPCG(3, 4))
	vocab := []any{[]any{"<s>", 0}, []any{"<pad>", 0}, []any{"</s>", 0}, []any{"<unk>", 0}, []any{"▁", -3.5}}
	seen := map[string]bool{"▁": true}
	for i, t := range randomTexts(300) {
		cs := strings.Split(t, "")
		for j := range cs {
			for n := 1; n <= 4 && j+n <= len(cs); n++ {
				p := strings.Join(cs[j:j+n], "")
				if strings.ContainsAny(p, " \n\r\t▁<>|\u00a0\u3000\u2003") || seen[p] || n > 1 && r.IntN(6) > 0 || n == 1 && i > 100 {
					continue
				}
				seen[p] = true
				vocab = append(vocab, []any{p, -4 - 6*r.Float64()})
				if !seen["▁"+p] && r.IntN(3) == 0 {
					seen["▁"+p] = true
					vocab = append(vocab, []any{"▁" + p, -4 - 6*r.Float64()})
				}
			}
		}
	}
	return map[string]any{
		"added_tokens": added(len(vocab), "<mask>", "</s>"), "decoder": nil, "normalizer": map[string]any{"type": "NFKC"},
		"pre_tokenizer": map[string]any{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "add_prefix_space": true},
		"post_processor": map[string]any{
			"type": "TemplateProcessing",
			"single": []any{
				map[string]any{"SpecialToken": map[string]any{"id": "<s>", "type_id": 0}},
				map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}},
				map[string]any{"SpecialToken": map[string]any{"id": "</s>", "type_id": 0}},
			},
			"pair": []any{},
			"special_tokens": map[string]any{
				"<s>":  map[string]any{"id": "<s>", "ids": []int{0}, "tokens": []string{"<s>"}},
				"</s>": map[string]any{"id": "</s>", "ids": []int{len(vocab) + 1}, "tokens": []string{"</s>"}},
			},
		},
		"model": map[string]any{"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": false},
	}
}

// TestReference compares every kind of tokenizer with the JavaScript port of
// the reference on random texts.
func TestReference(t *testing.T) {
	const (
		tail = `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
		head = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`
	)
	split := func(re string) any {
		return map[string]any{"type": "Split", "pattern": map[string]any{"Regex": re}, "behavior": "Isolated", "invert": false}
	}
	bytesOnly := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
	docs := map[string]map[string]any{
		"wordpiece": infertest.WordPiece(append(vocab(), strings.Split("s t ##t ##s e ##e he ##he th re ##re i 中 ж ##ж й ё 한 ᄒ ##ᅡ ##ᆫ o ω 4 ##5 ##6", " ")...)),
		"gpt2":      byteBPE(nil, map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}),
		"roberta":   byteBPE(nil, map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
		"llama3":    byteBPE(nil, split(head+`\p{N}{1,3}`+tail), bytesOnly),
		"qwen2":     byteBPE(map[string]any{"type": "NFC"}, split(head+`\p{N}`+tail), bytesOnly),
		"llama2":    spaceBPE(),
		"unigram":   unigramOf(),
	}
	texts := randomTexts(3000)
	in, err := json.Marshal(map[string]any{"tokenizers": docs, "texts": texts})
	if err != nil {
		t.Fatal(err)
	}
	for name, ids := range reference(t, in) {
		tok, bad := parse(t, docs[name]), 0
		for i, want := range ids {
			if got := tok.Encode(texts[i], 0).IDs; !slices.Equal(got, want) {
				if bad++; bad <= 3 {
					t.Errorf("%s: %q\n got %v\nwant %v", name, texts[i], got, want)
				}
			}
		}
		t.Logf("%s: %d of %d differ", name, bad, len(texts))
	}
}

// reference runs reference_test.mjs.
func reference(t *testing.T, in []byte) map[string][][]int32 {
	t.Helper()
	top, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	port := filepath.Join(top, "tools/node_modules/@huggingface/tokenizers/dist/tokenizers.mjs")
	if _, err := os.Stat(port); err != nil {
		t.Fatalf("%v; make installs it from tools/package-lock.json", err)
	}
	node, err := filepath.Glob(filepath.Join(top, "tools/node_modules/node-linux-*/bin/node"))
	if err != nil {
		t.Fatal(err)
	}
	if node = append(node, "node"); len(node) > 2 {
		t.Fatalf("several nodes: %q", node)
	}
	cmd := exec.CommandContext(t.Context(), node[0], "reference_test.mjs", port)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var ids map[string][][]int32
	if err := json.Unmarshal(out.Bytes(), &ids); err != nil {
		t.Fatal(err)
	}
	if len(ids) < 7 {
		t.Fatalf("the reference answered for %d tokenizers", len(ids))
	}
	return ids
}
