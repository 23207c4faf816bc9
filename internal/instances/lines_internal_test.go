package instances

import (
	"testing"
	"time"
)

// TestMeter holds how much of an instance's output reaches the event log.
func TestMeter(t *testing.T) {
	var m meter
	now := time.Unix(1, 0)
	taken := 0
	for range 10 << 10 {
		if ok, _ := m.take(now, 1<<10); ok {
			taken++
		}
	}
	if taken != logBurst>>10 {
		t.Errorf("%d KiB at once", taken)
	}
	if ok, dropped := m.take(now.Add(time.Second), 1<<10); !ok || dropped != 10<<10-taken {
		t.Errorf("a second later: %v, %d were dropped", ok, dropped)
	}
	if ok, dropped := m.take(now.Add(time.Second), 1<<10); !ok || dropped != 0 {
		t.Errorf("then: %v, %d were dropped", ok, dropped)
	}
}
