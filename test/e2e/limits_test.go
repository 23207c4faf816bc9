package e2e

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hungry takes what its path says.
const hungry = `
	const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
	globalThis.kept = [];
	export default { async fetch(request) {
		switch (new URL(request.url).pathname) {
		case "/loop": for (;;);
		case "/loop-later": await sleep(50); for (;;);
		case "/slow": await sleep(3000); return new Response("slow");
		case "/heap": for (;;) kept.push({ a: [Math.random(), Math.random()], s: "x" + Math.random() });
		case "/buffers": for (;;) { const b = new Uint8Array(16 << 20); b.fill(1); kept.push(b); await sleep(1); }
		case "/buffers-sync": for (;;) { const b = new Uint8Array(16 << 20); b.fill(1); kept.push(b); }
		case "/throw": throw new TypeError("boom");
		case "/throw-later": await sleep(1); throw "a string";
		case "/fetches": {
			const n = Number(new URL(request.url).search.slice(1));
			try {
				for (let i = 0; i < n; i++) await (await fetch("http://" + request.headers.get("host") + "/")).text();
			} catch (e) { return new Response(e.message); }
			return new Response("fetched " + n);
		}
		case "/hung": await new Promise(() => {});
		case "/own-500": return new Response(null, { status: 500 });
		case "/garbage": for (let i = 0; i < 200; i++) { new Uint8Array(8 << 20).fill(i); await sleep(1); } return new Response("tidy");
		}
		return new Response("ok");
	} };`

const hungryConfig = `{"name":"hungry","main":"index.js","compatibility_date":"2026-09-01","limits":{"cpu_ms":300,"subrequests":5}}`

// TestCPULimit holds that a loop is ended within its limit and a second, that only
// the request that loops is blamed, and that the next one is answered at once.
func TestCPULimit(t *testing.T) {
	p := start(t)
	p.must(t, project(t, map[string]string{"wrangler.json": hungryConfig, "index.js": hungry}), "deploy")
	host := p.host("hungry")
	for _, path := range []string{"/loop", "/loop-later"} {
		t.Run(path, func(t *testing.T) {
			var guilty, shared answer
			var took, bound time.Duration
			for range 5 { // a busy machine may need luck
				p.get(t, host, "/")
				var wg sync.WaitGroup
				wg.Go(func() { shared = p.get(t, host, "/slow") })
				time.Sleep(100 * time.Millisecond)
				begin := time.Now()
				guilty = p.get(t, host, path)
				took = time.Since(begin)
				wg.Wait()
				if bound = time.Duration(float64(300*time.Millisecond+time.Second) * starvation(t)); took < bound {
					break
				}
			}
			if guilty.Status != http.StatusServiceUnavailable || !strings.Contains(guilty.Body, "error code: 1102") {
				t.Errorf("%d %q", guilty.Status, guilty.Body)
			}
			if took >= bound {
				t.Errorf("ended after %s, want %s", took, bound)
			}
			if next := p.get(t, host, "/"); next.Body != "ok" {
				t.Errorf("the next request: %d %q", next.Status, next.Body)
			}
			if shared.Status != http.StatusServiceUnavailable || shared.Header.Get("Retry-After") == "" || strings.Contains(shared.Body, "1102") {
				t.Errorf("who shared the process: %d %q", shared.Status, shared.Body)
			}
			log, _, _ := p.cli(t, "logs", guilty.Header.Get("CF-Ray"))
			if !strings.Contains(log, "exceededCpu") || !strings.Contains(log, "Worker exceeded CPU time limit.") {
				t.Errorf("the log of the ray:\n%s", log)
			}
		})
	}
}

// starvation is how much longer work takes than the processor time it uses, since
// the limit is one of processor time and tests run on busy machines.
func starvation(t *testing.T) float64 {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin, cpu := time.Now(), used()
	for used()-cpu < 100*time.Millisecond {
	}
	return max(1, float64(time.Since(begin))/float64(100*time.Millisecond))
}

// TestMemoryLimit holds that both kinds of bombs are ended, and that garbage is none.
func TestMemoryLimit(t *testing.T) {
	p := start(t)
	dir := project(t, map[string]string{"wrangler.json": strings.Replace(hungryConfig, "300", "20000", 1), "index.js": hungry})
	p.must(t, dir, "deploy")
	host := p.host("hungry")
	if a := p.get(t, host, "/garbage"); a.Body != "tidy" {
		t.Errorf("garbage: %d %q", a.Status, a.Body)
	}
	for _, path := range []string{"/heap", "/buffers", "/buffers-sync"} {
		t.Run(path, func(t *testing.T) {
			begin := time.Now()
			a := p.get(t, host, path)
			if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "error code: 1102") || !strings.Contains(a.Body, "memory") {
				t.Errorf("after %s: %d %q", time.Since(begin), a.Status, a.Body)
			}
			if next := p.get(t, host, "/"); next.Body != "ok" {
				t.Errorf("the next request: %d %q", next.Status, next.Body)
			}
			log, _, _ := p.cli(t, "logs", a.Header.Get("CF-Ray"))
			if !strings.Contains(log, "exceededMemory") {
				t.Errorf("the log of the ray:\n%s", log)
			}
		})
	}
}

// TestExceptionPage holds that an exception that nothing caught is told from a
// worker's own answer with the same status.
func TestExceptionPage(t *testing.T) {
	p := start(t)
	p.must(t, project(t, map[string]string{"wrangler.json": hungryConfig, "index.js": hungry}), "deploy")
	host := p.host("hungry")
	for _, path := range []string{"/throw", "/throw-later", "/hung"} {
		a := p.get(t, host, path)
		if a.Status != http.StatusInternalServerError || !strings.Contains(a.Body, "error code: 1101") || !strings.Contains(a.Body, a.Header.Get("CF-Ray")) {
			t.Errorf("%s: %d %q", path, a.Status, a.Body)
		}
		log, _, _ := p.cli(t, "logs", a.Header.Get("CF-Ray"))
		if !strings.Contains(log, " exception") {
			t.Errorf("%s: the log of the ray:\n%s", path, log)
		}
	}
	if a := p.get(t, host, "/own-500"); a.Status != http.StatusInternalServerError || a.Body != "" {
		t.Errorf("its own: %d %q", a.Status, a.Body)
	}
}

// TestSubrequestLimit holds that each request has its own count.
func TestSubrequestLimit(t *testing.T) {
	p := start(t)
	p.must(t, project(t, map[string]string{"wrangler.json": hungryConfig, "index.js": hungry}), "deploy")
	host := p.host("hungry")
	for range 3 {
		if a := p.get(t, host, "/fetches?5"); a.Body != "fetched 5" {
			t.Errorf("at the limit: %d %q", a.Status, a.Body)
		}
	}
	if a := p.get(t, host, "/fetches?6"); !strings.HasPrefix(a.Body, "Too many subrequests by single Worker invocation. The limit is 5") {
		t.Errorf("beyond: %d %q", a.Status, a.Body)
	}
}

// TestResponseDeadline holds that a worker has only so long to begin to answer.
func TestResponseDeadline(t *testing.T) {
	p := start(t, "--limits-response-timeout", "500ms")
	p.must(t, project(t, map[string]string{"wrangler.json": hungryConfig, "index.js": hungry}), "deploy")
	host := p.host("hungry")
	if a := p.get(t, host, "/slow"); a.Status != http.StatusGatewayTimeout || !strings.Contains(a.Body, "worker_timeout") {
		t.Errorf("%d %q", a.Status, a.Body)
	}
	if a := p.get(t, host, "/"); a.Body != "ok" {
		t.Errorf("the next: %d %q", a.Status, a.Body)
	}
}

// TestBusyIsNoBomb holds that a worker that makes as much garbage as it can, and
// keeps none of it, is not ended for its memory: 32 visitors have it read values
// of 100 KB into buffers.
func TestBusyIsNoBomb(t *testing.T) {
	p := start(t)
	p.must(t, project(t, map[string]string{
		"wrangler.jsonc": `{"name": "busy", "main": "index.js", "compatibility_date": "2026-09-01", "kv_namespaces": [{"binding": "KV"}]}`,
		"index.js": `export default { async fetch(req, env) {
			if (req.method === "PUT") { await env.KV.put("k", "v".repeat(100_000)); return new Response("ok"); }
			let n = 0;
			for (let i = 0; i < 10; i++) n += (await env.KV.get("k", "arrayBuffer")).byteLength;
			return new Response(String(n));
		} }`,
	}), "deploy")
	host := p.host("busy")
	resp, err := http.DefaultClient.Do(p.request(t, http.MethodPut, host, "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	pid := func() int {
		status, err := p.client(t).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(status.Workers) == 0 {
			return 0
		}
		return status.Workers[0].PID
	}
	before := pid()
	var asked, failed atomic.Int64
	var visitors sync.WaitGroup
	for end := time.Now().Add(10 * time.Second); asked.Load() < 32; asked.Add(1) {
		visitors.Go(func() {
			for time.Now().Before(end) {
				resp, err := http.DefaultClient.Do(p.request(t, http.MethodGet, host, "/", nil))
				if err != nil {
					failed.Add(1)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(body) != "1000000" {
					failed.Add(1)
					t.Logf("%d %.200s %v", resp.StatusCode, body, err)
					return
				}
			}
		})
	}
	visitors.Wait()
	if n, after := failed.Load(), pid(); n != 0 || before == 0 || after != before {
		t.Errorf("%d of 32 visitors failed; process %d, then %d", n, before, after)
	}
}

// TestBurst holds that a worker takes only so many requests in a minute, and that
// this is no matter of another worker.
func TestBurst(t *testing.T) {
	p := start(t, "--limits-requests-per-minute", "5")
	for _, name := range []string{"one", "two"} {
		p.must(t, worker(t, name, hello(name)), "deploy")
	}
	for time.Now().Second() > 50 { // all of it in one minute of the clock
		time.Sleep(time.Second)
	}
	for i := range 7 {
		a := p.get(t, p.host("one"), "/")
		if i < 5 && a.Status != http.StatusOK {
			t.Errorf("request %d: %d %q", i+1, a.Status, a.Body)
		}
		if i >= 5 && (a.Status != http.StatusTooManyRequests || !strings.Contains(a.Body, "1015") || a.Header.Get("Retry-After") == "") {
			t.Errorf("request %d: %d %q", i+1, a.Status, a.Body)
		}
	}
	if a := p.get(t, p.host("two"), "/"); a.Status != http.StatusOK {
		t.Errorf("the other worker: %d %q", a.Status, a.Body)
	}
}

// TestLimitsAreChecked holds that a limit that is none is refused at the deploy.
func TestLimitsAreChecked(t *testing.T) {
	p := start(t)
	dir := project(t, map[string]string{"wrangler.json": strings.Replace(hungryConfig, "300", "300001", 1), "index.js": hungry})
	if out, err := p.wrangler(t, dir, "deploy"); err == nil || !strings.Contains(out, "cpu_ms is 300001; use a number from 1 to 300000") {
		t.Errorf("%v: %s", err, tail(out, 500))
	}
}
