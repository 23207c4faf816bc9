package insights

import (
	"hash/maphash"
	"sync"
)

// Threshold is how often one request may run the same statement before it is
// taken for a query in a loop: N+1.
const Threshold = 8

const (
	shards       = 64
	slotsOfShard = 64
	perSlot      = 6 // statements of one request that are counted
)

// Repeats counts the calls of requests, by their rays, and how often each calls the same
// statement. Its size is fixed, about 500 KB. The zero value is not ready; see
// [NewRepeats]. It is safe for concurrent use.
type Repeats struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu    sync.Mutex
	slots [slotsOfShard]slot
	_     [56]byte // locks of neighbours do not share a cache line
}

// slot is one request.
type slot struct {
	ray        uint64 // its hash; 0 is an empty slot
	queries    uint32
	statements [perSlot]repeated
}

type repeated struct {
	id uint64
	n  uint32
}

// NewRepeats returns a table in which nothing was counted.
func NewRepeats() *Repeats { return &Repeats{seed: maphash.MakeSeed()} }

func (t *Repeats) slot(ray string) (*shard, *slot, uint64) {
	h := maphash.String(t.seed, ray)
	sh := &t.shards[h%shards]
	return sh, &sh.slots[(h/shards)%slotsOfShard], max(h, 1)
}

// Queries adds n to the queries of the request and returns their sum. A request
// that takes the place of another begins at zero.
func (t *Repeats) Queries(ray string, n int) int {
	sh, s, h := t.slot(ray)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.ray != h {
		*s = slot{ray: h}
	}
	s.queries += uint32(n) //nolint:gosec // a batch has far fewer
	return int(s.queries)
}

// Statement notes that the request runs the statement in one more call and returns
// how many there were.
func (t *Repeats) Statement(ray string, st *Statement) int {
	sh, s, h := t.slot(ray)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.ray != h {
		*s = slot{ray: h}
	}
	least := 0
	for i := range s.statements {
		r := &s.statements[i]
		if r.id == st.id {
			r.n++
			return int(r.n)
		}
		if r.n < s.statements[least].n {
			least = i
		}
	}
	s.statements[least] = repeated{id: st.id, n: 1}
	return 1
}
