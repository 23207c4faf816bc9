package decoder

import (
	"testing"
	"time"
)

// The fastest size is found, and left when it no longer is the fastest.
func TestPace(t *testing.T) {
	p := newPace(8)
	run := func(rows, steps int, took map[int]time.Duration) map[int]int {
		counts := make(map[int]int)
		for range steps {
			n := p.size(rows)
			counts[n]++
			p.note(rows, n, took[n])
		}
		return counts
	}
	quiet := map[int]time.Duration{8: 10 * time.Millisecond, 4: 15 * time.Millisecond, 1: 40 * time.Millisecond}
	loud := map[int]time.Duration{8: 50 * time.Millisecond, 4: 30 * time.Millisecond, 1: 42 * time.Millisecond}
	if n := run(1, 240, quiet); n[8] < 220 {
		t.Errorf("alone: %v", n)
	}
	if n := run(200, 10, quiet); n[8] != 10 {
		t.Errorf("long steps, alone: %v", n)
	}
	run(1, 240, loud)
	if n := run(1, 240, loud); n[4] < 220 {
		t.Errorf("with others: %v", n)
	}
	run(200, 240, loud)
	if n := run(200, 240, loud); n[4] < 220 {
		t.Errorf("long steps, with others: %v", n)
	}
	run(1, 240, quiet)
	if n := run(1, 240, quiet); n[8] < 220 {
		t.Errorf("alone again: %v", n)
	}
	if p := newPace(1); p.size(1) != 1 || len(p.sizes) != 1 {
		t.Error("one thread is not one")
	}
}
