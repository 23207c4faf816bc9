package ratelimit_test

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/ratelimit"
)

func query(key string, limit, period int64) ratelimit.Query {
	return ratelimit.Query{Account: "a", Namespace: "1", Key: key, Limit: limit, Period: period, Weight: 1}
}

// passed asks n times and counts what was allowed.
func passed(l *ratelimit.Limiter, q ratelimit.Query, n int) (ok int) {
	for range n {
		if l.Allow(q) {
			ok++
		}
	}
	return ok
}

func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock begins at midnight, which is the start of a window.
		l := ratelimit.New(ratelimit.Options{})
		for _, period := range []int64{10, 60} {
			q := query("k", 3, period)
			if got := passed(l, q, 10); got != 3 {
				t.Errorf("period %d: %d passed, want 3", period, got)
			}
		}
		time.Sleep(10*time.Second - time.Nanosecond)
		if l.Allow(query("k", 3, 10)) {
			t.Error("allowed a nanosecond before the window ends")
		}
		time.Sleep(time.Nanosecond)
		if got := passed(l, query("k", 3, 10), 10); got != 3 {
			t.Errorf("in the next window %d passed, want 3", got)
		}
		if l.Allow(query("k", 3, 60)) {
			t.Error("a window of 60 s ended after 10 s")
		}
		time.Sleep(50 * time.Second)
		if got := passed(l, query("k", 3, 60), 10); got != 3 {
			t.Errorf("after 60 s %d passed, want 3", got)
		}
	})
}

// TestWindowsAreAlignedToTheClock: a window does not begin with the first call.
func TestWindowsAreAlignedToTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(ratelimit.Options{})
		time.Sleep(59 * time.Second)
		if got := passed(l, query("k", 2, 60), 5); got != 2 {
			t.Errorf("%d passed, want 2", got)
		}
		time.Sleep(time.Second)
		if got := passed(l, query("k", 2, 60), 5); got != 2 {
			t.Errorf("in the next minute %d passed, want 2", got)
		}
	})
}

func TestCountersApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(ratelimit.Options{})
		q := query("k", 1, 60)
		if !l.Allow(q) || l.Allow(q) {
			t.Fatal("a limit of 1 does not allow exactly 1")
		}
		for name, other := range map[string]ratelimit.Query{
			"key":       {Account: "a", Namespace: "1", Key: "K", Limit: 1, Period: 60, Weight: 1},
			"empty key": {Account: "a", Namespace: "1", Key: "", Limit: 1, Period: 60, Weight: 1},
			"namespace": {Account: "a", Namespace: "2", Key: "k", Limit: 1, Period: 60, Weight: 1},
			"account":   {Account: "b", Namespace: "1", Key: "k", Limit: 1, Period: 60, Weight: 1},
			"period":    {Account: "a", Namespace: "1", Key: "k", Limit: 1, Period: 10, Weight: 1},
			"boundary":  {Account: "a", Namespace: "", Key: "1\x00k", Limit: 1, Period: 60, Weight: 1},
		} {
			if !l.Allow(other) {
				t.Errorf("another %s shares the counter", name)
			}
		}
		// Two scripts with different limits on one namespace share the counter.
		q.Limit = 3
		if got := passed(l, q, 10); got != 2 {
			t.Errorf("a limit of 3 after 1 call let %d more pass, want 2", got)
		}
	})
}

func TestWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(ratelimit.Options{})
		q := query("k", 10, 60)
		q.Weight = 4
		if got := passed(l, q, 10); got != 3 { // at 0, 4 and 8
			t.Errorf("%d calls of weight 4 passed a limit of 10, want 3", got)
		}
	})
}

// TestRefusedCallsCostNothing: a client that keeps asking is let in as soon as
// the next window begins, with the whole budget.
func TestRefusedCallsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ratelimit.New(ratelimit.Options{})
		passed(l, query("k", 5, 10), 10_000)
		time.Sleep(10 * time.Second)
		if got := passed(l, query("k", 5, 10), 100); got != 5 {
			t.Errorf("%d passed, want 5", got)
		}
	})
}

func TestConcurrentCallsAreExact(t *testing.T) {
	l := ratelimit.New(ratelimit.Options{Now: func() time.Time { return time.Unix(1e9, 0) }})
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { ok.Add(int64(passed(l, query("k", 1000, 60), 500))) })
	}
	wg.Wait()
	if ok.Load() != 1000 {
		t.Errorf("%d of 16,000 concurrent calls passed a limit of 1000", ok.Load())
	}
}

// TestManyKeys floods one namespace with far more keys than are counted one by
// one: memory stays bounded, limits still hold, another namespace stays exact.
func TestManyKeys(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := ratelimit.New(ratelimit.Options{MaxKeys: 1 << 12, Now: func() time.Time { return now }})
	early := query("early", 2, 60)
	if !l.Allow(early) {
		t.Fatal("the first call is refused")
	}
	before := heap()
	for i := range 500_000 {
		l.Allow(query("key-"+strconv.Itoa(i), 1, 60))
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("500,000 keys grew the heap by %d bytes", grown)
	}
	if got := passed(l, early, 10); got != 1 {
		t.Errorf("a key counted before the flood: %d more passed, want 1", got)
	}
	for i := range 1000 {
		if got := passed(l, query("late-"+strconv.Itoa(i), 1, 60), 5); got > 1 {
			t.Fatalf("a key of the flood passed %d times, its limit is 1", got)
		}
	}
	for i := range 100 {
		q := query("other-"+strconv.Itoa(i), 2, 60)
		q.Namespace = "2"
		if got := passed(l, q, 5); got != 2 {
			t.Errorf("a key of another namespace passed %d times, want 2", got)
		}
	}
	now = now.Add(time.Minute)
	if got := passed(l, query("late-1", 1, 60), 5); got != 1 {
		t.Errorf("after the flood's window %d passed, want 1", got)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkAllow(b *testing.B) {
	l := ratelimit.New(ratelimit.Options{})
	q := query("203.0.113.7", 1<<40, 60)
	b.ReportAllocs()
	for b.Loop() {
		l.Allow(q)
	}
}
