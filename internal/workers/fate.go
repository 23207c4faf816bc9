package workers

import (
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/telemetry"
)

const (
	// How long a request whose connection broke waits to learn why
	// its process ended.
	fateWait = time.Second
	// How long those who shared a process wait for one another before one
	// of them is found guilty.
	trialWait = 100 * time.Millisecond
)

// trial finds the request that ended a process among those that the process had
// read: the one that was sent last. JavaScript runs in one thread, so a loop keeps
// the process from reading any later request; what it read before waits for
// something. That is exact for a handler that loops or allocates before it first
// waits, and a guess for one that does so afterwards.
type trial struct {
	mu      sync.Mutex
	sent    []time.Time
	decided chan struct{}
	timer   *time.Timer
	last    time.Time
}

// plead takes part and reports whether this is the request.
func (t *trial) plead(sent time.Time, inFlight int64) bool {
	t.mu.Lock()
	if t.decided == nil {
		t.decided = make(chan struct{})
		t.timer = time.AfterFunc(trialWait, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.decide()
		})
	}
	if t.last.IsZero() {
		t.sent = append(t.sent, sent)
		if int64(len(t.sent)) >= inFlight {
			t.decide()
		}
	}
	decided := t.decided
	t.mu.Unlock()
	<-decided
	t.mu.Lock()
	defer t.mu.Unlock()
	if !sent.Equal(t.last) {
		return false
	}
	t.last = t.last.Add(1) // only one, also of two that were sent at the same time
	return true
}

// decide ends the trial. The caller holds t.mu.
func (t *trial) decide() {
	if !t.last.IsZero() {
		return
	}
	t.timer.Stop()
	t.last = time.Unix(0, 1)
	for _, sent := range t.sent {
		if sent.After(t.last) {
			t.last = sent
		}
	}
	close(t.decided)
}

// Ended says how a request ended that was sent at a time and lost its process:
// [telemetry.OutcomeExceededCPU] or [telemetry.OutcomeExceededMemory] when this
// request is taken to be the reason, [telemetry.OutcomeUnknown] when another one
// was, and "" when no limit ended the process. With read, the process had read the
// request. It may wait for the others that shared the process, for a short time.
func (in *Instance) Ended(sent time.Time, read bool) string { //nolint:revive // a fact about the request, of which there are two
	if in.lives() {
		return "" // only that connection broke
	}
	t := time.NewTimer(fateWait)
	defer t.Stop()
	select {
	case <-in.ended:
	case <-t.C:
		return ""
	}
	outcome := in.outcome.Load()
	if outcome == nil {
		return ""
	}
	n, _ := in.inFlight()
	if !read || !in.trial.plead(sent, n) {
		return telemetry.OutcomeUnknown
	}
	return *outcome
}

// lives reports whether the process is not ending. The kernel frees the memory of
// one that exits before it closes its connections.
func (in *Instance) lives() bool {
	if in.outcome.Load() != nil {
		return false
	}
	select {
	case <-in.ended:
		return false
	default:
	}
	sample, err := in.proc.Sample()
	return err == nil && sample.Anon > 0
}
