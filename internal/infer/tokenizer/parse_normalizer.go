package tokenizer

import (
	"encoding/json"

	"golang.org/x/text/unicode/norm"
)

const (
	// The maxDepth is of sequences in sequences.
	maxDepth = 4
	// The maxParts is of a sequence.
	maxParts = 64
)

// normalizerDocument has the fields of all kinds of normaliser.
type normalizerDocument struct {
	Type        string            `json:"type"`
	Normalizers []json.RawMessage `json:"normalizers"`
	Prepend     string            `json:"prepend"`
	Pattern     json.RawMessage   `json:"pattern"`
	Content     string            `json:"content"`
	StripLeft   *bool             `json:"strip_left"`
	StripRight  *bool             `json:"strip_right"`
	CharsMap    []byte            `json:"precompiled_charsmap"`
	Clean       *bool             `json:"clean_text"`
	Chinese     *bool             `json:"handle_chinese_chars"`
	Accents     *bool             `json:"strip_accents"`
	Lower       *bool             `json:"lowercase"`
}

func parseNormalizer(raw json.RawMessage, depth int) (normalizer, error) {
	if null(raw) {
		return nil, nil //nolint:nilnil // none is what a file may say
	}
	var d normalizerDocument
	if err := decode("normalizer", raw, &d); err != nil {
		return nil, err
	}
	switch d.Type {
	case "Sequence":
		return d.sequence(depth)
	case "BertNormalizer":
		lower := or(d.Lower, true)
		return bertNormalizer{clean: or(d.Clean, true), ideographs: or(d.Chinese, true), accents: or(d.Accents, lower), lower: lower}, nil
	case "NFC":
		return form(norm.NFC), nil
	case "NFD":
		return form(norm.NFD), nil
	case "NFKC":
		return form(norm.NFKC), nil
	case "NFKD":
		return form(norm.NFKD), nil
	case "Lowercase":
		return lowercase{}, nil
	case "StripAccents":
		return stripAccents{}, nil
	case "Strip":
		return strip{left: or(d.StripLeft, true), right: or(d.StripRight, true)}, nil
	case "Prepend":
		return prepend(d.Prepend), nil
	case "Replace":
		p, err := parsePattern(d.Pattern)
		return replace{pattern: p, content: d.Content}, err
	case "Precompiled":
		return parseCharsMap(d.CharsMap)
	default:
		return nil, unsupported("a normalizer of the type %.50q", d.Type)
	}
}

func (d *normalizerDocument) sequence(depth int) (normalizer, error) {
	if depth >= maxDepth || len(d.Normalizers) > maxParts {
		return nil, invalid("a sequence of %d normalizers, in %d others", len(d.Normalizers), depth)
	}
	var q sequence
	for _, raw := range d.Normalizers {
		n, err := parseNormalizer(raw, depth+1)
		if err != nil {
			return nil, err
		}
		if n != nil {
			q = append(q, n)
		}
	}
	return q, nil
}

// or is what p says, or the default.
func or(p *bool, otherwise bool) bool {
	if p == nil {
		return otherwise
	}
	return *p
}
