package workers_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

func crons(list []workers.Schedule) (out []string) {
	for _, s := range list {
		out = append(out, s.Cron)
	}
	return out
}

func (h *harness) schedule(name string, want ...string) {
	h.t.Helper()
	if _, err := h.PutSchedules(h.t.Context(), account, name, want); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) wantSchedules(name string, want ...string) {
	h.t.Helper()
	got, err := h.Schedules(h.t.Context(), account, name)
	if err != nil || !slices.Equal(crons(got), want) {
		h.t.Errorf("schedules %q (%v), want %q", crons(got), err, want)
	}
}

func TestSchedulesAreASet(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	_, err := h.PutSchedules(t.Context(), account, "job", []string{"* * * * *"})
	wantCode(t, err, workers.CodeNotFound)
	h.put("job", "export default { scheduled() {} }")
	h.wantSchedules("job")
	h.schedule("job", "0 0 1 1 *", "0 12 LW * *", "0 0 1 1 *")
	h.wantSchedules("job", "0 0 1 1 *", "0 12 LW * *")
	before, _ := h.Schedules(t.Context(), account, "job")

	// An error changes nothing, and names the expression.
	_, err = h.PutSchedules(t.Context(), account, "job", []string{"0 0 2 2 *", "99 * *"})
	if e := wantCode(t, err, workers.CodeInvalidCron); !strings.Contains(e.Message, `"99 * *"`) || !strings.Contains(e.Message, "3 fields") {
		t.Errorf("message %q", e.Message)
	}
	_, err = h.PutSchedules(t.Context(), account, "job", slices.Repeat([]string{"0 0 2 2 *"}, 251))
	wantCode(t, err, workers.CodeInvalidCron)
	h.wantSchedules("job", "0 0 1 1 *", "0 12 LW * *")

	h.put("job", "export default { scheduled() {} } // again") // a deploy leaves them
	h.schedule("job", "0 0 1 1 *", "0 0 2 2 *")
	after, _ := h.Schedules(t.Context(), account, "job")
	if !slices.Equal(crons(after), []string{"0 0 1 1 *", "0 0 2 2 *"}) || !after[0].CreatedAt.Equal(before[0].CreatedAt) {
		t.Errorf("schedules %v, want the first to be as old as before, %v", after, before)
	}
	h.schedule("job")
	h.wantSchedules("job")
	h.schedule("job", "0 0 2 2 *")
	if err := h.DeleteScript(t.Context(), account, "job", false); err != nil {
		t.Fatal(err)
	}
	h.put("job", "export default { scheduled() {} }")
	h.wantSchedules("job")
}

func TestSchedulesNeedHandlers(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := &workers.Upload{BodyPart: "script", CompatibilityDate: "2026-05-01", Modules: []workers.UploadModule{h.module("script", "application/javascript", "addEventListener('scheduled', () => {})")}}
	if _, err := h.PutScript(t.Context(), account, "old", u); err != nil {
		t.Fatal(err)
	}
	h.schedule("old", "* * * * *")
	h.wantSchedules("old", "* * * * *")
}

// runs collects what ran.
type runs struct {
	mu   sync.Mutex
	list []workers.Run
}

func (r *runs) add(run workers.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, run)
}

func (r *runs) all() []workers.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	var told runs
	h := open(t, t.TempDir(), func(o *workers.Options) { o.OnRun, o.ScheduledTimeout = told.add, 50*time.Millisecond })
	defer h.end()
	d := h.put("job", "export default { scheduled() {} }")
	if _, err := h.SetSubdomain(t.Context(), account, "job", false, nil); err != nil { // it runs without a hostname
		t.Fatal(err)
	}
	h.schedule("job", "30 6 * * *")
	at := time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)
	run, err := h.TriggerScheduled(t.Context(), account, "job", "", at)
	if err != nil || run.Outcome != "ok" || run.Version != d.Version.ID || run.Cron != "30 6 * * *" || run.Ray == "" {
		t.Errorf("run %+v, error %v", run, err)
	}
	e := h.runtime.dispatched()[0]
	if e.script != "job" || e.ray != run.Ray || e.event.Type != workerd.EventScheduled || e.event.Cron != "30 6 * * *" || e.event.ScheduledTime != at.UnixMilli() {
		t.Errorf("dispatched %+v", e)
	}
	for _, c := range []struct {
		name    string
		handle  func(ctx context.Context, e *workerd.Event) (workerd.Outcome, error)
		outcome string
		text    string
	}{
		{"throws", func(context.Context, *workerd.Event) (workerd.Outcome, error) {
			return workerd.Outcome{Outcome: "exception", Error: &workerd.Thrown{Name: "TypeError", Message: "boom"}}, nil
		}, "exception", "TypeError: boom"},
		{"too long", func(ctx context.Context, _ *workerd.Event) (workerd.Outcome, error) {
			<-ctx.Done()
			return workerd.Outcome{}, context.Cause(ctx)
		}, "exceededWallTime", "after 50ms"},
		{"process ends", func(context.Context, *workerd.Event) (workerd.Outcome, error) {
			return workerd.Outcome{}, errors.New("EOF on /some/path")
		}, "unknown", "process ended"},
		{"no handlers", func(context.Context, *workerd.Event) (workerd.Outcome, error) {
			return workerd.Outcome{}, workerd.ErrNoDispatch
		}, "unknown", "no default export"},
	} {
		h.runtime.mu.Lock()
		h.runtime.handle = c.handle
		h.runtime.mu.Unlock()
		run, err := h.TriggerScheduled(t.Context(), account, "job", "* * * * *", time.Time{})
		if err != nil || run.Outcome != c.outcome || !strings.Contains(run.Error, c.text) || strings.Contains(run.Error, "/") {
			t.Errorf("%s: run %+v, error %v", c.name, run, err)
		}
	}
	if n := len(told.all()); n != 5 {
		t.Errorf("%d runs were told of, want 5", n)
	}
	_, err = h.TriggerScheduled(t.Context(), account, "job", "99 * *", time.Time{})
	wantCode(t, err, workers.CodeInvalidCron)
	_, err = h.TriggerScheduled(t.Context(), account, "nobody", "", time.Time{})
	wantCode(t, err, workers.CodeNotFound)
}

// TestTickRunsOnce holds that a tick that was claimed before the platform went away
// is not run again, and that one that was not is, within the minute.
func TestTickRunsOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var told runs
	edit := func(o *workers.Options) { o.OnRun = told.add }
	h := open(t, dir, edit)
	h.put("job", "export default { scheduled() {} }")
	h.schedule("job", "* * * * *")
	// As if it had been there for long.
	err := h.store.DB.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE schedules SET created_at = 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.end()
	for i := range 3 {
		h = open(t, dir, edit)
		eventually(t, "the tick of this minute", func() bool { return len(told.all()) > 0 })
		if i > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		h.end()
	}
	seen := make(map[time.Time]bool)
	for _, run := range told.all() {
		if seen[run.Scheduled] || run.Started.Sub(run.Scheduled) > time.Minute {
			t.Errorf("ran twice or late: %+v of %+v", run, told.all())
		}
		seen[run.Scheduled] = true
	}
	// More than one only when the test ran over the end of a minute.
	if n := len(seen); n > 2 {
		t.Errorf("%d minutes in this test", n)
	}
}

// TestScheduledReal runs a handler in the real runtime.
func TestScheduledReal(t *testing.T) {
	t.Parallel()
	h := newRealHarness(t)
	h.put("job", `let runs = 0;
export default { async scheduled(controller, env, ctx) {
  ctx.waitUntil(scheduler.wait(20).then(() => { if (++runs === 2) throw new RangeError("second") }));
} }`)
	first, err := h.TriggerScheduled(t.Context(), account, "job", "", time.Time{})
	if err != nil || first.Outcome != "ok" || first.Took < 20*time.Millisecond {
		t.Errorf("first run %+v, %v", first, err)
	}
	second, err := h.TriggerScheduled(t.Context(), account, "job", "", time.Time{})
	if err != nil || second.Outcome != "exception" || second.Error != "RangeError: second" {
		t.Errorf("second run %+v, %v", second, err)
	}
	h.put("job", "export default { fetch() {} }")
	if run, err := h.TriggerScheduled(t.Context(), account, "job", "", time.Time{}); err != nil || run.Outcome != "exception" || !strings.Contains(run.Error, "does not export a scheduled()") {
		t.Errorf("without a handler %+v, %v", run, err)
	}
}
