package workers

import (
	"context"
	"time"
)

// hangupTimeout is how long WebSockets have to end once they were told to.
const hangupTimeout = 2 * time.Second

// cutTimeout is how long a host may take to end whose requests are cut off.
const cutTimeout = 200 * time.Millisecond

// handOver gives the objects of a script from the process of one version to that
// of another after the deployment was committed: the old one takes nothing new
// and ends within bounds, then the new one starts, and whoever asked meanwhile
// has waited. The caller holds the script's lock.
func (s *Service) handOver(ctx context.Context, p *objectPlan, before, after *deploymentRow) {
	if p == nil || after == nil || !p.concerned() {
		return
	}
	host, err := s.unitOf(ctx, after.doc.serves())
	if err != nil {
		s.log.ErrorContext(ctx, "the new host of the Durable Objects cannot be read", "script", p.script.scope.script, "error", err)
		return
	}
	for _, v := range after.doc.Versions {
		if u := s.known(v.VersionID); u != nil {
			u.follow(nil)
		}
	}
	s.endHosts(before, after, host)
	for _, n := range p.taken {
		s.replaceHost(ctx, n.scriptID)
	}
	if before == nil || before.doc.serves() != host.version || p.changes() {
		host.replace() // the process that proved the version has no objects open
	}
	if len(p.deleted) > 0 {
		s.removeLater() //nolint:contextcheck // it outlives the call
	}
	if len(p.after) == 0 {
		return
	}
	in, err := host.acquire(ctx, true)
	if err != nil {
		// It is deployed and will be tried again: by requests, and by alarms.
		s.log.WarnContext(ctx, "the new host of the Durable Objects did not start", "script", host.scope.script, "version", host.version, "error", err)
		return
	}
	in.requests.Add(-1) // nobody asked for anything yet
	in.Release()
}

// endHosts ends what a deployment replaces: the host, which may go on serving a
// smaller share without objects of its own, and versions that were dropped,
// whose callers are led on to the new host.
func (s *Service) endHosts(before, after *deploymentRow, host *unit) {
	if before == nil {
		return
	}
	for _, v := range before.doc.Versions {
		u := s.known(v.VersionID)
		if u == nil || u == host {
			continue
		}
		dropped := !after.doc.has(u.version)
		if dropped {
			u.follow(host)
		}
		if dropped || before.doc.serves() == u.version {
			u.replace()
		}
	}
}

// replaceHost ends the process that has the objects of a script open; the next
// request starts another, which sees which ones are left.
func (s *Service) replaceHost(ctx context.Context, scriptID string) {
	live, err := s.liveDeployment(ctx, scriptID)
	if err != nil {
		s.log.ErrorContext(ctx, "the host of Durable Objects that were moved is not known", "script_id", scriptID, "error", err)
		return
	}
	if live == nil {
		return
	}
	if u := s.known(live.doc.serves()); u != nil {
		u.replace()
	}
}

// follow says which version answers instead of this one on the script's own
// hostname; nil: this one does. Requests that looked up their route before a
// deployment are led on by it.
func (u *unit) follow(next *unit) { u.next.Store(next) }

// led returns the version that answers for a request to the script's own hostname.
func (u *unit) led() *unit {
	for next := u.next.Load(); next != nil; next = u.next.Load() {
		u = next
	}
	return u
}

// drain waits until the process may be ended. A process without objects lets
// everything finish, within DrainTimeout. One that has objects is in the way of
// its successor: its requests have HandoverTimeout, and when they are done the
// WebSockets are closed.
func (in *Instance) drain() {
	s := in.u.s
	bound, quiet := s.o.DrainTimeout, (<-chan struct{})(nil)
	if in.claim != nil {
		bound, quiet = s.o.HandoverTimeout, in.quiet
	}
	t := time.NewTimer(bound)
	defer t.Stop()
	select {
	case <-in.drained:
		return
	case <-in.proc.Done():
		return
	case <-s.kill:
		return
	case <-quiet:
	case <-t.C:
		n, _ := in.inFlight()
		s.log.Warn("requests cut off at the drain bound", "script", in.u.scope.script, "version", in.u.version, "in_flight", n)
	}
	in.hang()
	t.Reset(hangupTimeout)
	select {
	case <-in.drained:
	case <-in.proc.Done():
	case <-s.kill:
	case <-t.C:
	}
}

// stopTimeout is how long the process may take to end once asked. What did not
// end in time on a host is cut off: its successor waits.
func (in *Instance) stopTimeout() time.Duration {
	if n, _ := in.inFlight(); in.claim != nil && n > 0 {
		return cutTimeout
	}
	return in.u.s.o.StopTimeout
}

// endClaim gives the objects free once the process is gone, and sees to it that
// their next alarm finds a process.
func (in *Instance) endClaim() {
	if in.claim == nil {
		return
	}
	s := in.u.s
	<-in.proc.Done() // whatever Stop said: two processes must not have them open
	next := in.claim.nextAlarm(context.Background())
	in.claim.release()
	if !s.closed.Load() {
		s.watchAlarms(in.u.scope, next)
	}
}

// handoverBound is how long a host may take to end once it is told to.
func (s *Service) handoverBound() time.Duration {
	return s.o.HandoverTimeout + hangupTimeout + 2*s.o.StopTimeout
}

// Tunnel says that the caller's request has become a WebSocket. When hangup
// ends the WebSocket is to be closed with code 1012; done says that it has
// ended, and comes before Release.
func (in *Instance) Tunnel() (hangup context.Context, done func()) {
	in.tunnels.Add(1)
	in.settle(in.state.Load())
	return in.hangup, func() { in.tunnels.Add(-1) }
}

// settle notes what a stopping process with this state waits for no longer.
func (in *Instance) settle(state int64) {
	if state >= 0 {
		return
	}
	n := state - closingMark
	if n <= in.tunnels.Load() {
		in.quietOnce.Do(func() { close(in.quiet) })
	}
	if n == 0 {
		in.drainOnce.Do(func() { close(in.drained) })
	}
}
