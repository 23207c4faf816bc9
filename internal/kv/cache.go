package kv

import (
	"hash/maphash"
	"sync"
)

const (
	cacheShards = 64
	// An entry costs about cacheOverhead bytes besides its key and contents.
	cacheOverhead = 200
)

// cache keeps records in memory, the ones used longest ago leaving first. It
// also keeps that a key is missing (a nil record).
//
// It is never stale after an acknowledged write. A writer calls forget between
// its commit and its acknowledgement, which takes the record out and moves the
// shard's generation on. A reader gets the generation before it asks the
// database and hands it back with what it found: had a write committed in
// between, the generation is another one and nothing is kept.
type cache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu         sync.Mutex
	generation uint64
	items      map[cacheKey]*cacheItem
	used       cacheItem // the ring of items: next was used last, prev longest ago
	bytes      int64
	max        int64
	hits       int64
	misses     int64
}

// cacheKey names a key. A space that is opened anew is another one.
type cacheKey struct {
	space uint64
	key   string
}

type cacheItem struct {
	key    cacheKey
	record *record

	next, prev *cacheItem
}

func newCache(maxBytes int64) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.items = make(map[cacheKey]*cacheItem)
		s.max = maxBytes / cacheShards
		s.used.next, s.used.prev = &s.used, &s.used
	}
	return c
}

func (c *cache) shard(k cacheKey) *cacheShard {
	return &c.shards[(maphash.String(c.seed, k.key)^k.space)%cacheShards]
}

// get returns what is known of a key. When nothing is, the generation is for put.
func (c *cache) get(k cacheKey) (r *record, known bool, generation uint64) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	item := s.items[k]
	if item == nil {
		s.misses++
		return nil, false, s.generation
	}
	s.hits++
	item.unlink()
	s.pushFront(item)
	return item.record, true, 0
}

// put keeps what a reader found, unless a write came in between.
func (c *cache) put(k cacheKey, r *record, generation uint64) {
	s := c.shard(k)
	item := &cacheItem{key: k, record: r}
	if item.size() > s.max/8 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation != generation || s.items[k] != nil {
		return
	}
	s.items[k] = item
	s.pushFront(item)
	s.bytes += item.size()
	for s.bytes > s.max {
		s.remove(s.used.prev)
	}
}

// forget is called by a writer after its commit.
func (c *cache) forget(k cacheKey) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	if item := s.items[k]; item != nil {
		s.remove(item)
	}
}

func (s *cacheShard) pushFront(item *cacheItem) {
	item.prev, item.next = &s.used, s.used.next
	item.prev.next, item.next.prev = item, item
}

func (i *cacheItem) unlink() { i.prev.next, i.next.prev = i.next, i.prev }

func (s *cacheShard) remove(item *cacheItem) {
	item.unlink()
	delete(s.items, item.key)
	s.bytes -= item.size()
}

func (i *cacheItem) size() int64 {
	n := cacheOverhead + len(i.key.key)
	if i.record != nil {
		n += cap(i.record.value) + cap(i.record.metadata)
	}
	return int64(n)
}
