package e2e

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHotWorkerGetsAProcess computes until the platform starts a second process,
// and holds that no request fails while it comes, and that an idle worker beside
// it gets none.
func TestHotWorkerGetsAProcess(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.env = append(p.env, "SELVAGE_WORKER_PROCESSES=2")
	p.stop(t)
	p.up(t)
	p.must(t, worker(t, "busy", `export default { fetch() {
		let x = 1
		for (let i = 0; i < 1_000_000; i++) x = (x * 48271) % 2147483647
		return new Response("done " + (x > 0))
	} }`), "deploy")
	p.must(t, worker(t, "calm", hello("calm")), "deploy")
	p.get(t, p.host("calm"), "/")
	var failed atomic.Int64
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	for range 8 {
		visitors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := http.DefaultClient.Do(p.request(t, http.MethodGet, p.host("busy"), "/", nil))
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				if err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}
	count := func() map[string]int {
		status, err := p.client(t).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := make(map[string]int)
		for _, w := range status.Workers {
			n[w.Script]++
		}
		return n
	}
	var n map[string]int
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && n["busy"] < 2; time.Sleep(200 * time.Millisecond) {
		n = count()
	}
	close(stop)
	visitors.Wait()
	if n["busy"] != 2 || n["calm"] != 1 {
		t.Errorf("processes: %v, want 2 of the busy worker and 1 of the calm one", n)
	}
	if n := failed.Load(); n != 0 {
		t.Errorf("%d requests failed", n)
	}
}
