package workers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

const classBody = `export class Counter extends DurableObject {} // %d`

// objectScript uploads a script with one class of objects.
func (h *harness) objectScript(name string, n int, m *workers.Migrations) error {
	u := h.esm(fmt.Sprintf(classBody, n), counterBinding)
	u.Migrations = m
	_, err := h.PutScript(context.Background(), account, name, u)
	return err
}

// TestOneHost tries to get two processes to have the objects of a script open:
// deploys, gradual deployments, rollbacks, secrets, previews, crashes, idle
// stops, evictions and requests, all at a time.
func TestOneHost(t *testing.T) {
	h := open(t, t.TempDir(), func(o *workers.Options) {
		o.MaxProcesses, o.MaxStarts = 5, 3
		o.IdleTimeout, o.HandoverTimeout = 20*time.Millisecond, 200*time.Millisecond
	})
	t.Cleanup(h.end)
	h.runtime.delay = 2 * time.Millisecond
	ctx := t.Context()
	if err := h.objectScript("w1", 0, &workers.Migrations{NewTag: "v1", Steps: []workers.MigrationStep{{NewSQLite: []string{"Counter"}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.SetSubdomain(ctx, account, "w1", true, nil); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	work := func(what string, f func(r *rand.Rand, i int) error) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(len(what))))
			for i := 0; time.Now().Before(deadline); i++ {
				if err := f(r, i); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	versions := func() []workers.Version {
		all, err := h.Versions(ctx, account, "w1", 0, 5)
		if err != nil {
			t.Error(err)
		}
		return all
	}
	for range 2 {
		work("upload", func(_ *rand.Rand, i int) error { return h.objectScript("w1", i, nil) })
	}
	work("deploy", func(r *rand.Rand, _ int) error {
		all := versions()
		plan := []workers.DeploymentVersion{{VersionID: all[r.IntN(len(all))].ID, Percentage: 60}, {VersionID: all[r.IntN(len(all))].ID, Percentage: 40}}
		if plan[0].VersionID == plan[1].VersionID {
			plan = []workers.DeploymentVersion{{VersionID: plan[0].VersionID, Percentage: 100}}
		}
		_, err := h.Deploy(ctx, account, "w1", workers.DeployRequest{Versions: plan, Force: true})
		return err
	})
	work("request", func(*rand.Rand, int) error { _, err := h.serve(h.host("w1")); return err })
	work("hold", func(r *rand.Rand, _ int) error {
		route, err := h.Lookup(ctx, h.host("w1"))
		if err != nil {
			return err
		}
		in, err := route.Acquire(ctx)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(r.IntN(30)) * time.Millisecond)
		in.Release()
		return nil
	})
	work("preview", func(r *rand.Rand, _ int) error {
		all := versions()
		if route, err := h.Lookup(ctx, all[r.IntN(len(all))].ID[:8]+"-"+h.host("w1")); err == nil {
			if in, err := route.Acquire(ctx); err == nil { // it may be refused for lack of room
				in.Release()
			}
		}
		return nil
	})
	work("crash", func(r *rand.Rand, _ int) error {
		time.Sleep(40 * time.Millisecond)
		if live := h.runtime.live(); len(live) > 0 {
			p := live[r.IntN(len(live))]
			// Only one that has served: else its script is taken for broken.
			if time.Since(p.started) > 20*time.Millisecond {
				p.end(true)
			}
		}
		return nil
	})
	wg.Wait()
	h.runtime.mu.Lock()
	defer h.runtime.mu.Unlock()
	if len(h.runtime.twice) > 0 {
		t.Errorf("two processes had a namespace open %d times", len(h.runtime.twice))
	}
	t.Logf("%d processes were started", h.runtime.starts)
}
