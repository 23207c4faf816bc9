package pages_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestSwitchUnderLoad deploys and rolls back a hundred times while visitors read a
// page and then what it names: every answer is of one deployment, and none fails.
func TestSwitchUnderLoad(t *testing.T) {
	f := open(t, t.TempDir(), nil)
	f.project("web")
	site := func(n int) map[string]string {
		return map[string]string{"/index.html": fmt.Sprint(n), fmt.Sprintf("/app.%d.css", n): fmt.Sprint("css ", n), "/404.html": "no"}
	}
	first := f.deploy("web", "main", site(0))
	var done atomic.Bool
	var pages atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				status, page := f.get(host("", "web"), "/")
				if status != 200 {
					t.Errorf("a visitor gets %d %q", status, page)
					return
				}
				if status, css := f.get(host("", "web"), "/app."+page+".css"); status != 200 || css != "css "+page {
					t.Errorf("what page %s names is %d %q", page, status, css)
					return
				}
				pages.Add(1)
			}
		})
	}
	for n := 1; n <= 50 && !t.Failed(); n++ {
		f.deploy("web", "main", site(n))
		if _, err := f.Rollback(t.Context(), account, "web", first.ID); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	wg.Wait()
	if pages.Load() < 50 {
		t.Errorf("only %d pages were read", pages.Load())
	}
	t.Logf("%d pages", pages.Load())
}
