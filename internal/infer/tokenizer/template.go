package tokenizer

// template puts special tokens around one text, or around and between two.
type template struct {
	parts []part
	// specials is how many tokens it adds.
	specials int
	// typed says that not all types are zero.
	typed bool
}

// part is a special token, or the place of a text.
type part struct {
	text  int // 0: the special tokens; 1, 2: the first, the second text
	ids   []int32
	types uint8
}

func newTemplate(parts ...part) template {
	t := template{parts: parts}
	for _, p := range parts {
		t.specials += len(p.ids)
		t.typed = t.typed || p.types != 0
	}
	return t
}

// apply returns the texts with what the template adds.
func (t *template) apply(a, b []int32) Encoding {
	n := len(a) + len(b) + t.specials
	e := Encoding{IDs: make([]int32, 0, n)}
	if t.typed {
		e.Types = make([]uint8, 0, n)
	}
	for _, p := range t.parts {
		ids := p.ids
		switch p.text {
		case 1:
			ids = a
		case 2:
			ids = b
		}
		e.IDs = append(e.IDs, ids...)
		if t.typed {
			for range ids {
				e.Types = append(e.Types, p.types)
			}
		}
	}
	return e
}
