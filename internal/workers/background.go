package workers

import (
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// While JavaScript runs on and on in a process, the process has what others leave
// of the processor, so that the workers beside it answer as fast as without it.
// On a machine that leaves nothing it gets its share back, a second of every two: its
// limit counts processor time, which it must be able to use.
const (
	// How long a process in the background may get little.
	starvedAfter = time.Second
	// The share of a processor that is little.
	starvedShare = 0.1
	// How long one that got little is one among all again. A machine that is busy for
	// a moment must not leave the others beside the loop until its end.
	sparedFor = time.Second
)

// background is what the guard did to the priority of one process. Only the
// guard's goroutine uses it.
type background struct {
	on     bool
	spared bool // it starved: left alone for a while
	never  bool // this system has no such thing
	since  time.Time
	cpu    time.Duration
}

// silent looks at a process that has not answered since the last look.
func (b *background) silent(p Meter, now time.Time, cpu time.Duration) {
	switch {
	case b.never, b.spared && now.Sub(b.since) < sparedFor:
	case !b.on:
		b.on = p.SetPriority(supervise.Background) == nil
		b.since, b.cpu, b.spared, b.never = now, cpu, false, !b.on
	case now.Sub(b.since) >= starvedAfter:
		if float64(cpu-b.cpu) < starvedShare*float64(now.Sub(b.since)) {
			b.answered(p)
			b.spared, b.since = true, now
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
