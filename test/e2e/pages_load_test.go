package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/selvage-dev/selvage/client"
)

// TestPagesHammer deploys and rolls back while visitors load a page over HTTP, and then the file that it names: none
// fails, and none is of another deployment.
func TestPagesHammer(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.client(t)
	if _, err := c.CreatePagesProject(t.Context(), "busy", "main", nil); err != nil {
		t.Fatal(err)
	}
	deploy := func(n int) string {
		t.Helper()
		site, err := client.ReadAssets(t.Context(), fstest.MapFS{
			"index.html":                       {Data: fmt.Append(nil, n)},
			fmt.Sprintf("assets/app-%d.js", n): {Data: fmt.Append(nil, "generation ", n)},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.DeployPages(t.Context(), "busy", &client.PagesUpload{Assets: site})
		if err != nil || d.Failed() {
			t.Fatalf("deployment %d: %v %+v", n, err, d.Stage)
		}
		return d.ID
	}
	first := deploy(0)
	var over atomic.Bool
	var pages atomic.Int64
	var visitors sync.WaitGroup
	host := p.pagesHost("", "busy")
	for range 4 {
		visitors.Go(func() {
			for !over.Load() && !t.Failed() {
				page := p.asks(t, http.MethodGet, host, "/")
				file := p.asks(t, http.MethodGet, host, "/assets/app-"+page.Body+".js")
				if page.Status != http.StatusOK || file.Status != http.StatusOK || file.Body != "generation "+page.Body {
					t.Errorf("the page is %d %q, its file %d %q", page.Status, page.Body, file.Status, file.Body)
				}
				pages.Add(1)
			}
		})
	}
	for n := range rounds(50) {
		deploy(n + 1)
		if _, err := c.RollbackPages(t.Context(), "busy", first); err != nil {
			t.Error(err)
		}
	}
	over.Store(true)
	visitors.Wait()
	if pages.Load() < 10 {
		t.Errorf("only %d pages were loaded", pages.Load())
	}
	t.Logf("%d pages loaded during %d deployments and rollbacks", pages.Load(), 2*rounds(50))
}
