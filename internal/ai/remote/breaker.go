package remote

import (
	"sync"
	"time"
)

// Bounds of a breaker.
const (
	tripAfter  = 5 // failures in a row
	firstPause = 2 * time.Second
	lastPause  = time.Minute
)

// breaker keeps requests from a server that does not answer.
//
//	closed ──tripAfter failures──▶ open ──pause──▶ half open ──success──▶ closed
//	                                 ▲                 │
//	                                 └──failure, twice the pause
//
// While it is half open one request is let through.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	pause    time.Duration
	until    time.Time // open until then; zero: closed
	probing  bool
}

// allow says whether a request may be made; if not, wait is when to ask again. Who is
// allowed reports with done.
func (b *breaker) allow() (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return 0, true
	}
	if wait := b.until.Sub(b.now()); wait > 0 {
		return wait, false
	}
	if b.probing {
		return time.Second, false
	}
	b.probing = true
	return 0, true
}

// done reports how a request went: whether the server is to blame for its failure.
func (b *breaker) done(failed bool) { //nolint:revive // the outcome, not a mode
	b.mu.Lock()
	defer b.mu.Unlock()
	if !failed {
		b.failures, b.pause, b.until, b.probing = 0, 0, time.Time{}, false
		return
	}
	b.failures++
	if b.failures < tripAfter && !b.probing {
		return
	}
	b.pause = min(max(2*b.pause, firstPause), lastPause)
	b.until, b.probing = b.now().Add(b.pause), false
}

// abandon takes back an allow whose request says nothing of the server: its caller left.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// open says whether requests are kept away now.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.After(b.now())
}
