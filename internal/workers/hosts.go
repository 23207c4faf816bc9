package workers

import (
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// hostShards is the number of maps that the cache consists of. A change copies
// one of them, so each must stay small.
const hostShards = 64

// hostCache maps hosts to routes; nil routes are negative answers. Reading takes
// no lock and allocates nothing: each shard is an immutable map that a change
// replaces. What was not used since the hand last passed goes first (CLOCK),
// negative answers before positive ones, so that a flood of invented hosts
// does not drive out real ones.
type hostCache struct {
	seed   maphash.Seed
	limit  int // entries of one shard
	gen    atomic.Uint64
	shards [hostShards]hostShard
}

type hostShard struct {
	entries atomic.Pointer[map[string]*hostEntry]
	mu      sync.Mutex // held to replace entries
}

type hostEntry struct {
	label string
	route *Route
	used  atomic.Bool
}

func newHostCache(limit int) *hostCache {
	c := &hostCache{seed: maphash.MakeSeed(), limit: max(1, limit/hostShards)}
	for i := range c.shards {
		c.shards[i].entries.Store(&map[string]*hostEntry{})
	}
	return c
}

func (c *hostCache) shard(host string) *hostShard {
	return &c.shards[maphash.String(c.seed, host)%hostShards]
}

// get returns the cached answer; ok is false when there is none.
func (c *hostCache) get(host string) (r *Route, ok bool) {
	e := (*c.shard(host).entries.Load())[host]
	if e == nil {
		return nil, false
	}
	if !e.used.Load() { // reading a word that stays the same is free of contention
		e.used.Store(true)
	}
	return e.route, true
}

// generation is to be read before what the answer for put is made of.
func (c *hostCache) generation() uint64 { return c.gen.Load() }

// put keeps an answer, unless something changed since generation: it may be of
// the time before.
func (c *hostCache) put(host, label string, r *Route, generation uint64) {
	sh := c.shard(host)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c.gen.Load() != generation {
		return
	}
	entries := maps.Clone(*sh.entries.Load())
	if len(entries) >= c.limit {
		evictHost(entries)
	}
	entries[host] = &hostEntry{label: label, route: r}
	sh.entries.Store(&entries)
}

// evictHost removes a negative answer, or else one that was not used since the
// last time it was considered, or else any.
func evictHost(entries map[string]*hostEntry) {
	victim, rank := "", -1
	for host, e := range entries { // in random order: the hand of the clock
		r := 0
		switch {
		case e.route == nil:
			r = 2
		case !e.used.Swap(false):
			r = 1
		}
		if r > rank {
			victim, rank = host, r
		}
		if rank == 2 {
			break
		}
	}
	delete(entries, victim)
}

// forget drops every answer that a change to the script may have made wrong:
// its own host, its previews, and hosts of which it could be part.
func (c *hostCache) forget(script string) {
	c.drop(func(e *hostEntry) bool {
		return e.label == script || strings.HasSuffix(e.label, script) && e.label[len(e.label)-len(script)-1] == '-'
	})
}

func (c *hostCache) forgetAll() { c.drop(func(*hostEntry) bool { return true }) }

func (c *hostCache) drop(stale func(*hostEntry) bool) {
	c.gen.Add(1) // first: an answer of before that is on its way is not kept
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		old := *sh.entries.Load()
		for _, e := range old {
			if stale(e) {
				fresh := maps.Clone(old)
				maps.DeleteFunc(fresh, func(_ string, e *hostEntry) bool { return stale(e) })
				sh.entries.Store(&fresh)
				break
			}
		}
		sh.mu.Unlock()
	}
}
