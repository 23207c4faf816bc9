// Package crew shares the work of a computation among threads, phase by phase,
// where a phase takes tens of microseconds: too short to hand work over by
// channels.
package crew

import (
	"runtime"
	"sync/atomic"
)

// Crew is a leader and those that help it. Members wait for the next phase
// awake; they give way to whatever else wants the processor. Each has a scratch
// of its own, an S.
type Crew[S any] struct {
	// Members is how many there are, the leader too. All but one call Help.
	Members int
	work    func(s S, from, to int)
	n       atomic.Int64
	grain   atomic.Int64
	// next is the number of the phase, and the first item of it that nobody
	// has taken: one word, so that a member who comes late takes nothing of
	// the phase after. Between two phases is one without items, during which
	// work, n and grain change.
	next atomic.Uint64
	// left is how many items of the phase are not done.
	left atomic.Int64
	over atomic.Bool
	// gone is how many helpers have left.
	gone atomic.Int64
}

// The itemBits of next are the item; the rest is the phase. No phase has noItem.
const (
	itemBits = 32
	noItem   = 1<<itemBits - 1
)

// Do runs f over items [0, n), a grain at a time, on all members, of which
// the caller, with scratch s, is one.
func (t *Crew[S]) Do(s S, n, grain int, f func(s S, from, to int)) {
	if t.Members == 1 || n <= grain {
		if n > 0 {
			f(s, 0, n)
		}
		return
	}
	phase := t.next.Load()>>itemBits + 1
	t.next.Store(phase<<itemBits | noItem)
	t.work = f
	t.n.Store(int64(n))
	t.grain.Store(int64(grain))
	t.left.Store(int64(n))
	phase++
	t.next.Store(phase << itemBits)
	t.take(s, phase)
	for i := 0; t.left.Load() > 0; i++ {
		pause(i)
	}
}

// take works on the phase until nobody is needed for it.
func (t *Crew[S]) take(s S, phase uint64) {
	for {
		v := t.next.Load()
		if v>>itemBits != phase {
			return
		}
		n, grain := t.n.Load(), t.grain.Load()
		from := int64(v & noItem)
		if from >= n {
			return
		}
		to := min(n, from+grain)
		if !t.next.CompareAndSwap(v, phase<<itemBits|uint64(to)) { //nolint:gosec // not negative
			continue
		}
		t.work(s, int(from), int(to))
		t.left.Add(from - to)
	}
}

// Help works on phases until the team's leader is done.
func (t *Crew[S]) Help(s S) {
	var phase uint64
	for i := 0; !t.over.Load(); i++ {
		if p := t.next.Load() >> itemBits; p != phase {
			phase, i = p, 0
			t.take(s, p)
			continue
		}
		pause(i)
	}
	t.gone.Add(1)
}

// End lets the helpers go, and returns when they have gone.
func (t *Crew[S]) End() {
	t.over.Store(true)
	for i := 0; t.gone.Load() < int64(t.Members-1); i++ {
		pause(i)
	}
}

// pause waits a little, the i-th time in a row: first awake, then after any other
// goroutine, then after any other thread that waits for this processor. Who is
// waited for may be one of them.
func pause(i int) {
	switch {
	case i >= 300:
		yield()
	case i >= 200:
		runtime.Gosched()
	}
}

// Share is the grain that gives each member several parts of n.
func (t *Crew[S]) Share(n int) int { return max(1, n/(4*t.Members)) }
