package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// shards is how many locks the counters are spread over.
const shards = 16

// defaultMaxKeys is about 30 MB of counters for each of the two periods.
const defaultMaxKeys = 1 << 19

// Options configures [New]. Zero values take the defaults that are named.
type Options struct {
	// MaxKeys bounds the keys that are counted one by one within one window of
	// one period; 524,288.
	MaxKeys int
	// Now is the clock; time.Now.
	Now func() time.Time
}

// Query asks whether one more may pass.
type Query struct {
	Account   string
	Namespace string
	Key       string
	Limit     int64 // what may pass in a window, at least 1
	Period    int64 // length of the window in seconds, at least 1
	// Weight is what the call takes from the budget, at least 1.
	Weight int64
}

// Limiter counts. It is safe for concurrent use.
type Limiter struct {
	now   func() time.Time
	seeds [2]maphash.Seed
	// exact is how many exact counters a shard holds for a period, most how
	// many of them one namespace may take.
	exact, most int
	shards      [shards]shard
}

// New returns a Limiter that has counted nothing.
func New(o Options) *Limiter {
	if o.MaxKeys <= 0 {
		o.MaxKeys = defaultMaxKeys
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Limiter{now: o.Now, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	l.exact = max(1, o.MaxKeys/shards)
	l.most = max(1, l.exact/2)
	return l
}

// Allow takes q.Weight from the budget of the key in the current window, if any
// is left, and reports whether it did. The last call that is allowed may take
// more than is left: a budget of 1 admits a call of any weight.
func (l *Limiter) Allow(q Query) bool {
	epoch := l.now().Unix() / q.Period
	id := l.hash(q)
	sh := &l.shards[id[0]%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.window(q.Period, epoch).allow(id, l.namespace(q), q, l.exact, l.most)
}

// hash names the counter. 128 bits of a keyed hash: two keys of one window are
// mistaken for one another with a chance below 2^-88.
func (l *Limiter) hash(q Query) (id [2]uint64) {
	for i, seed := range l.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		writeNamespace(&h, q)
		_, _ = h.WriteString(q.Key) // never fails
		id[i] = h.Sum64()
	}
	return id
}

func (l *Limiter) namespace(q Query) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seeds[0])
	writeNamespace(&h, q)
	return h.Sum64()
}

// writeNamespace ends both parts with a byte that neither can contain.
func writeNamespace(h *maphash.Hash, q Query) {
	_, _ = h.WriteString(q.Account)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(q.Namespace)
	_ = h.WriteByte(0)
}

// shard holds the windows of a part of the counters, one for each period in use.
type shard struct {
	mu      sync.Mutex
	windows map[int64]*window // by period
}

// window returns the current window of a period. What an earlier one counted is
// dropped as a whole.
func (s *shard) window(period, epoch int64) *window {
	w := s.windows[period]
	if w == nil || w.epoch != epoch {
		w = &window{epoch: epoch, counts: make(map[[2]uint64]int64), keys: make(map[uint64]int)}
		if s.windows == nil {
			s.windows = make(map[int64]*window, 2)
		}
		s.windows[period] = w
	}
	return w
}

// window counts during one window of one period.
type window struct {
	epoch  int64
	counts map[[2]uint64]int64
	keys   map[uint64]int // exact counters by namespace
	rest   *sketch        // nil until there are too many keys
}

func (w *window) allow(id [2]uint64, namespace uint64, q Query, exact, most int) bool {
	count, known := w.counts[id]
	if !known && (len(w.counts) >= exact || w.keys[namespace] >= most) {
		if w.rest == nil {
			w.rest = new(sketch)
		}
		if w.rest.count(id) >= q.Limit {
			return false
		}
		w.rest.add(id, q.Weight)
		return true
	}
	if count >= q.Limit {
		return false
	}
	if !known {
		w.keys[namespace]++
	}
	w.counts[id] = count + q.Weight
	return true
}
