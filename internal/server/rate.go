package server

import (
	"sync"
	"time"
)

// rateEvery is the span over which requests per second are told.
const rateEvery = 5 * time.Second

// rateMeter turns a growing count into a rate.
type rateMeter struct {
	mu        sync.Mutex
	count     func() uint64
	last      uint64
	lastAt    time.Time
	perSecond float64
}

// tick is called every rateEvery.
func (r *rateMeter) tick(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.count()
	if span := now.Sub(r.lastAt).Seconds(); !r.lastAt.IsZero() && span > 0 {
		r.perSecond = float64(n-r.last) / span
	}
	r.last, r.lastAt = n, now
}

func (r *rateMeter) read() (total uint64, perSecond float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		return 0, 0
	}
	return r.count(), r.perSecond
}
