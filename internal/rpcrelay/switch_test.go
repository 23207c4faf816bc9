package rpcrelay_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/rpcrelay"
)

// TestSwitchUnderLoad holds that no call fails when the target changes a hundred
// times, and that a call begun after a change goes to the new one.
func TestSwitchUnderLoad(t *testing.T) {
	s := newStage(t)
	procs := [2]*callee{newCallee(t, "A"), newCallee(t, "B")}
	names := [2]string{"A", "B"}
	// lease makes a fresh target of the same process: to the relay each is another.
	lease := func(i int) *callee {
		return &callee{proc: procs[i].proc, dir: procs[i].dir, stopping: make(chan struct{})}
	}
	var all []*callee
	s.live.Store(lease(0))
	all = append(all, s.live.Load())
	var wg sync.WaitGroup
	var stop atomic.Bool
	var calls atomic.Int64
	for _, name := range []string{"add", "counter", "pipelined", "callback", "stream", "slowCallback"} {
		want := map[string]string{"add": "42", "pipelined": "8", "stream": "500000"}[name]
		wg.Go(func() {
			for !stop.Load() {
				got, err := s.call(name)
				if err != nil || want != "" && got != want {
					t.Errorf("%s = %q, %v", name, got, err)
					return
				}
				calls.Add(1)
			}
		})
	}
	for i := range 100 {
		before := s.live.Load()
		next := lease((i + 1) % 2)
		all = append(all, next)
		s.live.Store(next)
		before.stop()
		s.want("generation", names[(i+1)%2])
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("%d calls over 100 switches", calls.Load())
	if calls.Load() < 200 {
		t.Error("there was hardly any load")
	}
	for i, c := range all {
		eventually(t, "every target is let go", func() bool { return c.inFlight.Load() == 0 })
		if i == len(all)-1 {
			c.stop()
		}
	}
}

// TestRunningCallsStay holds that what runs goes on where it began, that new
// calls go elsewhere meanwhile, and that a stub that outlives its version works,
// also as an argument to the next one.
func TestRunningCallsStay(t *testing.T) {
	s, a, b := newStage(t), newCallee(t, "A"), newCallee(t, "B")
	s.live.Store(a)
	var wg sync.WaitGroup
	wg.Go(func() { s.want("slowCallback", "A:1,2,3,4,5,6,7,8,9,10") })
	wg.Go(func() {
		s.want("keep", "2,3,4")
	})
	eventually(t, "both run", func() bool { return s.begun.Load() == 2 })
	time.Sleep(50 * time.Millisecond)
	s.live.Store(b)
	a.stop()
	for range 5 {
		s.want("generation", "B")
	}
	if n := a.inFlight.Load(); n < 1 {
		t.Errorf("the old process is held %d times", n)
	}
	s.want("open", "opened")
	wg.Wait()
	eventually(t, "both are let go", func() bool { return a.inFlight.Load() == 0 && b.inFlight.Load() == 0 })
}

// TestDeath holds that a process that dies fails its own calls only.
func TestDeath(t *testing.T) {
	s, a, b := newStage(t), newCallee(t, "A"), newCallee(t, "B")
	s.live.Store(a)
	var wg sync.WaitGroup
	for _, name := range []string{"slow", "slowCallback"} {
		wg.Go(func() {
			if got, err := s.call(name); err == nil || got != "Error: Network connection lost." {
				t.Errorf("%s on a process that died = %q, %v", name, got, err)
			}
		})
	}
	eventually(t, "both run", func() bool { return s.begun.Load() == 2 })
	time.Sleep(30 * time.Millisecond)
	s.live.Store(b)
	a.stop()
	wg.Go(func() { s.want("generation", "B") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = a.proc.Stop(ctx)
	wg.Wait()
	s.want("counter", "6,8,B")
	eventually(t, "both are let go", func() bool { return a.inFlight.Load() == 0 && b.inFlight.Load() == 0 })
}

// TestColdStart holds that calls wait for a process to start, in order, and
// fail with what Route says when there is none.
func TestColdStart(t *testing.T) {
	s, a := newStage(t), newCallee(t, "A")
	if got, err := s.call("add"); err == nil || got != "Error: nobody is there" {
		t.Errorf("without a process: %q, %v", got, err)
	}
	var routes atomic.Int64
	s.setRoute(func(ctx context.Context) (rpcrelay.Target, error) {
		routes.Add(1)
		select {
		case <-time.After(150 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !a.Acquire() {
			return nil, errors.New("stopped")
		}
		return a, nil
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { s.want("counter", "6,8,A") })
		wg.Go(func() { s.want("upload", "300000") })
	}
	wg.Wait()
	if n := routes.Load(); n != 1 {
		t.Errorf("%d starts for one cold start", n)
	}
}

// TestRefused holds that Begin's refusal reaches the caller and harms no other call.
func TestRefused(t *testing.T) {
	s, a := newStage(t), newCallee(t, "A")
	s.live.Store(a)
	s.want("add", "42")
	s.limit.Store(0)
	for range 3 {
		if got, err := s.call("pipelined"); err == nil || !strings.Contains(got, "too deep") {
			t.Errorf("a refused call = %q, %v", got, err)
		}
	}
	s.limit.Store(1 << 30)
	s.want("pipelined", "8")
}
