package decoder

import (
	"container/list"
	"fmt"
	"slices"

	"github.com/selvage-dev/selvage/internal/infer/blocks"
	"github.com/selvage-dev/selvage/internal/infer/memory"
)

// blockTokens is how many tokens share a block of the cache.
const blockTokens = blocks.Cols

// cacheBlock is keys and values of blockTokens tokens, in all layers. One that
// is full and whose tokens are known has a key, by which another text that
// begins alike finds it.
type cacheBlock struct {
	halves []uint16
	uses   int
	// serial tells blocks apart that had the same memory one after the other; 0
	// before there is a key.
	serial uint64
	key    cacheKey
	unused *list.Element // in cache.unused, if it has a key and no uses
}

// cacheKey is a block's tokens and what comes before: the serial of the block
// before, which stands for all tokens up to it.
type cacheKey struct {
	before uint64
	tokens [blockTokens]int32
}

// head returns the keys and values of a head.
func (b *cacheBlock) head(c *config, layer, head int) (keys, values []uint16) {
	n := c.head * blockTokens
	at := (layer*c.kvHeads + head) * 2 * n
	return b.halves[at : at+n : at+n], b.halves[at+n : at+2*n : at+2*n]
}

// cache is the pool of blocks. It is used by one goroutine.
type cache struct {
	room *memory.Region
	size int // halves of a block
	// fresh is how many blocks were never used; their memory is not touched.
	fresh int
	free  []*cacheBlock
	known map[cacheKey]*cacheBlock
	// unused are known blocks that nobody uses, the longest unused first.
	unused *list.List
	serial uint64
	// total is how many blocks there are; promised how many the texts that run may
	// still come to have at most, those that they have included.
	total, promised int
}

// blockBytes is what a block takes.
func blockBytes(c *config) int64 {
	return int64(c.layers) * int64(c.kvHeads) * 2 * int64(c.head) * blockTokens * 2
}

func newCache(c *config, bytes int64) (*cache, error) {
	n := bytes / blockBytes(c)
	room, err := memory.New(int(n * blockBytes(c)))
	if err != nil {
		return nil, fmt.Errorf("memory for keys and values: %w", err)
	}
	return &cache{
		room: room, size: int(blockBytes(c) / 2), fresh: int(n), total: int(n),
		known: make(map[cacheKey]*cacheBlock), unused: list.New(),
	}, nil
}

// blocksFor is how many blocks so many tokens take.
func blocksFor(tokens int) int { return (tokens + blockTokens - 1) / blockTokens }

// promise keeps n blocks for a text, if there are so many.
func (c *cache) promise(n int) bool {
	if c.promised+n > c.total {
		return false
	}
	c.promised += n
	return true
}

// find returns the blocks that have the beginning of tokens, and uses them. It
// leaves at least one token out: somebody has to run the last.
func (c *cache) find(tokens []int32) []*cacheBlock {
	var out []*cacheBlock
	key := cacheKey{}
	for len(tokens) > blockTokens {
		key.tokens = [blockTokens]int32(tokens)
		b := c.known[key]
		if b == nil {
			break
		}
		c.use(b)
		out = append(out, b)
		key.before = b.serial
		tokens = tokens[blockTokens:]
	}
	return out
}

func (c *cache) use(b *cacheBlock) {
	if b.unused != nil {
		c.unused.Remove(b.unused)
		b.unused = nil
	}
	b.uses++
}

// take returns a block that nobody uses. What was promised is there.
func (c *cache) take() *cacheBlock {
	if n := len(c.free); n > 0 {
		b := c.free[n-1]
		c.free = c.free[:n-1]
		b.uses = 1
		return b
	}
	if c.fresh > 0 {
		c.fresh--
		return &cacheBlock{halves: c.room.Halves(c.size), uses: 1}
	}
	oldest, _ := c.unused.Remove(c.unused.Front()).(*cacheBlock)
	delete(c.known, oldest.key)
	oldest.unused, oldest.serial, oldest.uses = nil, 0, 1
	return oldest
}

// learn gives a full block its key: the block before it, or nil, and its tokens.
// It returns the block to use from now on: if another has that key already, it
// takes the place of b.
func (c *cache) learn(before, b *cacheBlock, tokens []int32) *cacheBlock {
	if b.serial != 0 {
		return b
	}
	key := cacheKey{tokens: [blockTokens]int32(tokens)}
	if before != nil {
		key.before = before.serial
	}
	if other := c.known[key]; other != nil {
		c.use(other)
		b.uses = 0
		c.free = append(c.free, b)
		return other
	}
	c.serial++
	b.serial, b.key = c.serial, key
	c.known[key] = b
	return b
}

// release gives back what a text used, and what it was promised.
func (c *cache) release(table []*cacheBlock, promised int) {
	c.promised -= promised
	for _, b := range slices.Backward(table) { // the ends of texts are forgotten first
		if b.uses--; b.uses > 0 {
			continue
		}
		if b.serial == 0 {
			c.free = append(c.free, b)
		} else {
			b.unused = c.unused.PushBack(b)
		}
	}
}
