package assets

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// DefaultCacheBytes is a good size for the Cache of a whole server.
const DefaultCacheBytes = 64 << 20

// maxCachedBody is the size of the largest body kept in memory. Larger ones are sent from their
// files, where the kernel's page cache and sendfile serve as well: at 1 MiB memory is still ahead, by
// some 7 % of requests per second.
const maxCachedBody = 1 << 20

const cacheShards = 8

// Cache keeps ready headers, by Site and path, and small bodies, by blob, in memory up to a number of
// bytes. Any number of Sites share it, and versions of an app share the bodies they have in common.
// It evicts by the CLOCK algorithm, so that a hit takes no exclusive lock. Entries of a Site that is
// no longer used go as others come; they do not keep the Site in memory.
type Cache struct {
	seed     maphash.Seed
	maxBody  int64
	nextSite atomic.Uint64
	shards   [cacheShards]cacheShard
}

// CacheStats describes what a Cache holds.
type CacheStats struct {
	Entries int
	Bytes   int64
}

// cacheKey is a site's number and a path, or 0 and the id of a blob.
type cacheKey struct {
	site uint64
	name string
}

// cacheItem holds an answer or a content.
type cacheItem struct {
	key     cacheKey
	answer  *answer
	content *content
	used    atomic.Bool
	// The shard's lock guards what follows.
	cost int64
	kept bool
}

// itemOverhead is about what an item takes beside its strings and bodies.
const itemOverhead = 512

type cacheShard struct {
	mu    sync.RWMutex
	items map[cacheKey]*cacheItem
	// ring holds the items in the order the clock's hand visits them.
	ring       []*cacheItem
	hand       int
	bytes, max int64
}

// NewCache returns a Cache of at most maxBytes bytes, of DefaultCacheBytes if that is not positive.
func NewCache(maxBytes int64) *Cache {
	if maxBytes <= 0 {
		maxBytes = DefaultCacheBytes
	}
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].items = make(map[cacheKey]*cacheItem)
		c.shards[i].max = maxBytes / cacheShards
	}
	// An item holds up to four encodings of a body, and one item must not fill a shard.
	c.maxBody = min(maxCachedBody, maxBytes/cacheShards/8)
	return c
}

// Stats returns what the cache holds now.
func (c *Cache) Stats() CacheStats {
	var st CacheStats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		st.Entries += len(s.items)
		st.Bytes += s.bytes
		s.mu.RUnlock()
	}
	return st
}

func (c *Cache) shard(name string) *cacheShard {
	return &c.shards[maphash.String(c.seed, name)%cacheShards]
}

// get returns the item of a key, nil if there is none.
func (c *Cache) get(site uint64, name string) *cacheItem {
	s := c.shard(name)
	s.mu.RLock()
	it := s.items[cacheKey{site, name}]
	s.mu.RUnlock()
	if it != nil && !it.used.Load() {
		it.used.Store(true)
	}
	return it
}

// put keeps an item and returns it, or the one that another request put there first.
func (c *Cache) put(it *cacheItem) *cacheItem {
	s := c.shard(it.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.items[it.key]; old != nil {
		return old
	}
	it.kept = true
	it.cost += itemOverhead + int64(len(it.key.name))
	s.items[it.key] = it
	s.ring = append(s.ring, it)
	s.bytes += it.cost
	s.evict()
	return it
}

// grow accounts for n bytes that were added to what an item holds.
func (c *Cache) grow(it *cacheItem, n int64) {
	s := c.shard(it.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !it.kept {
		return // Evicted meanwhile: it goes with the requests that still use it.
	}
	it.cost += n
	s.bytes += n
	s.evict()
}

func (s *cacheShard) evict() {
	for s.bytes > s.max && len(s.ring) > 0 {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		it := s.ring[s.hand]
		if it.used.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.ring) - 1
		s.ring[s.hand], s.ring[last] = s.ring[last], nil
		s.ring = s.ring[:last]
		delete(s.items, it.key)
		it.kept = false
		s.bytes -= it.cost
	}
}
