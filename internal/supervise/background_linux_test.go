package supervise_test

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/selvage-dev/selvage/internal/supervise"
)

// TestBackground asks the kernel for the class of every thread.
func TestBackground(t *testing.T) {
	out := newLines()
	p := start(t, "sleep", out)
	out.first(t)
	policies := func() map[uint32]int {
		n := make(map[uint32]int)
		threads, err := os.ReadDir("/proc/" + strconv.Itoa(p.Pid()) + "/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				t.Fatal(err)
			}
			attr, err := unix.SchedGetAttr(tid, 0)
			if err != nil {
				t.Fatal(err)
			}
			n[attr.Policy]++
		}
		return n
	}
	if !supervise.CanBackground() {
		if err := p.SetPriority(supervise.Background); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("without a way back: %v", err)
		}
		if n := policies(); n[unix.SCHED_IDLE] != 0 {
			t.Errorf("threads by policy: %v", n)
		}
		return
	}
	for _, to := range []supervise.Priority{supervise.Background, supervise.Normal} {
		if err := p.SetPriority(to); err != nil {
			t.Fatal(err)
		}
		want := uint32(unix.SCHED_NORMAL)
		if to == supervise.Background {
			want = unix.SCHED_IDLE
		}
		if n := policies(); len(n) != 1 || n[want] == 0 {
			t.Errorf("priority %v: threads by policy: %v", to, n)
		}
	}
	p.Kill()
	if err := p.SetPriority(supervise.Background); !errors.Is(err, supervise.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}
