package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Vocabulary is a tokenizer as a GGUF file has it.
type Vocabulary struct {
	// Model is "gpt2" for BPE on bytes, or "llama" for SentencePiece's BPE.
	Model string
	// Pre names how text is split before BPE on bytes.
	Pre string
	// Tokens by their numbers, with their Types, below, and, of SentencePiece,
	// Scores.
	Tokens []string
	Types  []int64
	Scores []float64
	// Merges of BPE on bytes, "a b", the first first.
	Merges []string
	// SpacePrefix puts a space before a text that is read by SentencePiece.
	SpacePrefix bool
}

// The types of tokens.
const (
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
	tokenByte    = 6
)

// FromVocabulary returns the tokenizer that a GGUF file describes.
func FromVocabulary(v *Vocabulary) (*Tokenizer, error) {
	if len(v.Tokens) == 0 || len(v.Tokens) > maxVocabulary || len(v.Types) != 0 && len(v.Types) != len(v.Tokens) {
		return nil, invalid("a vocabulary of %d tokens with %d types", len(v.Tokens), len(v.Types))
	}
	if len(v.Merges) > maxMerges {
		return nil, invalid("%d merges", len(v.Merges))
	}
	t := &Tokenizer{}
	var err error
	switch v.Model {
	case "gpt2":
		t.model, t.splitter, err = v.onBytes()
	case "llama":
		var q sequence
		if v.SpacePrefix {
			q = append(q, prepend(spaceMark))
		}
		t.normalizer = append(q, replace{literal(" "), spaceMark})
		t.model, err = v.sentencePiece()
	default:
		err = unsupported("a vocabulary of the model %.50q; gpt2 and llama are supported", v.Model)
	}
	if err != nil {
		return nil, err
	}
	if err := t.addTokens(v.added()); err != nil {
		return nil, err
	}
	t.vocabulary = len(v.Tokens)
	return t, t.parsePost(nil)
}

func (v *Vocabulary) kind(id int) int64 {
	if len(v.Types) == 0 {
		return 1
	}
	return v.Types[id]
}

// added are the tokens that are found in text as they are written.
func (v *Vocabulary) added() []*AddedToken {
	var out []*AddedToken
	for id, s := range v.Tokens {
		k := v.kind(id)
		if special := k == tokenControl || k == tokenUnknown; s != "" && (special || k == tokenUser) {
			out = append(out, &AddedToken{ID: int32(id), Content: s, Special: special})
		}
	}
	return out
}

// ids returns the numbers of tokens by their text. Of two that read alike, the
// first counts.
func (v *Vocabulary) ids() map[string]int32 {
	ids := make(map[string]int32, len(v.Tokens))
	for id, s := range v.Tokens {
		if _, twice := ids[s]; !twice {
			ids[s] = int32(id)
		}
	}
	return ids
}

// pres are the ways to split text for BPE on bytes, by their names in files.
func pres() map[string]scanner {
	three, one := scanner{digits: 3}, scanner{digits: 1}
	return map[string]scanner{
		"llama-bpe": three, "llama3": three, "llama-v3": three,
		"qwen2": one, "deepseek-r1-qwen": one,
		"gpt-2": {gpt2: true}, "mpt": {gpt2: true}, "olmo": {gpt2: true}, "jais": {gpt2: true},
	}
}

func (v *Vocabulary) onBytes() (model, splitter, error) {
	scan, ok := pres()[v.Pre]
	if !ok {
		return nil, nil, unsupported("a vocabulary that splits text by %.50q; llama-bpe, qwen2 and gpt-2 are supported", v.Pre)
	}
	ids := v.ids()
	b := &bpe{ids: make(map[string]int32, len(ids)), merges: make(map[pair]merge, len(v.Merges)), unknown: -1, vocabLen: len(v.Tokens)}
	b.whole = scan.digits == 3 // as the tokenizer.json of these models say
	for i, m := range v.Merges {
		left, right, ok := strings.Cut(m, " ")
		l, ok1 := ids[left]
		r, ok2 := ids[right]
		id, ok3 := ids[left+right]
		if !ok || !ok1 || !ok2 || !ok3 {
			return nil, nil, invalid("merge %d is %.50q, of which the vocabulary lacks a part, or the result", i, m)
		}
		if _, twice := b.merges[pair{l, r}]; !twice {
			b.merges[pair{l, r}] = merge{rank: int32(i), id: id}
		}
	}
	for s, id := range ids {
		if t, ok := fromLetters(s); ok && v.kind(int(id)) != tokenControl && v.kind(int(id)) != tokenUser {
			s = t
		}
		b.ids[s] = id
	}
	b.bytes = &[256]int32{}
	for i := range b.bytes {
		id, ok := b.ids[string([]byte{byte(i)})]
		if !ok {
			return nil, nil, invalid("the vocabulary lacks the byte %d", i)
		}
		b.bytes[i] = id
	}
	return b, patternSplit{pattern: scan, keep: isolated}, nil
}

// sentencePiece returns BPE whose merges are all pairs of tokens that make a
// third, the one with the best score first.
func (v *Vocabulary) sentencePiece() (model, error) {
	if len(v.Scores) != len(v.Tokens) {
		return nil, invalid("a vocabulary of %d tokens with %d scores", len(v.Tokens), len(v.Scores))
	}
	normal := make(map[string]int32, len(v.Tokens))
	var order []int32
	all := v.ids()
	for s, id := range all {
		if k := v.kind(int(id)); k == 1 || k == tokenUser {
			normal[s] = id
			order = append(order, id)
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(v.Scores[b], v.Scores[a]), cmp.Compare(a, b))
	})
	b := &bpe{ids: normal, merges: make(map[pair]merge), unknown: -1, fuse: true, vocabLen: len(v.Tokens)}
	rank := int32(0)
	for i, id := range order {
		if i > 0 && v.Scores[id] != v.Scores[order[i-1]] {
			rank++
		}
		s := v.Tokens[id]
		if len(s) > maxPiece {
			continue
		}
		for at := 0; ; {
			_, n := utf8.DecodeRuneInString(s[at:])
			if at += n; at >= len(s) {
				break
			}
			l, ok1 := normal[s[:at]]
			r, ok2 := normal[s[at:]]
			if ok1 && ok2 {
				b.merges[pair{l, r}] = merge{rank: rank, id: id}
			}
		}
	}
	for id := range v.Tokens {
		if v.kind(id) == tokenUnknown {
			b.unknown = int32(id)
		}
	}
	for id := range v.Tokens {
		if v.kind(id) == tokenByte {
			return b, b.setFallback(all)
		}
	}
	return b, nil
}

// maxPiece is longer than any token that merges make: it bounds the work on a
// hostile vocabulary.
const maxPiece = 256
