package workers

import (
	"context"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/upstream"
)

// closingMark is added to Instance.state when the process begins to stop. It is
// far enough below zero that no number of requests brings the sum above.
const closingMark = math.MinInt64 / 2

// Instance is one running process of a version. A holder of an acquired
// Instance calls Release exactly once; the process lives at least until then,
// unless it dies or the drain bound passes.
type Instance struct {
	// state is the number of requests in flight, plus closingMark once the
	// process stops. One word, so that to acquire and to stop cannot cross.
	state    atomic.Int64
	requests atomic.Int64

	u       *unit
	proc    Process
	pool    *upstream.Pool
	dir     string
	doors   io.Closer
	release func() // of what its doors lead to
	started time.Time
	claim   *objectClaim // nil: it has no objects open

	endpoints []endpoint // on which other scripts call it

	stop      chan struct{} // closed once the process begins to stop
	drained   chan struct{} // closed once it also has no request in flight
	drainOnce sync.Once
	ended     chan struct{} // closed when the process has ended and outcome is known
	gone      chan struct{} // closed when nothing of the process is left

	looking   atomic.Bool   // whether it may be stopped as idle is being found out
	tunnels   atomic.Int64  // requests in flight that have become WebSockets
	quiet     chan struct{} // closed once it stops and has no others in flight
	quietOnce sync.Once
	// hangup ends when the WebSockets are to be closed; a context, since waiting
	// for it costs a silent WebSocket no goroutine.
	hangup  context.Context //nolint:containedctx // as said
	hang    context.CancelFunc
	limits  limits
	meter   meter
	outcome atomic.Pointer[string] // the limit that ended it; see mark
	trial   trial

	// What measure last saw; under unit.mu.
	cpu      time.Duration
	waited   time.Duration
	measured time.Time

	// What observe last saw; under Service.mu.
	seen     int64
	lastUsed time.Time
}

// Upstream returns the connections to the process.
func (in *Instance) Upstream() *upstream.Pool { return in.pool }

// Release ends the request that Acquire began.
func (in *Instance) Release() {
	in.settle(in.state.Add(-1))
}

// acquire counts a request in, unless the process is stopping.
func (in *Instance) acquire() bool {
	if in.state.Add(1) > 0 {
		in.requests.Add(1)
		return true
	}
	in.Release() // which also notices when the last real request left meanwhile
	return false
}

// close begins to stop the process: no request is let in any more. It reports
// whether this call was the first.
func (in *Instance) close() bool {
	for {
		n := in.state.Load()
		if n < 0 {
			return false
		}
		if in.state.CompareAndSwap(n, n+closingMark) {
			in.settle(n + closingMark)
			close(in.stop)
			return true
		}
	}
}

// closeIdle is close, but only while no request is in flight.
func (in *Instance) closeIdle() bool {
	if !in.state.CompareAndSwap(0, closingMark) {
		return false
	}
	in.settle(closingMark)
	close(in.stop)
	return true
}

// inFlight returns the number of requests in flight and whether the process is stopping.
func (in *Instance) inFlight() (n int64, closing bool) {
	n = in.state.Load()
	if n < 0 {
		return n - closingMark, true
	}
	return n, false
}

// observe notes whether the process was used since the last look. The caller
// holds Service.mu.
func (in *Instance) observe(at time.Time) {
	requests := in.requests.Load()
	if n, _ := in.inFlight(); n > 0 || requests != in.seen {
		in.seen, in.lastUsed = requests, at
	}
}

// run is the life of the process from ready to gone.
func (in *Instance) run() {
	s := in.u.s
	crashed := false
	select {
	case <-in.proc.Done():
		crashed = in.close()
	case <-in.stop:
		in.drain()
	}
	if crashed && in.proc.OutOfMemory() {
		in.mark(telemetry.OutcomeExceededMemory)
	}
	if crashed && in.outcome.Load() == nil {
		s.count.crashes.Add(1)
		in.u.crashed(in)
		s.log.Error("worker process ended unexpectedly", "script", in.u.scope.script, "version", in.u.version, "pid", in.proc.Pid(), "error", in.proc.Err())
	}
	in.u.remove(in)
	ctx, cancel := context.WithTimeout(context.Background(), in.stopTimeout())
	defer cancel()
	if err := in.proc.Stop(ctx); err != nil && !crashed {
		s.log.Warn("worker process did not end kindly", "script", in.u.scope.script, "version", in.u.version, "error", err)
	}
	close(in.ended)
	s.clean(in.dir, in.doors)
	in.endClaim()
	in.release()
	s.mu.Lock()
	delete(s.running, in)
	s.mu.Unlock()
	in.hang()
	close(in.gone)
	<-s.slots
}

// clean closes the doors and removes the folder of a process.
func (s *Service) clean(dir string, doors io.Closer) {
	if doors != nil {
		if err := doors.Close(); err != nil {
			s.log.Warn("doors of a worker did not close", "dir", dir, "error", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		s.log.Warn("run folder of a worker was not removed", "dir", dir, "error", err)
	}
}
