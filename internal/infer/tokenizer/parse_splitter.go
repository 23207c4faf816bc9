package tokenizer

import "encoding/json"

// splitterDocument has the fields of all kinds of pre-tokeniser.
type splitterDocument struct {
	Type          string            `json:"type"`
	PreTokenizers []json.RawMessage `json:"pretokenizers"`
	PrefixSpace   *bool             `json:"add_prefix_space"`
	UseRegex      *bool             `json:"use_regex"`
	Replacement   *string           `json:"replacement"`
	Scheme        string            `json:"prepend_scheme"`
	Split         *bool             `json:"split"`
	Pattern       json.RawMessage   `json:"pattern"`
	Behavior      behavior          `json:"behavior"`
	Invert        bool              `json:"invert"`
	Individual    bool              `json:"individual_digits"`
}

// parseSplitter reads a pre-tokeniser. The second result says that it hands on
// bytes, which the vocabulary writes as letters.
func parseSplitter(raw json.RawMessage, depth int) (s splitter, onBytes bool, err error) {
	if null(raw) {
		return nil, false, nil
	}
	var d splitterDocument
	if err := decode("pre_tokenizer", raw, &d); err != nil {
		return nil, false, err
	}
	switch d.Type {
	case "Sequence":
		return d.sequence(depth)
	case "ByteLevel":
		return byteLevel{prefix: or(d.PrefixSpace, true), cut: or(d.UseRegex, true)}, true, nil
	default:
		s, err = d.plain()
		return s, false, err
	}
}

// plain is the kinds that hand on text.
func (d *splitterDocument) plain() (splitter, error) {
	switch d.Type {
	case "BertPreTokenizer":
		return bertSplitter{}, nil
	case "Whitespace":
		return whitespace(), nil
	case "WhitespaceSplit":
		return whitespaceSplit(), nil
	case "Digits":
		return digits(d.Individual), nil
	case "Metaspace":
		return d.metaspace()
	case "Punctuation":
		if d.Behavior != "" && d.Behavior != isolated {
			return nil, unsupported("a pre_tokenizer Punctuation with the behavior %.50q", d.Behavior)
		}
		return punctuation(), nil
	case "Split":
		if d.Behavior != isolated && d.Behavior != removed {
			return nil, unsupported("a pre_tokenizer Split with the behavior %.50q", d.Behavior)
		}
		p, err := parsePattern(d.Pattern)
		return patternSplit{pattern: p, keep: d.Behavior, invert: d.Invert}, err
	default:
		return nil, unsupported("a pre_tokenizer of the type %.50q", d.Type)
	}
}

func (d *splitterDocument) metaspace() (splitter, error) {
	m := metaspace{mark: "▁", scheme: d.Scheme, cut: or(d.Split, true)}
	if d.Replacement != nil {
		m.mark = *d.Replacement
	}
	if m.scheme == "" {
		m.scheme = "always"
		if !or(d.PrefixSpace, true) {
			m.scheme = "never"
		}
	}
	if m.mark == "" || m.scheme != "always" && m.scheme != "first" && m.scheme != "never" {
		return nil, invalid("a pre_tokenizer Metaspace with %.50q and the prepend_scheme %.50q", m.mark, m.scheme)
	}
	return m, nil
}

func (d *splitterDocument) sequence(depth int) (splitter, bool, error) {
	if depth >= maxDepth || len(d.PreTokenizers) > maxParts {
		return nil, false, invalid("a sequence of %d pre_tokenizers, in %d others", len(d.PreTokenizers), depth)
	}
	var q splits
	onBytes := false
	for _, raw := range d.PreTokenizers {
		s, b, err := parseSplitter(raw, depth+1)
		if err != nil {
			return nil, false, err
		}
		if s == nil {
			continue
		}
		if onBytes {
			return nil, false, unsupported("a pre_tokenizer after ByteLevel")
		}
		q, onBytes = append(q, s), b
	}
	return q, onBytes, nil
}
