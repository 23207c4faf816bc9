package pages_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/pages"
	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// grace is short here, so that much is swept. An upload that takes longer may
// find that its contents went.
const grace = 1500 * time.Millisecond

// TestSweepWithUploads has contents swept while sites that consist of them are
// uploaded, deployed and deleted at random times. What was deployed can be read;
// what nothing refers to goes in the end.
func TestSweepWithUploads(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := open(t, t.TempDir(), func(o *pages.Options) { o.BlobGrace = grace })
	f.project("web")
	w := f.sweeper(t)
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	begun := time.Now()
	var wg sync.WaitGroup
	swept := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			n, err := w.Sweep(context.WithoutCancel(ctx))
			if err != nil {
				t.Error(err)
			}
			swept += n.Blobs
			time.Sleep(time.Millisecond)
		}
	})
	all := deployments{sites: make(map[string]map[string]string)}
	for n := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, n))
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := f.uploadRandom(context.WithoutCancel(ctx), &all, random, time.Since(begun)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(all.sites) < 2 || swept == 0 {
		t.Fatalf("%d deployments, %d contents swept: nothing was tried", len(all.sites), swept)
	}
	time.Sleep(grace)
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, site := range all.sites {
		for p, want := range site {
			if status, got := f.get(host(id[:8], "web"), p); status != 200 || got != want {
				t.Errorf("%s of %s = %d %q, want %q", p, id, status, got, want)
			}
		}
		if err := f.DeleteDeployment(t.Context(), account, "web", id, true); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.blobs(t); n != 0 {
		t.Errorf("%d contents are left that nothing refers to", n)
	}
}

// deployments are those that are kept, with their files, by id.
type deployments struct {
	mu    sync.Mutex
	sites map[string]map[string]string
}

// uploadRandom deploys a site of contents that were used some seconds ago or are
// new, and deletes another one.
func (f *fixture) uploadRandom(ctx context.Context, all *deployments, random *rand.Rand, since time.Duration) error {
	site := make(map[string]string)
	for range 1 + random.IntN(5) {
		n := int(since/(100*time.Millisecond)) - random.IntN(40)
		site[fmt.Sprintf("/%d.%s", n, []string{"txt", "odd"}[n&1])] = fmt.Sprint("content ", n)
	}
	start := time.Now()
	err := f.upload(ctx, "web", site)
	var d pages.Deployment
	if err == nil {
		d, err = f.Deploy(ctx, account, "web", &pages.DeployRequest{Manifest: manifest(site), Commit: pages.Commit{Branch: fmt.Sprint("b", random.IntN(3))}})
	}
	if err != nil {
		if time.Since(start) > grace/2 {
			return nil // a busy machine: more time went by than is promised
		}
		return fmt.Errorf("after %s: %w", time.Since(start), err)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	var victim string
	if len(all.sites) >= 4 {
		for victim = range all.sites {
			break
		}
		delete(all.sites, victim)
	}
	all.sites[d.ID] = site
	if victim == "" {
		return nil
	}
	return f.DeleteDeployment(ctx, account, "web", victim, true)
}

// sweeper is the service that removes what no version and no site refers to.
func (f *fixture) sweeper(t *testing.T) *workers.Service {
	t.Helper()
	run, err := os.MkdirTemp("", "r") //nolint:usetesting // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	w, err := workers.New(workers.Options{
		Store: f.store, Runtime: nothingRuns{}, Doors: nothingRuns{}, RunDir: run, Domain: domain,
		AccountBySubdomain: func(string) (string, bool) { return "", false },
		Subdomain:          func(string) string { return "" },
		IssueTicket:        func(workers.Ticket) string { return "" },
		VerifyTicket:       func(string, string) (workers.Ticket, error) { return workers.Ticket{}, errTicket },
		SessionLifetime:    time.Millisecond, BlobGrace: grace, Referenced: f.Blobs,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

type nothingRuns struct{}

var errNothing = errors.New("nothing runs here")

func (nothingRuns) Start(context.Context, string, *workerd.Worker, func(workerd.LogLine)) (workers.Process, error) {
	return nil, errNothing
}

func (nothingRuns) MaxCompatibilityDate(context.Context) (string, error) { return "", errNothing }

func (nothingRuns) Open(context.Context, string, workers.DoorSpec) (io.Closer, error) {
	return nil, errNothing
}

// blobs counts what is stored.
func (f *fixture) blobs(t *testing.T) int {
	t.Helper()
	n := 0
	shards, err := os.ReadDir(f.store.Dir + "/blobs")
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		if len(shard.Name()) == 2 {
			entries, err := os.ReadDir(f.store.Dir + "/blobs/" + shard.Name())
			if err != nil {
				t.Fatal(err)
			}
			n += len(entries)
		}
	}
	return n
}
