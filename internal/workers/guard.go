package workers

import (
	"context"
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// How often the guard looks. It sleeps while no process runs.
const (
	guardBusy = 100 * time.Millisecond // some process has requests
	guardCalm = 250 * time.Millisecond // processes run, none has requests
	// A process that answered is asked again after this time.
	guardAsk = 500 * time.Millisecond
	// The share of a processor from which on a process is asked
	// whether it still takes turns.
	guardShare = 0.3
	// A process without requests is looked at so rarely, since what a worker does after
	// its answers has the same limits.
	guardUnused = 2 * time.Second
)

// Texts of the exceptions that a worker's owner sees, as the original has them.
const (
	textExceededCPU    = "Worker exceeded CPU time limit."
	textExceededMemory = "Worker exceeded memory limit."
)

// Meter is the part of a Process that its limits are watched with.
type Meter interface {
	// Sample returns what the process uses now.
	Sample() (supervise.Sample, error)
	// Ping returns nil when the process's event loop takes a turn; while
	// JavaScript runs it does not.
	Ping(ctx context.Context) error
	// Kill ends the process at once.
	Kill()
	// OutOfMemory says, after its end, that its heap was full.
	OutOfMemory() bool
	// SetPriority gives the process only what others leave of the processor, or its
	// share again. The error is errors.ErrUnsupported where a system has no such thing.
	SetPriority(to supervise.Priority) error
}

// meter is what the guard knows of one process. Only the guard's goroutine uses it.
type meter struct {
	base     int64 // memory at the first look, which the runtime itself takes
	requests int64 // at the last look
	cpu      time.Duration
	looked   time.Time
	over     bool // the last look found too much memory
	busy     bool // the last look found it computing

	ping    chan struct{} // of a question that is not answered yet
	since   time.Duration
	nextAsk time.Time

	background background
}

// guard watches the processes until the service closes: one goroutine for all,
// which reads two files of /proc for each that has requests.
func (s *Service) guard() {
	wait := time.NewTimer(guardCalm)
	defer wait.Stop()
	for {
		busy, some := s.look(time.Now())
		switch {
		case busy:
			wait.Reset(guardBusy)
		case some:
			wait.Reset(guardCalm)
		default:
			wait.Stop()
		}
		select {
		case <-wait.C:
		case <-s.launched:
		case <-s.closing:
			return
		}
	}
}

// look samples the processes that have requests, or had since the last look.
func (s *Service) look(now time.Time) (busy, some bool) {
	s.mu.Lock()
	running := make([]*Instance, 0, len(s.running))
	for in := range s.running {
		running = append(running, in)
	}
	s.mu.Unlock()
	for _, in := range running {
		some = true
		if in.check(now) {
			busy = true
		}
	}
	return busy, some
}

// check ends the process if it is beyond a limit, and reports whether it is in use.
func (in *Instance) check(now time.Time) bool {
	m := &in.meter
	n, _ := in.inFlight()
	requests := in.requests.Load()
	used := n > 0 || requests != m.requests
	m.requests = requests
	if !used && !m.busy && m.base != 0 && now.Sub(m.looked) < guardUnused {
		return false
	}
	sample, err := in.proc.Sample()
	if err != nil {
		return false // it has just ended, or this system cannot say
	}
	if m.base == 0 {
		m.base = max(sample.Anon, 1)
	}
	share := float64(sample.CPU-m.cpu) / float64(now.Sub(m.looked))
	m.looked, m.cpu = now, sample.CPU
	m.busy = share >= guardShare || m.ping != nil
	switch {
	case (used || m.busy) && in.tooMuchMemory(m, sample.Anon): // at rest nothing is collected
		in.exceed(telemetry.OutcomeExceededMemory)
	case in.silentTooLong(m, sample.CPU):
		in.exceed(telemetry.OutcomeExceededCPU)
	case m.ping != nil:
		m.background.silent(in.proc, now, sample.CPU)
	case share >= guardShare && now.After(m.nextAsk):
		in.ask(m, now, sample.CPU)
	}
	return used || m.busy
}

// tooMuchMemory wants to see it twice, since garbage may be collected meanwhile,
// unless it is twice too much.
func (in *Instance) tooMuchMemory(m *meter, anon int64) bool {
	limit := in.limits.memory
	if limit <= 0 {
		return false
	}
	used := anon - m.base
	again := m.over
	m.over = used > limit
	return m.over && (again || used > 2*limit)
}

// silentTooLong looks whether the process answered, and if not how much
// processor time it has used since it was asked.
func (in *Instance) silentTooLong(m *meter, cpu time.Duration) bool {
	if m.ping == nil {
		return false
	}
	select {
	case <-m.ping:
		m.ping = nil
		m.background.answered(in.proc)
		return false
	default:
		return in.limits.cpu > 0 && cpu-m.since >= in.limits.cpu
	}
}

// ask sends a question that is answered between two turns of JavaScript.
func (in *Instance) ask(m *meter, now time.Time, cpu time.Duration) {
	m.ping, m.since, m.nextAsk = make(chan struct{}), cpu, now.Add(guardAsk)
	ctx, cancel := context.WithCancel(context.Background())
	answer := m.ping
	go func() {
		defer cancel()
		_ = in.proc.Ping(ctx) // an error is an end, which others notice
		close(answer)
	}()
	go func() {
		select {
		case <-in.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
}

// exceed ends the process because of a limit. Requests that come from now on get
// another process; see [Instance.Ended] for those in flight.
func (in *Instance) exceed(outcome string) {
	in.mark(outcome)
	in.u.remove(in)
	in.close()
	in.u.s.wg.Go(in.proc.Kill) // in.run is counted too, so that adding is safe
}

// mark notes why the process ends, once.
func (in *Instance) mark(outcome string) {
	if !in.outcome.CompareAndSwap(nil, &outcome) {
		return
	}
	s, limit := in.u.s, "memory"
	text := textExceededMemory
	if outcome == telemetry.OutcomeExceededCPU {
		limit, text = "cpu", textExceededCPU
		s.count.exceededCPU.Add(1)
	} else {
		s.count.exceededMemory.Add(1)
	}
	n, _ := in.inFlight()
	s.log.Warn("worker process ended by a limit", "limit", limit, "script", in.u.scope.script, "version", in.u.version, "pid", in.proc.Pid(), "in_flight", n)
	if s.o.OnLog != nil {
		s.o.OnLog(in.u.scope.account, in.u.scope.script, in.u.version, workerd.LogLine{Time: time.Now(), Level: "error", Kind: workerd.Runtime, Message: text})
	}
}
