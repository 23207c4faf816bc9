package workers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/selvage-dev/selvage/internal/cron"
	"github.com/selvage-dev/selvage/internal/tail"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// outcomeTooLong is the outcome of a run that was ended at Options.ScheduledTimeout.
const outcomeTooLong = "exceededWallTime"

// Run is one run of a scheduled handler.
type Run struct {
	Account, Script, Version string // Version is empty when none could be started

	Ray       string // of the log lines that belong to it
	Cron      string
	Scheduled time.Time // the minute it stands for
	Started   time.Time
	Took      time.Duration // until everything given to waitUntil had ended
	// Outcome is "ok", "exception", "exceededWallTime", or "unknown" when the
	// process ended meanwhile or none could be started.
	Outcome string
	Error   string // what went wrong, for whoever may see the Worker's logs
	NoRetry bool
}

// runSchedules fires ticks until the service closes.
func (s *Service) runSchedules() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-s.closing
		cancel()
	}()
	s.crons.Run(ctx)
}

// fire claims the ticks that are due and starts a run for each.
func (s *Service) fire(due, missed []cron.Tick[scheduleKey]) {
	for _, tick := range missed {
		s.log.Warn("cron trigger missed: the platform was busy or the machine slept", "account", tick.Key.scope.account, "script", tick.Key.scope.script, "cron", tick.Cron, "scheduled", tick.At)
	}
	if len(due) == 0 {
		return
	}
	granted, err := s.claim(context.Background(), due)
	if err != nil { // to run them unclaimed could run them twice
		s.log.Error("cron triggers not run: they could not be written down", "count", len(due), "error", err)
		return
	}
	for _, tick := range granted {
		if !s.join() {
			return
		}
		go func() {
			defer s.wg.Done()
			s.runScheduled(context.Background(), tick.Key.scope, tick.Cron, tick.At)
		}()
	}
}

// join counts the caller among those that Close waits for, unless it has begun.
func (s *Service) join() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return false
	}
	s.wg.Add(1)
	return true
}

// TriggerScheduled runs the scheduled handler of a script's live version now and
// waits until it has ended. An empty expression means the script's first trigger,
// or "* * * * *" when it has none; a zero time means now. The error is
// CodeNotFound, CodeInvalidCron or [ErrClosed]; that the handler failed is in the Run.
func (s *Service) TriggerScheduled(ctx context.Context, account, name, expr string, at time.Time) (Run, error) {
	list, err := s.Schedules(ctx, account, name)
	if err != nil {
		return Run{}, err
	}
	if expr == "" {
		expr = "* * * * *"
		if len(list) > 0 {
			expr = list[0].Cron
		}
	}
	if _, err := cron.Parse(expr); err != nil {
		return Run{}, &Error{Code: CodeInvalidCron, Status: 400, Message: "Invalid cron string: " + err.Error() + ".", Err: err}
	}
	if at.IsZero() {
		at = time.Now().Truncate(time.Minute)
	}
	if !s.join() {
		return Run{}, ErrClosed
	}
	defer s.wg.Done()
	return s.runScheduled(ctx, scope{account, name}, expr, at), nil
}

// runScheduled runs one tick and tells of it.
func (s *Service) runScheduled(ctx context.Context, sc scope, expr string, at time.Time) Run {
	run := Run{Account: sc.account, Script: sc.script, Ray: telemetry.NewRay(), Cron: expr, Scheduled: at.UTC(), Started: time.Now()}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.ScheduledTimeout, errTooLong)
	defer cancel()
	stop := s.untilKilled(cancel)
	defer stop()
	inv := s.o.Tails.Begin(sc.account, sc.script, "", run.Ray)
	out, err := s.deliver(ctx, sc, run.Ray, &run.Version, inv, &workerd.Event{Type: workerd.EventScheduled, Cron: expr, ScheduledTime: at.UnixMilli()})
	run.Took = time.Since(run.Started)
	run.Outcome, run.NoRetry = out.Outcome, out.NoRetry
	switch {
	case errors.Is(err, errTooLong):
		run.Outcome, run.Error = outcomeTooLong, fmt.Sprintf("The scheduled handler was ended after %s.", s.o.ScheduledTimeout)
	case err != nil:
		run.Outcome, run.Error = telemetry.OutcomeUnknown, publicText(err)
		s.log.WarnContext(ctx, "cron trigger failed", "ray", run.Ray, "account", sc.account, "script", sc.script, "cron", expr, "error", err)
	case out.Error != nil:
		run.Error = out.Error.String()
	}
	inv.End(tail.Scheduled{Cron: expr, ScheduledTime: at.UnixMilli()}, run.Outcome)
	s.count.ran(run.Outcome)
	if s.o.OnRun != nil {
		s.o.OnRun(run)
	}
	return run
}

var errTooLong = errors.New("workers: the handler ran too long")

// untilKilled calls cancel when Close stops waiting for what runs.
func (s *Service) untilKilled(cancel func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-s.kill:
			cancel()
		case <-done:
		}
	}()
	return func() { close(done) }
}

// publicText is the part of an error that the owner of a script may see.
func publicText(err error) string {
	var public *Error
	switch {
	case errors.As(err, &public):
		return public.Message
	case errors.Is(err, workerd.ErrNoDispatch):
		return "The Worker has no default export whose handlers could be called."
	case errors.Is(err, ErrNoRoute):
		return "The Worker has no deployment."
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled):
		return "The platform stopped meanwhile."
	}
	return "The Worker's process ended before the handler did."
}

// deliver has the live version of a script run one event. It sets version once it
// is known, also in inv. The process counts a request in flight meanwhile.
func (s *Service) deliver(ctx context.Context, sc scope, ray string, version *string, inv *tail.Invocation, e *workerd.Event) (workerd.Outcome, error) {
	u, err := s.liveUnit(ctx, sc)
	if err != nil {
		return workerd.Outcome{}, err
	}
	*version = u.version
	inv.Version(u.version)
	in, err := u.acquire(ctx, true)
	if err != nil {
		return workerd.Outcome{}, err
	}
	defer in.Release()
	inv.Measure(in)
	defer inv.Measured()
	sent := time.Now()
	outcome, err := in.proc.Dispatch(ctx, ray, e)
	if err != nil && ctx.Err() == nil {
		if ended := in.Ended(sent, true); ended != "" && ended != telemetry.OutcomeUnknown {
			return workerd.Outcome{Outcome: ended}, nil
		}
	}
	return outcome, err
}

// liveUnit returns the version that a script's live deployment serves, also when
// it answers on no hostname. The error is [ErrNoRoute] when there is none.
func (s *Service) liveUnit(ctx context.Context, sc scope) (*unit, error) {
	d, err := scanDeployment(s.db().QueryRowContext(ctx, `SELECT `+deploymentColumns+` FROM scripts s JOIN deployments d ON d.script_id = s.id
		WHERE s.account_id = ? AND s.name = ? ORDER BY d.sequence DESC LIMIT 1`, sc.account, sc.script))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	if err != nil {
		return nil, internal("read the live deployment", err)
	}
	u, err := s.unitOf(ctx, d.doc.serves())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoRoute
	}
	return u, err
}
