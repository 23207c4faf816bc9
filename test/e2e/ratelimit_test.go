package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const limitWorker = `export default { async fetch(req, env) {
	try { return Response.json(await env.RL.limit(...(await req.json()))); }
	catch (e) { return new Response(e.name + ": " + e.message, { status: 400 }); }
} };`

func limited(t *testing.T, name, namespace string, limit, period int) string {
	t.Helper()
	return project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01",
			"ratelimits": [{"name": "RL", "namespace_id": %q, "simple": {"limit": %d, "period": %d}}]}`, name, namespace, limit, period),
		"index.js": limitWorker,
	})
}

// quiet waits until no window of the period ends within the next 5 seconds.
func quiet(period int64) {
	for time.Now().Unix()%period >= period-5 {
		time.Sleep(100 * time.Millisecond)
	}
}

func TestRateLimitBinding(t *testing.T) {
	t.Parallel()
	p := start(t)
	out := p.must(t, limited(t, "one", "1001", 20, 60), "deploy")
	if !strings.Contains(out, "RL") || !strings.Contains(out, "20 requests/60s") {
		t.Errorf("wrangler does not show the binding:\n%s", out)
	}
	p.must(t, limited(t, "two", "1001", 30, 60), "deploy")
	p.must(t, limited(t, "three", "1002", 1, 60), "deploy")
	call := func(worker, args string) answer {
		return do(t, p.request(t, http.MethodPost, p.host(worker), "/", strings.NewReader(args)))
	}
	quiet(60)
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			switch a := call("one", `[{"key":"k"}]`); a.Body {
			case `{"success":true}`:
				passed.Add(1)
			case `{"success":false}`:
				refused.Add(1)
			default:
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 20 || refused.Load() != 30 {
		t.Errorf("%d passed and %d were refused of 50 at a limit of 20", passed.Load(), refused.Load())
	}
	if a := call("one", `[{"key":"other"}]`); a.Body != `{"success":true}` {
		t.Errorf("another key: %s", a.Body)
	}
	// The second worker names the same namespace and allows 30.
	n := 0
	for range 15 {
		if call("two", `[{"key":"k"}]`).Body == `{"success":true}` {
			n++
		}
	}
	if n != 10 {
		t.Errorf("%d passed at a limit of 30 after 20 calls of another worker, want 10", n)
	}
	if a := call("three", `[{"key":"k"}]`); a.Body != `{"success":true}` {
		t.Errorf("another namespace: %s", a.Body)
	}
	for args, want := range map[string]string{
		`[]`:                        "TypeError: invalid rate limit options",
		`["k"]`:                     "TypeError: invalid rate limit options",
		`[{}]`:                      "TypeError: invalid key: undefined",
		`[{"key":7}]`:               "TypeError: invalid key: 7",
		`[{"key":"k","limits":1}]`:  "TypeError: bad rate limit options: [limits]",
		`[{"key":"k","period":3}]`:  "TypeError: unsupported period: 3",
		`[{"key":"k","limit":"x"}]`: "TypeError: limit must be a number: x",
		`[{"key":"k","delta":0}]`:   "RangeError: delta must be non-zero",
		`[{"key":"` + strings.Repeat("k", 5000) + `"}]`:  "Error: RateLimit: the key is longer than 4096 bytes",
		`[{"key":"` + strings.Repeat("k", 50000) + `"}]`: "longer than 4096 bytes",
	} {
		if a := call("three", args); a.Status != 400 || !strings.Contains(a.Body, want) {
			t.Errorf("limit(%.40s) = %d %.200s, want %q", args, a.Status, a.Body, want)
		}
	}
	quiet(60)
	if a := call("three", `[{"key":"`+strings.Repeat("ü", 2048)+`","delta":5}]`); a.Body != `{"success":true}` {
		t.Errorf("a key of 4096 bytes: %d %s", a.Status, a.Body)
	}
}

func TestRateLimitRefusedAtDeploy(t *testing.T) {
	t.Parallel()
	p := start(t)
	for name, c := range map[string]struct {
		namespace     string
		limit, period int
		want          string
	}{
		"period":    {"1", 10, 30, "10 or 60"},
		"limit":     {"1", 0, 60, "positive integer"},
		"namespace": {"mine", 1, 60, "positive integer"},
	} {
		out, err := p.wrangler(t, limited(t, "bad", c.namespace, c.limit, c.period), "deploy")
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
