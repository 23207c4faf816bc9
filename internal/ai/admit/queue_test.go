package admit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/selvage-dev/selvage/internal/ai/admit"
)

// TestNobodyStarves has one subject send a hundred jobs before another sends one.
func TestNobodyStarves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := admit.New(1, 1000)
		hold, err := q.Acquire(t.Context(), "greedy")
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 200)
		send := func(subject string) {
			go func() {
				release, err := q.Acquire(t.Context(), subject)
				if err != nil {
					t.Error(err)
					return
				}
				order <- subject
				release()
			}()
			synctest.Wait()
		}
		for range 100 {
			send("greedy")
		}
		send("modest")
		send("modest")
		hold()
		synctest.Wait()
		place := map[string][]int{}
		for i := range 102 {
			s := <-order
			place[s] = append(place[s], i)
		}
		if m := place["modest"]; len(m) != 2 || m[0] > 1 || m[1] > 3 {
			t.Errorf("the modest one was served at %v", m)
		}
		if running, waiting := q.Load(); running != 0 || waiting != 0 {
			t.Errorf("%d run and %d wait at the end", running, waiting)
		}
	})
}

func TestFullAndLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := admit.New(1, 1)
		release, err := q.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := q.Acquire(ctx, "b")
			left <- err
		}()
		synctest.Wait()
		if _, err := q.Acquire(t.Context(), "c"); !errors.Is(err, admit.ErrFull) {
			t.Errorf("a full queue: %v", err)
		}
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		release()
		release, err = q.Acquire(t.Context(), "d")
		if err != nil {
			t.Fatal(err)
		}
		release()
		if running, waiting := q.Load(); running != 0 || waiting != 0 {
			t.Errorf("%d run and %d wait at the end", running, waiting)
		}
	})
}
