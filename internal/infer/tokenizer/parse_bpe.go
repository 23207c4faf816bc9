package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxMerges is several times the longest list.
const maxMerges = 4 << 20

// bpeDocument is the model of a tokenizer.json. Merges are "a b" or ["a", "b"].
type bpeDocument struct {
	Vocab        map[string]int32  `json:"vocab"`
	Merges       []json.RawMessage `json:"merges"`
	Unknown      *string           `json:"unk_token"`
	Dropout      float64           `json:"dropout"`
	Prefix       string            `json:"continuing_subword_prefix"`
	Suffix       string            `json:"end_of_word_suffix"`
	FuseUnknown  bool              `json:"fuse_unk"`
	ByteFallback bool              `json:"byte_fallback"`
	IgnoreMerges bool              `json:"ignore_merges"`
}

// parseBPE reads the model. If onBytes, the words that it gets are bytes
// that the vocabulary writes as letters.
func parseBPE(raw json.RawMessage, onBytes bool) (model, error) { //nolint:revive // a property of the file
	var d bpeDocument
	if err := decode("model", raw, &d); err != nil {
		return nil, err
	}
	if err := checkVocab(d.Vocab); err != nil {
		return nil, err
	}
	switch {
	case d.Merges == nil:
		return nil, invalid("a BPE model without merges")
	case len(d.Merges) > maxMerges:
		return nil, invalid("%d merges", len(d.Merges))
	case d.Prefix != "" || d.Suffix != "" || d.Dropout != 0:
		return nil, unsupported("a BPE model with continuing_subword_prefix, end_of_word_suffix or dropout")
	}
	b := &bpe{ids: make(map[string]int32, len(d.Vocab)), merges: make(map[pair]merge, len(d.Merges)), unknown: -1, fuse: d.FuseUnknown, whole: d.IgnoreMerges}
	for i, raw := range d.Merges {
		if err := b.addMerge(i, raw, d.Vocab); err != nil {
			return nil, err
		}
	}
	for s, id := range d.Vocab {
		b.vocabLen = max(b.vocabLen, int(id)+1)
		if onBytes {
			if t, ok := fromLetters(s); ok {
				s = t
			}
		}
		b.ids[s] = id
	}
	if d.Unknown != nil {
		id, ok := d.Vocab[*d.Unknown]
		if !ok {
			return nil, invalid("the vocabulary lacks the unknown token %.50q", *d.Unknown)
		}
		b.unknown = id
	}
	if onBytes {
		b.bytes = &[256]int32{}
		for i := range b.bytes {
			id, ok := b.ids[string([]byte{byte(i)})]
			if !ok {
				return nil, invalid("the vocabulary lacks the byte %d", i)
			}
			b.bytes[i] = id
		}
	}
	if d.ByteFallback {
		return b, b.setFallback(d.Vocab)
	}
	return b, nil
}

func (b *bpe) setFallback(vocab map[string]int32) error {
	t, err := byteTokens(vocab)
	b.fallback = t
	return err
}

// byteTokens are <0x00> to <0xFF>.
func byteTokens(vocab map[string]int32) (*[256]int32, error) {
	var t [256]int32
	for i := range t {
		id, ok := vocab[fmt.Sprintf("<0x%02X>", i)]
		if !ok {
			return nil, invalid("byte_fallback, and the vocabulary lacks <0x%02X>", i)
		}
		t[i] = id
	}
	return &t, nil
}

func (b *bpe) addMerge(rank int, raw json.RawMessage, vocab map[string]int32) error {
	var left, right string
	var both [2]string
	var line string
	if json.Unmarshal(raw, &line) == nil {
		var ok bool
		if left, right, ok = strings.Cut(line, " "); !ok {
			return invalid("merge %d is %.50q", rank, line)
		}
	} else if err := decode("merges", raw, &both); err != nil {
		return err
	} else {
		left, right = both[0], both[1]
	}
	l, ok1 := vocab[left]
	r, ok2 := vocab[right]
	id, ok3 := vocab[left+right]
	if !ok1 || !ok2 || !ok3 {
		return invalid("merge %d joins %.50q and %.50q, of which the vocabulary lacks one, or the result", rank, left, right)
	}
	if _, twice := b.merges[pair{l, r}]; !twice {
		b.merges[pair{l, r}] = merge{rank: int32(rank), id: id} //nolint:gosec // bounded
	}
	return nil
}

// letters is how byte-level vocabularies write bytes: those that print as they
// are, the others as letters from U+0100 on.
var letters = func() (t map[rune]byte) { //nolint:gochecknoglobals // a table
	t = make(map[rune]byte, 256)
	next := rune(0x100)
	for i := range 256 {
		r := rune(i)
		if printed := r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae; !printed {
			r = next
			next++
		}
		t[r] = byte(i)
	}
	return t
}()

// fromLetters returns the bytes that s writes, unless it is no such writing.
func fromLetters(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		b, ok := letters[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(out), true
}
