package tail

import (
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Script names a script of an account.
type Script struct{ Account, Name string }

// Options configures [New]. Zero values take the defaults.
type Options struct {
	// Watch is told when a script begins to be watched, and when it no longer is.
	// It has the script's processes say what a tail needs, and returns once they
	// were told; calls for one script come one after the other. Nil: nobody is.
	Watch func(script Script, open bool)
	// Deliver hands a batch to a tail worker and returns when it was taken, or when
	// that failed. Items is a JSON array.
	Deliver func(consumer Script, items json.RawMessage, from []ConsumedEvent)

	Log *slog.Logger

	// MaxTails bounds the open tails of one script; 10.
	MaxTails int
	// Lifetime is how long a tail may be used; 6 hours.
	Lifetime time.Duration
	// Linger is how long a tail may be without a reader; 1 minute.
	Linger time.Duration
	// Wait bounds the time between the end of a request and its item, for what it
	// gave to waitUntil; 30 seconds.
	Wait time.Duration
}

// Hub knows which scripts are watched, and by whom. It is safe for concurrent use.
type Hub struct {
	o Options
	// watched counts the scripts that somebody watches: what an invocation looks at.
	watched atomic.Int32

	mu     sync.Mutex
	topics map[Script]*topic
	tails  map[string]*Tail           // by id
	rays   map[string]*Invocation     // those that are under way
	told   map[Script]bool            // the scripts whose processes were told that they are watched
	tells  map[Script]map[string]bool // the versions whose processes say when an invocation has finished
	closed bool
	ending bool // no tail is opened any more

	watching  sync.Mutex // serialises Options.Watch
	consumers consumers
	wg        sync.WaitGroup
}

// topic is one script that is watched.
type topic struct {
	tails map[string]*Tail
	// consumers are the tail workers of the script.
	consumers []Script
	// running are the invocations of each version that are under way.
	running map[string][]*Invocation
}

// New returns a hub that nobody watches. End it with [Hub.Close].
func New(o Options) *Hub {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.MaxTails, 10)
	setDefault(&o.Lifetime, 6*time.Hour)
	setDefault(&o.Linger, time.Minute)
	setDefault(&o.Wait, 30*time.Second)
	h := &Hub{o: o, topics: make(map[Script]*topic), tails: make(map[string]*Tail), rays: make(map[string]*Invocation), told: make(map[Script]bool), tells: make(map[Script]map[string]bool)}
	h.consumers.init(h)
	return h
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close ends every tail and waits until the batches that are on their way have
// been delivered.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, t := range h.tails {
		t.end()
	}
	h.tails, h.topics, h.rays = map[string]*Tail{}, map[Script]*topic{}, map[string]*Invocation{}
	h.watched.Store(0)
	h.mu.Unlock()
	h.consumers.close()
	h.wg.Wait()
}

// EndTails ends every tail, and lets none be opened any more: readers would hold up
// a shutdown. Tail workers go on.
func (h *Hub) EndTails() {
	h.mu.Lock()
	h.ending = true
	var all []*Tail
	for _, t := range h.tails {
		all = append(all, t)
	}
	h.mu.Unlock()
	for _, t := range all {
		h.Delete(t.Script, t.ID)
	}
}

// topicOf returns the script's topic, which it makes. The caller holds h.mu.
func (h *Hub) topicOf(s Script) *topic {
	t := h.topics[s]
	if t == nil {
		t = &topic{tails: make(map[string]*Tail), running: make(map[string][]*Invocation)}
		h.topics[s] = t
		h.watched.Add(1)
	}
	return t
}

// leave forgets a topic that nobody watches. The caller holds h.mu.
func (h *Hub) leave(s Script) {
	if t := h.topics[s]; t != nil && len(t.tails) == 0 && len(t.consumers) == 0 {
		delete(h.topics, s)
		h.watched.Add(-1)
	}
}

// tell has the script's processes know whether it is watched, as it is when the
// call's turn has come.
func (h *Hub) tell(s Script) {
	if h.o.Watch == nil {
		return
	}
	h.watching.Lock()
	defer h.watching.Unlock()
	h.mu.Lock()
	_, open := h.topics[s]
	known := open == h.told[s]
	if open {
		h.told[s] = true
	} else {
		delete(h.told, s)
		delete(h.tells, s)
	}
	h.mu.Unlock()
	if !known {
		h.o.Watch(s, open)
	}
}

// Active reports whether somebody watches any script.
func (h *Hub) Active() bool { return h != nil && h.watched.Load() != 0 }

// Tells notes that the processes of a version say what a tail needs.
func (h *Hub) Tells(account, script, version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Script{account, script}
	if h.topics[s] == nil {
		return
	}
	if h.tells[s] == nil {
		h.tells[s] = make(map[string]bool)
	}
	h.tells[s][version] = true
}
