package tail

import "time"

// Meter knows the processor time that a process has used and how many invocations
// it runs at the moment.
type Meter interface {
	Meter() (cpu time.Duration, running int64)
}

// meter estimates the processor time of one invocation.
type meter struct {
	source        Meter
	before        time.Duration
	runningBefore int64
	share         time.Duration
}

// Measure begins to measure the processor time of the process that runs the
// invocation. The runtime does not say what a request used. So the estimate is what
// the process used while the invocation ran, divided by the mean of the number of
// invocations in it at the beginning and at the end: exact for one that runs alone,
// and right on average for equal ones that run together.
func (inv *Invocation) Measure(m Meter) {
	if inv == nil || m == nil {
		return
	}
	cpu, running := m.Meter()
	inv.h.mu.Lock()
	defer inv.h.mu.Unlock()
	inv.meter.source, inv.meter.before, inv.meter.runningBefore = m, cpu, max(running, 1)
}

// Measured ends what Measure began; the process must not have been released yet.
func (inv *Invocation) Measured() {
	if inv == nil {
		return
	}
	inv.h.mu.Lock()
	defer inv.h.mu.Unlock()
	m := &inv.meter
	if m.source == nil {
		return
	}
	cpu, running := m.source.Meter()
	m.source = nil
	if used := cpu - m.before; used > 0 {
		m.share += 2 * used / time.Duration(m.runningBefore+max(running, 1))
	}
}

func (m *meter) estimate() time.Duration { return m.share }
