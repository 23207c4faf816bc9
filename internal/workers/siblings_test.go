package workers_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

// hot opens a service that may give a version four processes and judges it every
// 5 ms; work is what all of them have to do, in percent of a core.
func hot(t *testing.T, edit func(*workers.Options)) (h *harness, work *atomic.Int64) {
	t.Helper()
	work = new(atomic.Int64)
	h = open(t, t.TempDir(), func(o *workers.Options) {
		o.WorkerProcesses, o.ScalePeriod = 4, 5*time.Millisecond
		if edit != nil {
			edit(o)
		}
	})
	h.runtime.work = work
	t.Cleanup(h.end)
	return h, work
}

// hold begins n requests and returns what ends them.
func (h *harness) begin(host string, n int) (list []*workers.Instance, end func()) {
	h.t.Helper()
	r := h.route(host)
	for range n {
		in, err := r.Acquire(h.t.Context())
		if err != nil {
			h.t.Fatal(err)
		}
		list = append(list, in)
	}
	return list, func() {
		for _, in := range list {
			in.Release()
		}
	}
}

func (h *harness) processes(version string) (n int) {
	for _, p := range h.runtime.live() {
		if p.version == version {
			n++
		}
	}
	return n
}

// TestHotVersionGetsProcesses holds that a saturated version gets more processes,
// up to the bound, that requests go to the one with the fewest, and that they go
// again, without a request failing, when it is calm.
func TestHotVersionGetsProcesses(t *testing.T) {
	h, work := hot(t, nil)
	v := h.put("app", "export default 1").Version.ID
	work.Store(400)
	_, end := h.begin(h.host("app"), 16)
	eventually(t, "four processes", func() bool { return h.processes(v) == 4 })
	time.Sleep(50 * time.Millisecond)
	if n := h.processes(v); n != 4 {
		t.Errorf("%d processes, more than the bound", n)
	}
	// The 16 are where they began; the next ones go where nothing is.
	more, endMore := h.begin(h.host("app"), 12)
	seen := make(map[*workers.Instance]int)
	for _, in := range more {
		seen[in]++
	}
	if len(seen) != 3 {
		t.Errorf("12 requests went to %d processes, want the 3 that had none", len(seen))
	}
	for _, n := range seen {
		if n != 4 {
			t.Errorf("they were not spread evenly: %v", seen)
		}
	}
	end()
	endMore()
	var failed atomic.Int64
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	for range 4 {
		visitors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := h.serve(h.host("app")); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	work.Store(0)
	eventually(t, "one process", func() bool { return h.processes(v) == 1 })
	close(stop)
	visitors.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d requests failed", n)
	}
	if _, err := h.serve(h.host("app")); err != nil {
		t.Error(err)
	}
}

// TestWaitingIsNotHot holds that requests that merely wait get no process.
func TestWaitingIsNotHot(t *testing.T) {
	h, work := hot(t, nil)
	v := h.put("app", "export default 1").Version.ID
	work.Store(20)
	_, end := h.begin(h.host("app"), 100)
	time.Sleep(150 * time.Millisecond)
	end()
	// Nor does one request at a time, which no other process could share.
	work.Store(100)
	_, end = h.begin(h.host("app"), 1)
	time.Sleep(150 * time.Millisecond)
	end()
	if n := h.processes(v); n != 1 || h.runtime.count() != 1 {
		t.Errorf("%d processes of %d starts", n, h.runtime.count())
	}
}

// TestHotVersionIsReplaced holds that all processes of a version that is replaced
// end, and that those that a deployment drops take no request any more.
func TestHotVersionIsReplaced(t *testing.T) {
	h, work := hot(t, nil)
	v := h.put("app", "export default 1").Version.ID
	work.Store(400)
	_, end := h.begin(h.host("app"), 16)
	eventually(t, "four processes", func() bool { return h.processes(v) == 4 })
	work.Store(0)
	next := h.put("app", "export default 2").Version.ID
	if got, err := h.serve(h.host("app")); err != nil || got != next {
		t.Errorf("%s answers (%v)", got, err)
	}
	end()
	eventually(t, "the old processes to end", func() bool { return h.processes(v) == 0 })
	// New rules for what a worker may reach replace all of them too.
	work.Store(400)
	_, end = h.begin(h.host("app"), 16)
	eventually(t, "four processes", func() bool { return h.processes(next) == 4 })
	old := h.runtime.live()
	if err := h.SetEgress(t.Context(), account, "app", workers.EgressPolicy{}); err != nil {
		t.Fatal(err)
	}
	end()
	eventually(t, "processes with the old rules to end", func() bool {
		for _, p := range old {
			select {
			case <-p.done:
			default:
				return false
			}
		}
		return true
	})
}

// TestHotProcessDies holds that the death of any process leaves the others
// answering, the first one's too.
func TestHotProcessDies(t *testing.T) {
	h, work := hot(t, nil)
	v := h.put("app", "export default 1").Version.ID
	work.Store(200)
	_, end := h.begin(h.host("app"), 8)
	eventually(t, "two processes", func() bool { return h.processes(v) >= 2 })
	end()
	first := h.runtime.live()[0]
	starts := h.runtime.count()
	first.end(true)
	eventually(t, "the dead one to be forgotten", func() bool {
		for _, in := range h.Instances() {
			if in.PID == first.pid {
				return false
			}
		}
		return true
	})
	if _, err := h.serve(h.host("app")); err != nil {
		t.Error(err)
	}
	if h.runtime.count() > starts+2 {
		t.Errorf("%d starts after one death", h.runtime.count()-starts)
	}
}

// TestHotVersionTakesNobodysPlace holds that growing stops no other worker, and
// that a start that fails is not tried again at once.
func TestHotVersionTakesNobodysPlace(t *testing.T) {
	h, work := hot(t, func(o *workers.Options) { o.MaxProcesses = 2 })
	other := h.put("other", "export default 0").Version.ID
	v := h.put("app", "export default 1").Version.ID
	work.Store(400)
	_, end := h.begin(h.host("app"), 16)
	time.Sleep(100 * time.Millisecond)
	if h.processes(other) != 1 || h.processes(v) != 1 {
		t.Errorf("%d of the idle worker, %d of the hot one", h.processes(other), h.processes(v))
	}
	end()

	h2, work2 := hot(t, nil)
	h2.put("app", "export default 1")
	before := h2.runtime.count()
	work2.Store(400)
	h2.runtime.fail(errors.New("no memory"))
	_, end = h2.begin(h2.host("app"), 16)
	eventually(t, "a start that fails", func() bool { return h2.runtime.count() > before })
	time.Sleep(50 * time.Millisecond)
	if n := h2.runtime.count() - before; n > 1 {
		t.Errorf("%d starts in ten periods", n)
	}
	h2.runtime.fail(nil)
	end()
}

// TestCloseWhileGrowing holds that a process that comes up late ends too.
func TestCloseWhileGrowing(t *testing.T) {
	h, work := hot(t, nil)
	h.put("app", "export default 1")
	h.runtime.mu.Lock()
	h.runtime.delay = 50 * time.Millisecond
	h.runtime.mu.Unlock()
	work.Store(400)
	_, end := h.begin(h.host("app"), 16)
	eventually(t, "another start", func() bool { return h.runtime.count() > 1 })
	end()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := len(h.runtime.live()); n != 0 {
		t.Errorf("%d processes outlive the service", n)
	}
}
