package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestObjectsElsewhere reaches objects from where they are not open: another
// script, the preview of an older version, and both versions of a gradual
// deployment; then while the host is deployed again and again.
func TestObjectsElsewhere(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{"wrangler.jsonc": objectsConfig("log", "Log", ""), "index.js": logSource("one")})
	out := p.must(t, dir, "deploy")
	first := regexp.MustCompile(`Current Version ID: ([0-9a-f-]{36})`).FindStringSubmatch(out)
	if first == nil {
		t.Fatalf("no version in:\n%s", out)
	}
	host := p.host("log")
	p.want(t, host, "/add?id=a", "1")
	edit(t, dir, "index.js", logSource("two"))
	p.must(t, dir, "deploy")
	p.want(t, host, "/add?id=b", "2")
	preview := first[1][:8] + "-" + host
	p.want(t, preview, "/", "one")
	p.want(t, preview, "/add?id=c", "3")
	p.want(t, host, "/add?id=d", "4")

	other := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "other", "main": "index.js", "compatibility_date": "2026-09-01",
			"durable_objects": {"bindings": [{"name": "OBJECT", "class_name": "Log", "script_name": "log"}]}}`,
		"index.js": strings.Replace(logSource("other"), "export class Log", "class Log", 1),
	})
	p.must(t, other, "deploy")
	p.want(t, p.host("other"), "/add?id=e", "5")
	p.want(t, host, "/add?id=f", "6")

	// Deleting the worker that another one binds.
	c := p.client(t)
	if err := c.DeleteScript(t.Context(), "log", false); err == nil || !strings.Contains(err.Error(), "10229") {
		t.Errorf("deleting a script that another one binds: %v", err)
	}
	p.want(t, host, "/add?id=g", "7")

	var calls atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if a := p.get(t, p.host("other"), fmt.Sprintf("/add?id=%d-%d", w, i)); a.Status != http.StatusOK {
					t.Errorf("a call from another script failed during a deploy: %d %s", a.Status, tail(a.Body, 400))
					return
				}
				calls.Add(1)
			}
		})
	}
	for i := range rounds(50) {
		if err := redeploy(t, c, "log", logSource(fmt.Sprintf("v%d", i))); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wg.Wait()
	if n := len(p.lines(t, host, "/all")); int64(n) != 7+calls.Load() {
		t.Errorf("%d lines after 7 and %d acknowledged calls", n, calls.Load())
	}
}
