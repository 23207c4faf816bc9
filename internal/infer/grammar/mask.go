package grammar

import "slices"

// maskOf returns which tokens may come in a state; with less than need left the mask is
// made anew, so that the answer can still end.
func (g *Grammar) maskOf(s *state, left int) (mask []uint64, pressed bool) {
	if s.mask == nil {
		mask, need := g.walkMask(s, infinite)
		if len(g.states) > maxStates || len(g.frames) > maxFrames || g.masks >= maxMasks {
			g.reset() // what follows is worked out again when it comes
		}
		g.masks++
		s.mask, s.need = mask, need
	}
	if left > s.need {
		return s.mask, false
	}
	mask, _ = g.walkMask(s, left)
	return mask, true
}

// walkMask walks the vocabulary. A token is let in if after it no more than left-1 bytes
// have to come; need is the most that have to after one that is.
func (g *Grammar) walkMask(s *state, left int) (mask []uint64, need int) {
	w := &g.vocabulary.all
	mask = make([]uint64, g.vocabulary.words())
	const escape = 6 // what an escape or a character that has begun still takes
	if s.plainText() && left-1 >= s.least+escape {
		w = &g.vocabulary.closers
		copy(mask, g.vocabulary.inside)
		need = s.least + escape
	}
	path := make([]*state, maxToken+1)
	path[0] = s
	for i := int32(0); int(i) < len(w.steps); {
		step := &w.steps[i]
		to := path[step.depth].next[step.b]
		if to == nil {
			to = g.follow(path[step.depth], step.b)
		}
		if to == g.dead {
			i = step.after
			continue
		}
		path[step.depth+1] = to
		if step.token >= 0 && to.least <= left-1 {
			need = max(need, to.least)
			for _, id := range w.tokens[step.token] {
				mask[id/64] |= 1 << (id % 64)
			}
		}
		i++
	}
	if s.ends {
		for _, id := range g.vocabulary.eos {
			if id >= 0 && int(id) < g.vocabulary.size {
				mask[id/64] |= 1 << (id % 64)
			}
		}
	}
	return mask, need
}

// plainText says whether the state is within a text of any length, and nothing else: most
// tokens of the vocabulary may come there, and the same ones each time.
func (s *state) plainText() bool {
	if len(s.frames) != 1 {
		return false
	}
	f := &s.frames[0].frame
	return f.n.kind == isText && f.at == textInside && f.n.most < 0 && int(f.i) >= f.n.min
}

// Matcher follows one answer. It is for one goroutine at a time.
type Matcher struct {
	g       *Grammar
	s       *state
	left    int // tokens that may still come
	pressed bool
}

// Matcher returns a matcher for an answer of at most maxTokens; ok is false if no answer
// is as short as that for sure.
func (g *Grammar) Matcher(maxTokens int) (m *Matcher, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Matcher{g: g, s: g.first, left: maxTokens}, g.least <= maxTokens
}

// Mask returns the tokens that may come next, a bit for each. It must not be changed.
func (m *Matcher) Mask() []uint64 {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	mask, pressed := m.g.maskOf(m.s, m.left)
	m.pressed = m.pressed || pressed
	return mask
}

// Accept goes on with a token, given its bytes. It says whether the token may come.
func (m *Matcher) Accept(text []byte) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	s := m.s
	for _, b := range text {
		if s = m.g.follow(s, b); s == m.g.dead {
			return false
		}
	}
	m.s = s
	m.left--
	return true
}

// Ends says whether the answer may end here, and Done whether it must.
func (m *Matcher) Ends() bool { return m.s.ends }

// Done says that nothing may follow.
func (m *Matcher) Done() bool {
	return m.s.ends && !slices.ContainsFunc(m.s.frames, func(k *interned) bool { return k.n.kind != isDone })
}

// Pressed says that something could not come because max_tokens was near.
func (m *Matcher) Pressed() bool { return m.pressed }
