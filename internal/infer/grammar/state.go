package grammar

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// Bounds of what a grammar keeps.
const (
	maxStates = 2048 // 2 KiB each, and a mask of the vocabulary's size for those that had one
	maxFrames = 1 << 16
	maxMasks  = 512
	maxStacks = 256 // of one state
)

// Grammar is a compiled schema for one vocabulary. It is safe for concurrent use.
type Grammar struct {
	vocabulary *Vocabulary
	root       *node
	least      int

	mu     sync.Mutex
	frames map[frame]*interned
	states map[string]*state
	masks  int
	first  *state
	dead   *state // where a byte leads that may not come
}

// interned is a frame and what is known of it.
type interned struct {
	frame

	id    uint32
	least int // bytes to the end of the whole
}

// state is a set of places at once.
type state struct {
	frames []*interned
	next   [256]*state // nil: not known yet
	least  int
	ends   bool
	// mask is what may come when nothing presses; need is the greatest least after it.
	mask []uint64
	need int
}

func newGrammar(root *node, v *Vocabulary) *Grammar {
	g := &Grammar{vocabulary: v, root: root, least: root.least, dead: &state{}}
	g.reset()
	return g
}

// Least is how many tokens an answer may take at most to be as short as it can be.
func (g *Grammar) Least() int { return g.least }

// reset forgets what was worked out. States that are in use stay good.
func (g *Grammar) reset() {
	g.frames, g.states, g.masks = make(map[frame]*interned), make(map[string]*state), 0
	done := g.intern(frame{n: &node{kind: isDone}})
	var frames []*interned
	g.start(g.root, done, func(f frame) { frames = append(frames, g.keep(f)) })
	g.first = g.state(frames)
}

// intern returns the one frame that is equal.
func (g *Grammar) intern(f frame) *frame { return &g.keep(f).frame }

func (g *Grammar) keep(f frame) *interned {
	if k, ok := g.frames[f]; ok {
		return k
	}
	k := &interned{frame: f, least: f.least()}
	if f.up != nil {
		k.least += g.keep(*f.up).least
	}
	k.id = uint32(len(g.frames)) //nolint:gosec // bounded by the states
	g.frames[f] = k
	return k
}

// state returns the state of frames; nil: there is none.
func (g *Grammar) state(frames []*interned) *state {
	frames = slices.DeleteFunc(frames, func(k *interned) bool { return k.least >= infinite })
	slices.SortFunc(frames, func(a, b *interned) int { return cmp.Compare(a.id, b.id) })
	frames = slices.Compact(frames)
	if len(frames) > maxStacks {
		// Fewer may come then than the schema allows, and what comes is still valid.
		frames = frames[:maxStacks]
	}
	if len(frames) == 0 {
		return nil
	}
	key := make([]byte, 0, 4*len(frames))
	for _, k := range frames {
		key = binary.LittleEndian.AppendUint32(key, k.id)
	}
	if s, ok := g.states[string(key)]; ok {
		return s
	}
	s := &state{frames: frames, least: infinite}
	for _, k := range frames {
		s.least = min(s.least, k.least)
		s.ends = s.ends || ends(&k.frame)
	}
	g.states[string(key)] = s
	return s
}

// ends says whether the whole may end at a frame.
func ends(f *frame) bool {
	for f.n.kind != isDone {
		if !f.closable() {
			return false
		}
		f = f.up
	}
	return true
}

// follow returns where a byte leads: g.dead if it may not come.
func (g *Grammar) follow(s *state, b byte) *state {
	if to := s.next[b]; to != nil {
		return to
	}
	var frames []*interned
	for _, k := range s.frames {
		g.step(&k.frame, b, func(f frame) { frames = append(frames, g.keep(f)) })
	}
	to := g.state(frames)
	if to == nil {
		to = g.dead
	}
	s.next[b] = to
	return to
}
