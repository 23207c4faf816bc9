package tail

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"sync"
	"time"
)

const (
	// At most queueSize items wait for a reader.
	queueSize = 256
	// Of what does not fit, one in sampleOverload is let in.
	sampleOverload = 10
)

// Kinds and texts of notices.
const (
	kindOverload     = "overload"
	kindOverloadStop = "overload-stop"

	textOverload     = "There are more events than this tail is read, so only a sample of them is shown now. Filters make it fewer."
	textOverloadStop = "The tail keeps up again: all events are shown from here on."
)

// Errors of tails.
var (
	ErrTooMany = errors.New("tail: the script has as many tails as it may have")
	ErrGone    = errors.New("tail: there is no such tail any more")
)

// Tail is one open tail of a script.
type Tail struct {
	ID      string
	Script  Script
	Expires time.Time

	h      *Hub
	ticket string
	filter *Filter

	mu       sync.Mutex
	queue    [][]byte
	ready    chan struct{} // something is in the queue
	overload bool
	skipped  int
	reader   int // which reader it has: an earlier one is ended by a later one
	changed  chan struct{}
	idle     *time.Timer // ends it when nobody reads
	done     chan struct{}
	ended    bool
}

// Open opens a tail. The caller hands its ID and Ticket to the reader, who has
// Options.Linger to come. The error is [ErrTooMany] or [ErrGone] at shutdown.
func (h *Hub) Open(s Script, f *Filter) (*Tail, error) {
	var b [40]byte
	_, _ = rand.Read(b[:]) // never fails
	t := &Tail{
		ID: hex.EncodeToString(b[:16]), Script: s, Expires: time.Now().Add(h.o.Lifetime).Truncate(time.Second),
		h: h, ticket: hex.EncodeToString(b[16:]), filter: f,
		ready: make(chan struct{}, 1), changed: make(chan struct{}), done: make(chan struct{}),
	}
	h.mu.Lock()
	switch tp := h.topics[s]; {
	case h.closed, h.ending:
		h.mu.Unlock()
		return nil, ErrGone
	case tp != nil && len(tp.tails) >= h.o.MaxTails:
		h.mu.Unlock()
		return nil, ErrTooMany
	}
	h.topicOf(s).tails[t.ID] = t
	h.tails[t.ID] = t
	t.idle = time.AfterFunc(h.o.Linger, func() { h.Delete(s, t.ID) })
	h.mu.Unlock()
	h.tell(s)
	return t, nil
}

// Ticket is the secret that lets a reader in.
func (t *Tail) Ticket() string { return t.ticket }

// Find returns the tail that a ticket is for. The error is [ErrGone], also for a
// ticket that is wrong.
func (h *Hub) Find(s Script, id, ticket string) (*Tail, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tails[id]
	if t == nil || t.Script != s || time.Now().After(t.Expires) || subtle.ConstantTimeCompare([]byte(t.ticket), []byte(ticket)) != 1 {
		return nil, ErrGone
	}
	return t, nil
}

// Delete ends a tail and its reader. One that is gone already is no error.
func (h *Hub) Delete(s Script, id string) {
	h.mu.Lock()
	t := h.tails[id]
	if t == nil || t.Script != s {
		h.mu.Unlock()
		return
	}
	delete(h.tails, id)
	if tp := h.topics[s]; tp != nil {
		delete(tp.tails, id)
		h.leave(s)
	}
	t.end()
	h.mu.Unlock()
	h.tell(s)
}

// DeleteScript ends all tails of a script.
func (h *Hub) DeleteScript(s Script) {
	h.mu.Lock()
	var ids []string
	if tp := h.topics[s]; tp != nil {
		for id := range tp.tails {
			ids = append(ids, id)
		}
	}
	h.mu.Unlock()
	for _, id := range ids {
		h.Delete(s, id)
	}
}

func (t *Tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.ended = true
		t.idle.Stop()
		close(t.done)
	}
}

// Read gives each item to yield until ctx ends, yield returns false, another reader
// comes, or the tail ends, at the latest when it expires. After it a reader may
// come again within Options.Linger.
func (t *Tail) Read(ctx context.Context, yield func(item []byte) bool) {
	t.mu.Lock()
	t.reader++
	me := t.reader
	close(t.changed)
	t.changed = make(chan struct{})
	changed := t.changed
	t.idle.Stop()
	t.mu.Unlock()
	expiry := time.NewTimer(time.Until(t.Expires))
	defer expiry.Stop()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.reader == me && !t.ended {
			t.idle.Reset(t.h.o.Linger)
		}
	}()
	for {
		for item := t.take(); item != nil; item = t.take() {
			if ctx.Err() != nil || !yield(item) {
				return
			}
		}
		select {
		case <-t.ready:
		case <-ctx.Done():
			return
		case <-changed:
			return
		case <-t.done:
			return
		case <-expiry.C:
			t.h.Delete(t.Script, t.ID)
			return
		}
	}
}

// take returns the next item, nil when there is none.
func (t *Tail) take() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	item := t.queue[0]
	t.queue[0] = nil
	t.queue = t.queue[1:]
	return item
}

// offer puts an item into the queue. When the reader does not keep up, a notice
// takes the place of what is dropped, and until the queue is nearly empty only a
// sample goes into it.
func (t *Tail) offer(item []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	switch {
	case t.overload && len(t.queue) <= queueSize/4:
		t.overload = false
		t.push(notice(t.Script.Name, kindOverloadStop, textOverloadStop))
	case t.overload:
		if t.skipped++; t.skipped%sampleOverload != 0 || len(t.queue) >= queueSize {
			return
		}
	case len(t.queue) >= queueSize:
		t.overload, t.skipped = true, 0
		t.push(notice(t.Script.Name, kindOverload, textOverload)) // in its place
		return
	}
	t.push(item, nil)
}

func (t *Tail) push(item []byte, err error) {
	if err != nil {
		return // a notice is always JSON
	}
	t.queue = append(t.queue, item)
	select {
	case t.ready <- struct{}{}:
	default:
	}
}
