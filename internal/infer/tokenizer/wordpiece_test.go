package tokenizer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/infer/infertest"
	"github.com/selvage-dev/selvage/internal/infer/tokenizer"
)

// vocab has what the texts below need.
func vocab() []string {
	return append([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
		strings.Fields("un ##aff ##able runn ##ing the cafe naive 中 国 ! ? , . ' ( ) [ ] $ + 1 ##2 3 a ##b c")...)
}

func parse(t *testing.T, doc any) *tokenizer.Tokenizer {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestWordPiece(t *testing.T) {
	v := vocab()
	tok := parse(t, infertest.WordPiece(v))
	for text, want := range map[string]string{
		"":                        "[CLS] [SEP]",
		"unaffable":               "[CLS] un ##aff ##able [SEP]",
		"The RUNNING, unknown!":   "[CLS] the runn ##ing , [UNK] ! [SEP]",
		"café NAÏVE cafe\u0301":   "[CLS] cafe naive cafe [SEP]",
		"the\tthe\u00a0the\u3000": "[CLS] the the the [SEP]",
		"th\u00ade\x00\u200b":     "[CLS] the [SEP]",
		"中国the":                   "[CLS] 中 国 the [SEP]",
		"$1+12":                   "[CLS] $ 1 + 1 ##2 [SEP]",
		"the [MASK]the":           "[CLS] the [MASK] the [SEP]",
		"[mask]":                  "[CLS] [ [UNK] ] [SEP]",
		"\xff\xfe the":            "[CLS] the [SEP]",
		strings.Repeat("a", 101):  "[CLS] [UNK] [SEP]",
	} {
		var got []string
		for _, id := range tok.Encode(text, 0).IDs {
			got = append(got, v[id])
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%.40q: %s, want %s", text, g, want)
		}
	}
}

// TestLimits holds what is kept of texts that are too long.
func TestLimits(t *testing.T) {
	tok := parse(t, infertest.WordPiece(vocab()))
	words := func(n int) string { return strings.Repeat("the ", n) }
	for _, c := range []struct{ a, b, limit, keptA, keptB int }{
		{3, 4, 10, 3, 4},
		{3, 10, 10, 3, 4},
		{10, 3, 10, 4, 3},
		{10, 10, 10, 3, 4},
		{10, 11, 11, 4, 4},
		{10, 1, 4, 1, 0},
	} {
		e := tok.EncodePair(words(c.a), words(c.b), c.limit)
		a := bytes.IndexByte(e.Types, 1) - 2
		b := len(e.IDs) - 3 - a
		if len(e.IDs) > c.limit || a != c.keptA || b != c.keptB || e.Truncated != (a < c.a || b < c.b) {
			t.Errorf("%d and %d in %d: %d and %d, truncated %v", c.a, c.b, c.limit, a, b, e.Truncated)
		}
	}
	for _, limit := range []int{1, 2, 3, 5, 8} {
		if e := tok.Encode(words(6), limit); len(e.IDs) != max(2, limit) || e.Truncated != (limit < 8) {
			t.Errorf("limit %d: %d tokens, truncated %v", limit, len(e.IDs), e.Truncated)
		}
	}
}

// TestLongTextsAreCheap holds that what is beyond the limit is not worked on,
// and that a long word costs no more than its length.
func TestLongTextsAreCheap(t *testing.T) {
	tok := parse(t, infertest.WordPiece(infertest.Vocabulary(30522)))
	start := time.Now()
	tok.Encode(strings.Repeat("sheasto ", 8<<20), 512)
	tok.Encode(strings.Repeat("z", 8<<20), 512)
	tok.Encode(strings.Repeat(strings.Repeat("z", 99)+" ", 1000), 0)
	parse(t, spaceBPE()).Encode(strings.Repeat("a b", 100<<10), 512)
	parse(t, unigramOf()).Encode(strings.Repeat("ab", 100<<10), 512)
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %s", d)
	}
}

// TestInvalid holds that what a file lacks is told when it is read.
func TestInvalid(t *testing.T) {
	change := func(f func(doc map[string]any)) []byte {
		doc := infertest.WordPiece(vocab())
		f(doc)
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	model := func(doc map[string]any) map[string]any { return doc["model"].(map[string]any) } //nolint:forcetypeassert // it is one
	for name, c := range map[string]struct {
		doc  []byte
		want error
	}{
		"no JSON":       {[]byte("{"), tokenizer.ErrInvalid},
		"empty":         {[]byte("{}"), tokenizer.ErrInvalid},
		"no vocabulary": {change(func(d map[string]any) { delete(model(d), "vocab") }), tokenizer.ErrInvalid},
		"no unknown":    {change(func(d map[string]any) { model(d)["unk_token"] = "?!" }), tokenizer.ErrInvalid},
		"negative":      {change(func(d map[string]any) { model(d)["vocab"] = map[string]int{"[UNK]": -1} }), tokenizer.ErrInvalid},
		"huge":          {change(func(d map[string]any) { model(d)["vocab"] = map[string]int{"[UNK]": 1 << 30} }), tokenizer.ErrInvalid},
		"BPE without merges": {change(func(d map[string]any) {
			d["model"] = map[string]any{"type": "BPE", "vocab": map[string]int{"a": 0}}
		}), tokenizer.ErrInvalid},
		"merge of nothing": {change(func(d map[string]any) {
			d["model"] = map[string]any{"type": "BPE", "vocab": map[string]int{"a": 0}, "merges": []string{"a b"}}
		}), tokenizer.ErrInvalid},
		"bytes missing": {change(func(d map[string]any) {
			d["model"] = map[string]any{"type": "BPE", "vocab": map[string]int{"a": 0}, "merges": []string{}}
			d["pre_tokenizer"] = map[string]any{"type": "ByteLevel"}
		}), tokenizer.ErrInvalid},
		"unk_id": {change(func(d map[string]any) {
			d["model"] = map[string]any{"type": "Unigram", "vocab": []any{[]any{"a", -1}}, "unk_id": 1}
		}), tokenizer.ErrInvalid},
		"charsmap": {change(func(d map[string]any) {
			d["normalizer"] = map[string]any{"type": "Precompiled", "precompiled_charsmap": "//////8="}
		}), tokenizer.ErrInvalid},
		"look-ahead": {change(func(d map[string]any) {
			d["pre_tokenizer"] = map[string]any{"type": "Split", "behavior": "Isolated", "pattern": map[string]any{"Regex": "a(?!b)"}}
		}), tokenizer.ErrUnsupported},
		"other model":    {change(func(d map[string]any) { model(d)["type"] = "Magic" }), tokenizer.ErrUnsupported},
		"normalizer":     {change(func(d map[string]any) { d["normalizer"] = map[string]any{"type": "Magic"} }), tokenizer.ErrUnsupported},
		"pre_tokenizer":  {change(func(d map[string]any) { d["pre_tokenizer"] = map[string]any{"type": "Magic"} }), tokenizer.ErrUnsupported},
		"post_processor": {change(func(d map[string]any) { d["post_processor"] = map[string]any{"type": "Magic"} }), tokenizer.ErrUnsupported},
		"no such special": {change(func(d map[string]any) {
			d["post_processor"] = map[string]any{"type": "BertProcessing", "sep": []any{"[S]", 1}, "cls": []any{"[C]", 2}}
		}), tokenizer.ErrInvalid},
	} {
		if _, err := tokenizer.Parse(c.doc); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := json.Marshal(infertest.WordPiece(vocab()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, "the [MASK] unaffable 中")
	for _, d := range []string{
		`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<u>":3},"merges":["a b"],"unk_token":"<u>","fuse_unk":true},"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"}}`,
		`{"model":{"type":"Unigram","unk_id":0,"vocab":[["<u>",0],["a",-1],["ab",-1.5]]},"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\s"},"behavior":"Removed"}}`,
	} {
		f.Add([]byte(d), "a ab  é 中")
	}
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		tok, err := tokenizer.Parse(b)
		if err != nil {
			if !errors.Is(err, tokenizer.ErrInvalid) && !errors.Is(err, tokenizer.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		for _, id := range tok.EncodePair(text, text, 100).IDs {
			if id < 0 || int(id) >= tok.Vocabulary() {
				t.Fatalf("number %d of %d", id, tok.Vocabulary())
			}
		}
	})
}

func BenchmarkWordPiece(b *testing.B) {
	doc, err := json.Marshal(infertest.WordPiece(infertest.Vocabulary(30522)))
	if err != nil {
		b.Fatal(err)
	}
	tok, err := tokenizer.Parse(doc)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("The stone of a store, where nobody goes; sheasto rounou plea touroust batea 42. ", 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		tok.Tokens(text, 0)
	}
}
