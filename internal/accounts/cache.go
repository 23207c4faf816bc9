package accounts

import (
	"crypto/sha256"
	"sync"
)

// maxCached bounds the cache; more tokens than that in use at once only cost a
// lookup now and then.
const maxCached = 1024

// tokenCache remembers tokens that were found, by the hash of their secret.
// Expiry is the caller's to check.
type tokenCache struct {
	mu         sync.Mutex
	generation uint64
	tokens     map[[sha256.Size]byte]Token
}

func newTokenCache() *tokenCache {
	return &tokenCache{tokens: map[[sha256.Size]byte]Token{}}
}

// get returns the token, or the generation to hand to put after a lookup.
func (c *tokenCache) get(hash [sha256.Size]byte) (t Token, generation uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok = c.tokens[hash]
	return t, c.generation, ok
}

// put remembers what a lookup that began at generation found, unless the cache
// was cleared since: the lookup may have read a token just before it was
// revoked.
func (c *tokenCache) put(hash [sha256.Size]byte, t Token, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.tokens) >= maxCached {
		for one := range c.tokens {
			delete(c.tokens, one)
			break
		}
	}
	c.tokens[hash] = t
}

func (c *tokenCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.tokens)
}
