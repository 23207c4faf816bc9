package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

const (
	// The maxFile is twice what the largest vocabularies take.
	maxFile = 64 << 20
	// The maxVocabulary is several times the largest.
	maxVocabulary = 4 << 20
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsupported, fmt.Errorf(format, args...))
}

// Open reads the tokenizer.json at path.
func Open(path string) (*Tokenizer, error) {
	f, err := os.Open(path) //nolint:gosec // the caller names a model of the store
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return Parse(b)
}

// document is a tokenizer.json. Its parts come in shapes that their types tell.
type document struct {
	Added         []*AddedToken   `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Model         json.RawMessage `json:"model"`
}

// Parse returns the tokenizer that a tokenizer.json describes.
func Parse(b []byte) (*Tokenizer, error) {
	var d document
	if len(b) > maxFile {
		return nil, invalid("more than %d bytes", maxFile)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, invalid("%w", err)
	}
	t := &Tokenizer{}
	var err error
	var onBytes bool
	if t.splitter, onBytes, err = parseSplitter(d.PreTokenizer, 0); err != nil {
		return nil, err
	}
	if t.model, err = parseModel(d.Model, onBytes); err != nil {
		return nil, err
	}
	if t.normalizer, err = parseNormalizer(d.Normalizer, 0); err != nil {
		return nil, err
	}
	if err := t.addTokens(d.Added); err != nil {
		return nil, err
	}
	if err := t.parsePost(d.PostProcessor); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tokenizer) addTokens(added []*AddedToken) error {
	raw, cooked := make(map[string]*AddedToken), make(map[string]*AddedToken)
	t.vocabulary = t.model.size()
	for _, a := range added {
		if a == nil || a.ID < 0 || a.ID > maxVocabulary || a.Content == "" {
			return invalid("an added token has no content, or no number")
		}
		t.vocabulary = max(t.vocabulary, int(a.ID)+1)
		if !a.Normalized || t.normalizer == nil {
			raw[a.Content] = a
			continue
		}
		c := *a
		if c.Content = t.normalizer.normalize(a.Content); c.Content == "" {
			return invalid("the normaliser leaves nothing of the added token %.50q", a.Content)
		}
		cooked[c.Content] = &c
	}
	t.raw, t.cooked = newDictionary(raw), newDictionary(cooked)
	return nil
}

// kind is what every part has.
type kind struct {
	Type string `json:"type"`
}

func null(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// decode sets v to raw, which errors call by name.
func decode(name string, raw json.RawMessage, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return invalid("%s: %w", name, err)
	}
	return nil
}

func parseModel(raw json.RawMessage, onBytes bool) (model, error) {
	if null(raw) {
		return nil, invalid("no model")
	}
	var k kind
	if err := decode("model", raw, &k); err != nil {
		return nil, err
	}
	switch k.Type {
	case "WordPiece":
		return parseWordPiece(raw)
	case "BPE":
		return parseBPE(raw, onBytes)
	case "Unigram":
		return parseUnigram(raw)
	default:
		return nil, unsupported("a model of the type %.50q", k.Type)
	}
}

func parseWordPiece(raw json.RawMessage) (model, error) {
	m := struct {
		Unknown  string           `json:"unk_token"`
		Prefix   string           `json:"continuing_subword_prefix"`
		MaxChars int              `json:"max_input_chars_per_word"`
		Vocab    map[string]int32 `json:"vocab"`
	}{Unknown: "[UNK]", Prefix: "##", MaxChars: 100}
	if err := decode("model", raw, &m); err != nil {
		return nil, err
	}
	if err := checkVocab(m.Vocab); err != nil {
		return nil, err
	}
	if m.MaxChars < 1 || m.MaxChars > 10000 {
		return nil, invalid("max_input_chars_per_word is %d", m.MaxChars)
	}
	return newWordPiece(m.Vocab, m.Unknown, m.Prefix, m.MaxChars)
}

func checkVocab(vocab map[string]int32) error {
	if len(vocab) == 0 || len(vocab) > maxVocabulary {
		return invalid("a vocabulary of %d tokens", len(vocab))
	}
	for s, id := range vocab {
		if id < 0 || id > maxVocabulary {
			return invalid("token %.50q has the number %d", s, id)
		}
	}
	return nil
}

// special returns the number of a token that a template names.
func (t *Tokenizer) special(token string) (int32, error) {
	id, ok := t.TokenID(token)
	if !ok {
		return 0, invalid("the post_processor names the token %.50q, which there is not", token)
	}
	return id, nil
}

// typeID checks what tells the texts of a pair apart.
func typeID(n int) (uint8, error) {
	if n < 0 || n > math.MaxUint8 {
		return 0, invalid("the post_processor has the type_id %d", n)
	}
	return uint8(n), nil
}
