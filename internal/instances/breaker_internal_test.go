package instances

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	allowed := func() bool { return b.allow(now) }
	many := func(n int, ok bool) {
		for range n {
			b.record(now, ok)
		}
	}
	many(breakerLeast-1, false)
	if !allowed() {
		t.Fatal("few failures open it")
	}
	now = now.Add(20 * time.Second) // these count no longer
	many(30, true)
	many(29, false)
	if !allowed() {
		t.Fatal("fewer failures than half open it")
	}
	many(1, false)
	if allowed() {
		t.Fatal("most fail, and it is closed")
	}
	now = now.Add(breakerFirst)
	if !allowed() || allowed() {
		t.Fatal("half open lets one through, and no more")
	}
	b.record(now, false)
	now = now.Add(breakerFirst)
	if allowed() {
		t.Fatal("after a probe that failed it is open for longer")
	}
	now = now.Add(breakerFirst)
	if !allowed() {
		t.Fatal("a second probe")
	}
	now = now.Add(breakerPatience)
	if !allowed() {
		t.Fatal("a probe that says nothing keeps all others away")
	}
	b.record(now, true)
	for range 2 {
		if !allowed() {
			t.Fatal("after a probe that succeeded it is open")
		}
	}
	many(breakerLeast-1, false)
	if !allowed() {
		t.Fatal("what was before counts")
	}
	for range 10 {
		many(breakerLeast, false)
		now = now.Add(time.Hour)
		b.allow(now)
		b.record(now, false)
	}
	if b.open != breakerLongest {
		t.Errorf("open for %s", b.open)
	}
}
