package workers_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/supervise"
	"github.com/selvage-dev/selvage/internal/telemetry"
	"github.com/selvage-dev/selvage/internal/workers"
)

// burn lets the process use processor time and memory, and answer or not.
func (p *fakeProcess) burn(stuck bool, each time.Duration, anon int64) {
	for {
		select {
		case <-p.done:
			return
		case <-time.After(10 * time.Millisecond):
		}
		p.r.mu.Lock()
		p.stuck = stuck
		p.sample = supervise.Sample{Anon: anon, CPU: p.sample.CPU + each}
		p.r.mu.Unlock()
	}
}

// burnFor lets the process use processor time, and answer only after a time.
func (p *fakeProcess) burnFor(stuck, each time.Duration) (stop chan struct{}) {
	stop = make(chan struct{})
	begin := time.Now()
	p.r.mu.Lock()
	p.stuck, p.answer = true, make(chan struct{})
	p.r.mu.Unlock()
	go func() {
		for {
			select {
			case <-p.done:
				return
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			p.r.mu.Lock()
			if p.sample.Anon, p.sample.CPU = 1<<20, p.sample.CPU+each; p.stuck && time.Since(begin) >= stuck {
				p.stuck = false
				close(p.answer)
			}
			p.r.mu.Unlock()
		}
	}()
	return stop
}

func (p *fakeProcess) prioritiesSet() []supervise.Priority {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	return slices.Clone(p.priorities)
}

// guarded is a process with one request in flight.
func guarded(t *testing.T, edit func(*workers.Options)) (h *harness, r *workers.Route, in *workers.Instance) {
	t.Helper()
	h = open(t, t.TempDir(), edit)
	h.put("w1", "export default 0")
	r, err := h.Lookup(t.Context(), h.host("w1"))
	if err != nil {
		t.Fatal(err)
	}
	if in, err = r.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, r, in
}

// TestGuardCPU holds when a process is ended for its processor time: silent and
// burning, for its limit, and not a second longer; silence alone and work alone
// are no reason.
func TestGuardCPU(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stuck bool
		each  time.Duration // of processor time in 10 ms
		ended bool
	}{
		{"endless loop", true, 10 * time.Millisecond, true},
		{"endless loop on half a processor", true, 5 * time.Millisecond, true},
		{"busy and answering", false, 10 * time.Millisecond, false},
		{"waiting", true, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit = 2 * time.Second
				h, r, in := guarded(t, func(o *workers.Options) { o.CPULimit = limit })
				defer h.end()
				p := h.runtime.live()[0]
				sent, begin := time.Now(), time.Now()
				go p.burn(tt.stuck, tt.each, 1<<20)
				select {
				case <-p.done:
				case <-time.After(time.Minute):
				}
				took := time.Since(begin)
				if !tt.ended {
					if took < time.Minute {
						t.Errorf("ended after %s", took)
					}
					in.Release()
					return
				}
				wall := time.Duration(float64(limit) * float64(10*time.Millisecond) / float64(tt.each))
				if took < wall || took > wall+time.Second {
					t.Errorf("ended after %s, want %s and at most a second more", took, wall)
				}
				if got := in.Ended(sent, true); got != telemetry.OutcomeExceededCPU {
					t.Errorf("outcome %q", got)
				}
				in.Release()
				next, err := r.Acquire(t.Context())
				if err != nil {
					t.Fatalf("the next request: %v", err)
				}
				next.Release()
			})
		})
	}
}

// TestGuardAfterTheAnswer holds that what a worker does when its requests are
// answered has the same limit.
func TestGuardAfterTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 2 * time.Second
		h, _, in := guarded(t, func(o *workers.Options) { o.CPULimit = limit })
		defer h.end()
		p := h.runtime.live()[0]
		time.Sleep(time.Second)
		in.Release()
		time.Sleep(time.Second)
		begin := time.Now()
		go p.burn(true, 10*time.Millisecond, 1<<20)
		select {
		case <-p.done:
		case <-time.After(time.Minute):
		}
		if took := time.Since(begin); took > limit+3*time.Second {
			t.Errorf("ended after %s", took)
		}
	})
}

// TestGuardBackground holds when a process has only what others leave of the
// processor: while it computes without a pause, and gets something.
func TestGuardBackground(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stuck time.Duration // then it answers
		each  time.Duration // of processor time in 10 ms
		want  []supervise.Priority
	}{
		{"a pause after a second", time.Second, 10 * time.Millisecond, []supervise.Priority{supervise.Background, supervise.Normal}},
		{"endless", time.Hour, 10 * time.Millisecond, []supervise.Priority{supervise.Background}},
		{"short", 50 * time.Millisecond, 10 * time.Millisecond, nil},
		{"waiting", time.Hour, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _, in := guarded(t, func(o *workers.Options) { o.CPULimit = time.Minute })
				defer h.end()
				p := h.runtime.live()[0]
				stop := p.burnFor(tt.stuck, tt.each)
				time.Sleep(5 * time.Second)
				if got := p.prioritiesSet(); !slices.Equal(got, tt.want) {
					t.Errorf("in the background: %v, want %v", got, tt.want)
				}
				close(stop)
				in.Release()
			})
		})
	}
	t.Run("starved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, _, in := guarded(t, func(o *workers.Options) { o.CPULimit = time.Minute })
			defer h.end()
			p := h.runtime.live()[0]
			stop := p.burnFor(time.Hour, 10*time.Millisecond)
			time.Sleep(time.Second)
			close(stop) // others take the whole machine
			time.Sleep(5 * time.Second)
			got := p.prioritiesSet()
			for i, priority := range got { // in turn, each for a second
				if want := []supervise.Priority{supervise.Background, supervise.Normal}[i%2]; priority != want {
					t.Errorf("priorities %v", got)
				}
			}
			if len(got) < 4 || len(got) > 6 {
				t.Errorf("in 5 s without a processor it got %v", got)
			}
			in.Release()
		})
	})
}

// TestGuardMemory holds that one look is not enough, since garbage may be
// collected before the next.
func TestGuardMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, in := guarded(t, func(o *workers.Options) { o.MemoryLimit = 64 << 20 })
		defer h.end()
		p := h.runtime.live()[0]
		set := func(anon int64) {
			p.r.mu.Lock()
			p.sample.Anon = anon
			p.r.mu.Unlock()
			time.Sleep(110 * time.Millisecond)
		}
		alive := func(when string) {
			t.Helper()
			if len(h.runtime.live()) != 1 {
				t.Fatalf("ended %s", when)
			}
		}
		set(60 << 20)
		time.Sleep(time.Minute)
		alive("below the limit")
		set(100 << 20)
		set(40 << 20)
		alive("by garbage that was collected")
		sent := time.Now()
		set(100 << 20)
		time.Sleep(time.Second)
		if len(h.runtime.live()) != 0 {
			t.Error("not ended beyond the limit")
		}
		if got := in.Ended(sent, true); got != telemetry.OutcomeExceededMemory {
			t.Errorf("outcome %q", got)
		}
		in.Release()
	})
}

// TestGuilt holds who is blamed: of the requests that the process had read, the
// one that was sent last, and exactly one.
func TestGuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r, first := guarded(t, func(o *workers.Options) { o.CPULimit = time.Second })
		defer h.end()
		ins := []*workers.Instance{first}
		for range 3 {
			in, err := r.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ins = append(ins, in)
		}
		p := h.runtime.live()[0]
		now := time.Now()
		sent := []time.Time{now, now.Add(time.Millisecond), now.Add(time.Millisecond), now.Add(2 * time.Millisecond)}
		read := []bool{true, true, true, false} // the last one waits in the socket
		go p.burn(true, 10*time.Millisecond, 1<<20)
		<-p.done
		got := make([]string, len(ins))
		var wg sync.WaitGroup
		for i, in := range ins {
			wg.Go(func() {
				got[i] = in.Ended(sent[i], read[i])
				in.Release()
			})
		}
		wg.Wait()
		if got[0] != telemetry.OutcomeUnknown || got[3] != telemetry.OutcomeUnknown {
			t.Errorf("outcomes %q", got)
		}
		slices.Sort(got)
		if got[0] != telemetry.OutcomeExceededCPU || got[1] != telemetry.OutcomeUnknown {
			t.Errorf("outcomes %q, want one that is blamed", got)
		}
	})
}

// TestEndedOfALivingProcess holds that a connection that broke by itself is no
// reason to wait.
func TestEndedOfALivingProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, in := guarded(t, nil)
		defer h.end()
		p := h.runtime.live()[0]
		p.r.mu.Lock()
		p.sample.Anon = 1 << 20
		p.r.mu.Unlock()
		begin := time.Now()
		if got := in.Ended(begin, true); got != "" || time.Since(begin) != 0 {
			t.Errorf("%q after %s", got, time.Since(begin))
		}
		in.Release()
	})
}

// TestOutOfMemory holds that a heap that is full is told from a crash.
func TestOutOfMemory(t *testing.T) {
	for _, full := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h, _, in := guarded(t, nil)
			defer h.end()
			p := h.runtime.live()[0]
			p.heapFull = full
			sent := time.Now()
			p.end(true)
			want := ""
			if full {
				want = telemetry.OutcomeExceededMemory
			}
			if got := in.Ended(sent, true); got != want {
				t.Errorf("outcome %q, want %q", got, want)
			}
			in.Release()
		})
	}
}
