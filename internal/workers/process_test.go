package workers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

// TestOneStart holds that concurrent first requests wait for one start, and
// that one of them giving up does not fail the others.
func TestOneStart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	h.put("w1", "export default 0")
	h.end()
	h = open(t, dir, nil)
	defer h.end()
	h.runtime.delay = 100 * time.Millisecond
	r, err := h.Lookup(t.Context(), h.host("w1"))
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := r.Acquire(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request that gave up got %v", err)
		}
	})
	for range 50 {
		wg.Go(func() {
			in, err := r.Acquire(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			in.Release()
		})
	}
	wg.Wait()
	if n := h.runtime.count(); n != 1 {
		t.Errorf("%d starts, want 1", n)
	}
}

func TestIdleStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, t.TempDir(), func(o *workers.Options) { o.IdleTimeout = time.Hour })
		defer h.end()
		h.put("w1", "export default 0")
		r, err := h.Lookup(t.Context(), h.host("w1"))
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour)
		if n := len(h.runtime.live()); n != 1 {
			t.Fatalf("%d processes with a request in flight, want 1", n)
		}
		in.Release()
		time.Sleep(50 * time.Minute)
		if n := len(h.runtime.live()); n != 1 {
			t.Fatalf("%d processes before the idle timeout, want 1", n)
		}
		time.Sleep(40 * time.Minute)
		if n := len(h.runtime.live()); n != 0 {
			t.Fatalf("%d processes after the idle timeout, want 0", n)
		}
		if _, err := h.serve(h.host("w1")); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeathBetweenRequests holds that a process that answers is replaced at
// once, however often it is killed.
func TestDeathBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, t.TempDir(), nil)
		defer h.end()
		h.put("w1", "export default 0")
		for round := range 20 {
			if _, err := h.serve(h.host("w1")); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for _, p := range h.runtime.live() {
				p.end(true)
			}
			synctest.Wait()
		}
	})
}

// TestCrashLoop holds that a process that dies of every request is answered at
// once after a few starts, and tried again after a while.
func TestCrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, t.TempDir(), nil)
		defer h.end()
		h.put("w1", "export default 0")
		r, err := h.Lookup(t.Context(), h.host("w1"))
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for range 8 {
			before := time.Now()
			in, err := r.Acquire(t.Context())
			if err == nil {
				for _, p := range h.runtime.live() {
					p.end(true) // while it has the request
				}
				synctest.Wait()
				in.Release()
			} else {
				if e := wantCode(t, err, workers.CodeCrashed); e.Status != 503 {
					t.Errorf("status %d", e.Status)
				}
				if refused == 0 && h.runtime.count() < 3 {
					t.Errorf("refused after %d starts", h.runtime.count())
				}
				refused++
			}
			if took := time.Since(before); took > time.Second {
				t.Errorf("an answer took %v", took)
			}
		}
		if refused == 0 {
			t.Error("a crash loop was never refused")
		}
		time.Sleep(time.Minute)
		if _, err := h.serve(h.host("w1")); err != nil {
			t.Errorf("after a minute: %v", err)
		}
		time.Sleep(time.Minute) // healthy
		for _, p := range h.runtime.live() {
			p.end(true)
		}
		synctest.Wait()
		if _, err := h.serve(h.host("w1")); err != nil {
			t.Errorf("after a healthy time: %v", err)
		}
	})
}

func TestMaxProcesses(t *testing.T) {
	h := open(t, t.TempDir(), func(o *workers.Options) { o.MaxProcesses, o.StartTimeout = 2, time.Second })
	defer h.end()
	for i := range 4 {
		h.put(fmt.Sprintf("w%d", i), fmt.Sprintf("export default %d", i))
	}
	if n := len(h.runtime.live()); n != 2 {
		t.Errorf("%d processes, want 2", n)
	}
	var held []*workers.Instance
	for i := range 2 {
		r, err := h.Lookup(t.Context(), h.host(fmt.Sprintf("w%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, in)
	}
	_, err := h.serve(h.host("w2"))
	wantCode(t, err, workers.CodeBusy)
	for _, in := range held {
		in.Release()
	}
	eventually(t, "there is room again", func() bool { _, err := h.serve(h.host("w2")); return err == nil })
}

// TestCloseCutsOff holds that Close waits for requests as long as it may.
func TestCloseCutsOff(t *testing.T) {
	h := open(t, t.TempDir(), nil)
	defer func() { _ = h.store.Close() }()
	h.put("w1", "export default 0")
	r, err := h.Lookup(t.Context(), h.host("w1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close = %v", err)
	}
	if n := len(h.runtime.live()); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if _, err := r.Acquire(t.Context()); !errors.Is(err, workers.ErrClosed) {
		t.Errorf("acquire after close: %v", err)
	}
}

func TestLeftoverRunFolders(t *testing.T) {
	run := t.TempDir()
	for _, name := range []string{"0123456789", "keep-me"} {
		if err := os.MkdirAll(filepath.Join(run, name, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h := open(t, t.TempDir(), func(o *workers.Options) { o.RunDir = run })
	defer h.end()
	if _, err := os.Stat(filepath.Join(run, "0123456789")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a leftover folder is still there (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(run, "keep-me")); err != nil {
		t.Errorf("a folder that is not ours: %v", err)
	}
}

// TestStoreGone holds that a change that cannot be saved is refused and leaves
// nothing, neither in the store nor running.
func TestStoreGone(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, nil)
	v := h.put("w1", "export default 0").Version
	u := h.esm("export default 1")
	if _, err := h.serve(h.host("w1")); err != nil { // into the cache
		t.Fatal(err)
	}
	if err := h.store.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PutScript(t.Context(), account, "w1", u); err == nil {
		t.Fatal("an upload was acknowledged that cannot have been saved")
	}
	if _, err := h.PutSecret(t.Context(), account, "w1", "A", "a", workers.Origin{}); err == nil {
		t.Fatal("a secret was acknowledged that cannot have been saved")
	}
	if got, err := h.serve(h.host("w1")); err != nil || got != v.ID {
		t.Errorf("%q answers (%v), want the version before", got, err)
	}
	eventually(t, "the refused version's process ends", func() bool { return len(h.runtime.live()) == 1 })
	h.end()
	h = open(t, dir, nil)
	defer h.end()
	if got, err := h.serve(h.host("w1")); err != nil || got != v.ID {
		t.Errorf("after a restart %q answers (%v), want the version before", got, err)
	}
}
