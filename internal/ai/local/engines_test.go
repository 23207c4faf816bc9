package local_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selvage-dev/selvage/internal/ai/local"
)

// model is one that counts how often it was opened and closed.
type model struct {
	closed *atomic.Int64
}

func (m *model) Close() error {
	m.closed.Add(1)
	return nil
}

type counts struct{ opened, closed atomic.Int64 }

func engines(t *testing.T, memory int64) (*local.Engines, *counts) {
	t.Helper()
	c := &counts{}
	return local.New(local.Options{Log: slog.New(slog.DiscardHandler), Idle: time.Minute, Memory: memory}), c
}

func (c *counts) open(dir string) (local.Engine, int64, error) {
	if dir == "broken" {
		return nil, 0, errors.New("broken")
	}
	c.opened.Add(1)
	time.Sleep(time.Second)
	return &model{closed: &c.closed}, 10, nil
}

func use(t *testing.T, e *local.Engines, c *counts, dir string, fn func()) {
	t.Helper()
	if err := e.Use(t.Context(), dir, c.open, func(local.Engine) error { fn(); return nil }); err != nil {
		t.Error(err)
	}
}

func TestOpenedOnceAndClosedWhenIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, c := engines(t, 100)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { use(t, e, c, "a", func() { time.Sleep(2 * time.Minute) }) })
		}
		wg.Wait()
		if c.opened.Load() != 1 || c.closed.Load() != 0 {
			t.Errorf("opened %d times, closed %d, while ten used it", c.opened.Load(), c.closed.Load())
		}
		time.Sleep(59 * time.Second)
		use(t, e, c, "a", func() {})
		time.Sleep(59 * time.Second)
		if n, _ := e.Loaded(); n != 1 || c.closed.Load() != 0 {
			t.Errorf("%d loaded, closed %d, before it was idle for a minute", n, c.closed.Load())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n, _ := e.Loaded(); n != 0 || c.closed.Load() != 1 {
			t.Errorf("%d loaded, closed %d, after", n, c.closed.Load())
		}
		e.Close()
	})
}

func TestMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, c := engines(t, 25)
		use(t, e, c, "a", func() {
			use(t, e, c, "b", func() {})
			time.Sleep(time.Second)
			use(t, e, c, "c", func() {}) // b makes room: a is in use
		})
		synctest.Wait()
		if n, bytes := e.Loaded(); n != 2 || bytes != 20 || c.closed.Load() != 1 {
			t.Errorf("%d loaded with %d bytes, closed %d", n, bytes, c.closed.Load())
		}
		e.Forget("a")
		e.Close()
		if c.closed.Load() != 3 {
			t.Errorf("closed %d of 3", c.closed.Load())
		}
		if err := e.Use(t.Context(), "a", c.open, nil); !errors.Is(err, local.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestForgottenWhileUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e, c := engines(t, 100)
		use(t, e, c, "a", func() {
			e.Forget("a")
			if c.closed.Load() != 0 {
				t.Error("it was closed in use")
			}
		})
		if c.closed.Load() != 1 {
			t.Errorf("closed %d times", c.closed.Load())
		}
		if err := e.Use(t.Context(), "broken", c.open, nil); err == nil {
			t.Error("a broken model opens")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Use(ctx, "b", c.open, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		e.Close()
	})
}
