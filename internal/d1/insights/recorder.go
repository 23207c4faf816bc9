package insights

import (
	"sync"
	"sync/atomic"
)

// MaxStatements is how many statements of one database are told apart at a time.
const MaxStatements = 256

// Recorder holds the statements of one database. It is safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	byText map[string]*Statement
	others Counts // of statements that gave way
}

// NewRecorder returns an empty one.
func NewRecorder() *Recorder { return &Recorder{byText: make(map[string]*Statement)} }

var lastID atomic.Uint64 //nolint:gochecknoglobals // numbers that are never used twice in a process

// Statement returns the counter of a statement; writes says whether it changes the
// database. Whoever runs it often keeps the counter until it is Gone.
func (r *Recorder) Statement(sql string, writes bool) *Statement {
	text := Normalize(sql)
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.byText[text]; s != nil {
		return s
	}
	if len(r.byText) >= MaxStatements {
		r.evict()
	}
	s := &Statement{id: lastID.Add(1), text: text, writes: writes}
	if len(sql) <= MaxText {
		s.sample = sql
	}
	r.byText[text] = s
	return s
}

// evict drops the statement that was used least recently.
func (r *Recorder) evict() {
	var victim *Statement
	for _, s := range r.byText {
		if victim == nil || s.used.Load() < victim.used.Load() {
			victim = s
		}
	}
	delete(r.byText, victim.text)
	victim.gone.Store(true)
	c := victim.take()
	r.others.Add(&c)
}

// Taken is what one statement did since the last time.
type Taken struct {
	Text   string // the normal form; "" stands for statements that gave way
	Sample string // as it ran once, with its literals; "" when it is too long
	Writes bool
	Counts Counts
}

// Take returns what was counted since it was called last.
func (r *Recorder) Take() []Taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Taken
	for _, s := range r.byText {
		if c := s.take(); c.Runs > 0 {
			out = append(out, Taken{s.text, s.sample, s.writes, c})
		}
	}
	if r.others.Runs > 0 {
		out = append(out, Taken{Counts: r.others})
		r.others = Counts{}
	}
	return out
}
