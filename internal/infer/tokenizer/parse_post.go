package tokenizer

import "encoding/json"

// parsePost sets the templates.
func (t *Tokenizer) parsePost(raw json.RawMessage) error {
	t.single, t.pair = newTemplate(part{text: 1}), newTemplate(part{text: 1}, part{text: 2, types: 1})
	if null(raw) {
		return nil
	}
	var k struct {
		kind
		Processors []json.RawMessage `json:"processors"`
	}
	if err := decode("post_processor", raw, &k); err != nil {
		return err
	}
	switch k.Type {
	case "TemplateProcessing":
		return t.parseTemplates(raw)
	case "BertProcessing", "RobertaProcessing":
		return t.parseClassic(raw, k.Type)
	case "ByteLevel": // touches offsets only
		return nil
	case "Sequence":
		return t.parsePostSequence(k.Processors)
	default:
		return unsupported("a post_processor of the type %.50q", k.Type)
	}
}

// parsePostSequence takes the one of several that adds tokens.
func (t *Tokenizer) parsePostSequence(processors []json.RawMessage) error {
	found := false
	for _, p := range processors {
		var k kind
		if err := decode("post_processor", p, &k); err != nil {
			return err
		}
		if k.Type == "ByteLevel" {
			continue
		}
		if found || k.Type == "Sequence" {
			return unsupported("a post_processor of several that add tokens")
		}
		found = true
		if err := t.parsePost(p); err != nil {
			return err
		}
	}
	return nil
}

type templatePiece struct {
	Sequence *struct {
		ID   string `json:"id"`
		Type int    `json:"type_id"`
	} `json:"Sequence"`
	Special *struct {
		ID   string `json:"id"`
		Type int    `json:"type_id"`
	} `json:"SpecialToken"`
}

func (t *Tokenizer) parseTemplates(raw json.RawMessage) error {
	var d struct {
		Single  []templatePiece `json:"single"`
		Pair    []templatePiece `json:"pair"`
		Special map[string]struct {
			IDs []int32 `json:"ids"`
		} `json:"special_tokens"`
	}
	if err := decode("post_processor", raw, &d); err != nil {
		return err
	}
	convert := func(pieces []templatePiece) (template, error) {
		if len(pieces) > 100 {
			return template{}, invalid("a template of %d pieces", len(pieces))
		}
		var parts []part
		for _, p := range pieces {
			var x part
			var err error
			switch {
			case p.Sequence != nil && p.Sequence.ID == "A":
				x.text = 1
				x.types, err = typeID(p.Sequence.Type)
			case p.Sequence != nil && p.Sequence.ID == "B":
				x.text = 2
				x.types, err = typeID(p.Sequence.Type)
			case p.Special != nil:
				if x.types, err = typeID(p.Special.Type); err != nil {
					return template{}, err
				}
				x.ids, err = t.templateIDs(p.Special.ID, d.Special[p.Special.ID].IDs)
			default:
				err = invalid("a template has a piece that is neither text nor token")
			}
			if err != nil {
				return template{}, err
			}
			parts = append(parts, x)
		}
		return newTemplate(parts...), nil
	}
	var err error
	if t.single, err = convert(d.Single); err != nil {
		return err
	}
	t.pair, err = convert(d.Pair)
	return err
}

// templateIDs returns the numbers that a template gives a special token.
func (t *Tokenizer) templateIDs(name string, ids []int32) ([]int32, error) {
	if len(ids) == 0 {
		id, err := t.special(name)
		return []int32{id}, err
	}
	if len(ids) > 16 {
		return nil, invalid("the special token %.50q is %d tokens", name, len(ids))
	}
	for _, id := range ids {
		if id < 0 || int(id) >= t.vocabulary {
			return nil, invalid("the special token %.50q has the number %d", name, id)
		}
	}
	return ids, nil
}

// parseClassic is the template of BERT, or of RoBERTa, which puts the separator
// twice between two texts and has no types.
func (t *Tokenizer) parseClassic(raw json.RawMessage, kind string) error {
	var d struct {
		Sep []any `json:"sep"`
		Cls []any `json:"cls"`
	}
	if err := decode("post_processor", raw, &d); err != nil {
		return err
	}
	var ids [2]int32
	for i, pair := range [][]any{d.Cls, d.Sep} {
		if len(pair) != 2 {
			return invalid("the post_processor lacks cls or sep")
		}
		name, ok := pair[0].(string)
		if !ok {
			return invalid("the post_processor has a token that is no text")
		}
		var err error
		if ids[i], err = t.special(name); err != nil {
			return err
		}
	}
	cls, sep, text := part{ids: ids[:1]}, part{ids: ids[1:]}, part{text: 1}
	t.single = newTemplate(cls, text, sep)
	if kind == "RobertaProcessing" {
		t.pair = newTemplate(cls, text, sep, sep, part{text: 2}, sep)
	} else {
		t.pair = newTemplate(cls, text, sep, part{text: 2, types: 1}, part{ids: ids[1:], types: 1})
	}
	return nil
}
