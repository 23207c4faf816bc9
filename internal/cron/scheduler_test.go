package cron_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/cron"
)

// recorder keeps what a scheduler fired, in a bubble of fake time.
type recorder struct {
	mu          sync.Mutex
	due, missed []cron.Tick[string]
	late        time.Duration // the latest
}

func (r *recorder) fire(due, missed []cron.Tick[string]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due, r.missed = append(r.due, due...), append(r.missed, missed...)
	for _, tick := range due {
		r.late = max(r.late, time.Since(tick.At))
	}
}

func (r *recorder) times(key string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tick := range r.due {
		if tick.Key == key {
			out = append(out, tick.At.UTC().Format("02T15:04"))
		}
	}
	return out
}

func running(t *testing.T) (*cron.Scheduler[string], *recorder) {
	t.Helper()
	r := new(recorder)
	s := cron.NewScheduler(r.fire)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s, r
}

func entry(t *testing.T, expr string, after time.Time) cron.Entry {
	t.Helper()
	e, err := cron.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return cron.Entry{Expr: e, After: after}
}

// In a bubble time begins at 2000-01-01 00:00:00 UTC, a Saturday.

func TestSchedulerFiresAtTheMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := running(t)
		s.Set("a", []cron.Entry{entry(t, "*/20 * * * *", time.Now()), entry(t, "30 1 * * *", time.Now())})
		s.Set("b", []cron.Entry{entry(t, "0 * * * *", time.Now())})
		time.Sleep(2*time.Hour + time.Second)
		synctest.Wait()
		if got, want := r.times("a"), []string{"01T00:20", "01T00:40", "01T01:00", "01T01:20", "01T01:30", "01T01:40", "01T02:00"}; !slices.Equal(got, want) {
			t.Errorf("a ran at %v, want %v", got, want)
		}
		if got, want := r.times("b"), []string{"01T01:00", "01T02:00"}; !slices.Equal(got, want) {
			t.Errorf("b ran at %v, want %v", got, want)
		}
		if r.late != 0 || len(r.missed) > 0 {
			t.Errorf("up to %s late, missed %v", r.late, r.missed)
		}
	})
}

func TestSchedulerReplaceAndRemove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := running(t)
		s.Set("a", []cron.Entry{entry(t, "* * * * *", time.Now())})
		time.Sleep(90 * time.Second)
		s.Set("a", []cron.Entry{entry(t, "5 * * * *", time.Now())})
		time.Sleep(10 * time.Minute)
		s.Set("a", nil)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got, want := r.times("a"), []string{"01T00:01", "01T00:05"}; !slices.Equal(got, want) {
			t.Errorf("ran at %v, want %v", got, want)
		}
		if s.Len() != 0 {
			t.Errorf("%d entries are left", s.Len())
		}
	})
}

// TestSchedulerAfterDowntime holds what is made good when a platform comes back.
func TestSchedulerAfterDowntime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		down time.Duration // from 00:00:30 on
		last string        // the last tick that was run before
		want []string      // until 00:05:30
	}{
		{"under a minute late", 65 * time.Second, "", []string{"01T00:01", "01T00:02", "01T00:03", "01T00:04", "01T00:05"}},
		{"a minute late", 90 * time.Second, "", []string{"01T00:02", "01T00:03", "01T00:04", "01T00:05"}},
		{"already run", 65 * time.Second, "00:01", []string{"01T00:02", "01T00:03", "01T00:04", "01T00:05"}},
		{"long", 3*time.Minute + 15*time.Second, "", []string{"01T00:03", "01T00:04", "01T00:05"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				time.Sleep(30 * time.Second)
				after := time.Now()
				if c.last != "" {
					after = start.Add(time.Minute)
				}
				time.Sleep(c.down)
				s, r := running(t)
				s.Set("a", []cron.Entry{entry(t, "* * * * *", after)})
				time.Sleep(time.Until(start.Add(5*time.Minute + 30*time.Second)))
				synctest.Wait()
				if got := r.times("a"); !slices.Equal(got, c.want) {
					t.Errorf("ran at %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestSchedulerBehind holds that a batch that takes minutes loses the ticks of that
// time which are a minute late, tells of them, and runs none twice.
func TestSchedulerBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(recorder)
		slow := true
		s := cron.NewScheduler(func(due, missed []cron.Tick[string]) {
			r.fire(due, missed)
			if slow {
				slow = false
				time.Sleep(3*time.Minute + 10*time.Second)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		s.Set("a", []cron.Entry{entry(t, "* * * * *", time.Now())})
		time.Sleep(6*time.Minute + time.Second)
		cancel()
		<-done
		if got, want := r.times("a"), []string{"01T00:01", "01T00:04", "01T00:05", "01T00:06"}; !slices.Equal(got, want) {
			t.Errorf("ran at %v, want %v", got, want)
		}
		if len(r.missed) != 1 || r.missed[0].At.Minute() != 2 {
			t.Errorf("missed %v, want the first of those that passed", r.missed)
		}
	})
}

func BenchmarkSet(b *testing.B) {
	e, err := cron.Parse("*/5 * * * *")
	if err != nil {
		b.Fatal(err)
	}
	s := cron.NewScheduler(func(_, _ []cron.Tick[int]) {})
	i := 0
	for b.Loop() {
		s.Set(i, []cron.Entry{{Expr: e, After: time.Now()}})
		i++
	}
}
