package tail

import (
	"bytes"
	"slices"
	"sync"
	"time"
)

const (
	// A batch for a tail worker holds what came within batchTime, but no more than
	// this many items and, about, bytes.
	batchTime  = 200 * time.Millisecond
	batchItems = 100
	batchBytes = 4 << 20
	// No more than backlog items wait for a tail worker that is slow; more are
	// dropped.
	backlog = 2000
)

// consumers are the tail workers that items are gathered for.
type consumers struct {
	h  *Hub
	mu sync.Mutex
	by map[Script]*batch
	// stop is closed when nothing is gathered any more.
	stop    chan struct{}
	stopped bool
}

// batch is what waits for one tail worker.
type batch struct {
	items   [][]byte
	from    []ConsumedEvent
	dropped uint64
	busy    bool // a goroutine delivers
}

func (c *consumers) init(h *Hub) { c.h, c.by, c.stop = h, make(map[Script]*batch), make(chan struct{}) }

// SetConsumers says which tail workers get the items of a script; none ends it. A
// script is never its own.
func (h *Hub) SetConsumers(s Script, list []Script) {
	list = slices.DeleteFunc(slices.Clone(list), func(c Script) bool { return c == s })
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	if len(list) > 0 {
		h.topicOf(s).consumers = list
	} else if t := h.topics[s]; t != nil {
		t.consumers = nil
		h.leave(s)
	}
	h.mu.Unlock()
	h.tell(s)
}

// add gathers an item for each of the tail workers.
func (c *consumers) add(list []Script, it *Item) {
	if len(list) == 0 || c.h.o.Deliver == nil {
		return
	}
	text, err := it.whole()
	if err != nil {
		return // it was made of what is JSON
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	for _, s := range list {
		b := c.by[s]
		if b == nil {
			b = &batch{}
			c.by[s] = b
		}
		if len(b.items) >= backlog {
			b.dropped++
			continue
		}
		b.items, b.from = append(b.items, text), append(b.from, ConsumedEvent{ScriptName: it.ScriptName})
		if !b.busy {
			b.busy = true
			c.h.wg.Go(func() { c.run(s, b) })
		}
	}
}

// run delivers batch after batch until nothing waits.
func (c *consumers) run(s Script, b *batch) {
	for {
		t := time.NewTimer(batchTime)
		select {
		case <-t.C:
		case <-c.stop:
			t.Stop()
		}
		c.mu.Lock()
		items, from := b.cut()
		dropped := b.dropped
		b.dropped = 0
		if len(items) == 0 {
			delete(c.by, s)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if dropped > 0 {
			c.h.o.Log.Warn("events were dropped: the tail worker is slower than they come", "account", s.Account, "script", s.Name, "events", dropped)
		}
		c.h.o.Deliver(s, slices.Concat([]byte("["), bytes.Join(items, []byte(",")), []byte("]")), from)
	}
}

// cut takes the next batch. The caller holds consumers.mu.
func (b *batch) cut() (items [][]byte, from []ConsumedEvent) {
	n, size := 0, 0
	for n < len(b.items) && n < batchItems && (n == 0 || size+len(b.items[n]) <= batchBytes) {
		size += len(b.items[n])
		n++
	}
	items, from = b.items[:n:n], b.from[:n:n]
	b.items, b.from = b.items[n:], b.from[n:]
	return items, from
}

// close delivers what is there and gathers no more.
func (c *consumers) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.stopped = true
		close(c.stop)
	}
}
