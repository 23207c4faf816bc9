package workers

import (
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// While JavaScript runs on and on in a process, the process has what others leave
// of the processor, so that the workers beside it answer as fast as without it.
// On a machine that leaves nothing it gets its share back after a while: its limit
// counts processor time, which it must be able to use.
const (
	// How long a process in the background may get little.
	starvedAfter = time.Second
	// The share of a processor that is little.
	starvedShare = 0.1
)

// background is what the guard did to the priority of one process. Only the
// guard's goroutine uses it.
type background struct {
	on     bool
	spared bool // it starved: left alone until it takes a turn
	since  time.Time
	cpu    time.Duration
}

// silent looks at a process that has not answered since the last look.
func (b *background) silent(p Meter, now time.Time, cpu time.Duration) {
	switch {
	case b.spared:
	case !b.on:
		b.on = p.SetPriority(supervise.Background) == nil
		b.since, b.cpu = now, cpu
		b.spared = !b.on // this system has no such thing
	case now.Sub(b.since) >= starvedAfter:
		if float64(cpu-b.cpu) < starvedShare*float64(now.Sub(b.since)) {
			b.answered(p)
			b.spared = true
			return
		}
		b.since, b.cpu = now, cpu
	}
}

// answered lets a process that takes turns again be one among all.
func (b *background) answered(p Meter) {
	if b.on {
		_ = p.SetPriority(supervise.Normal) // it has ended, or has entered by the same right
	}
	*b = background{}
}
