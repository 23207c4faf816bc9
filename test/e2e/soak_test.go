package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// soakWorker does a little of everything, over a bounded set of names, so that
// what it stores does not grow.
const soakWorker = `
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
	async fetch() { const n = (await this.ctx.storage.get("n") ?? 0) + 1; await this.ctx.storage.put("n", n); return new Response(String(n)); }
}
const must = (ok, what) => { if (!ok) throw new Error(what); };
const ops = {
	async hello() {},
	async cache(n) {
		const key = "https://soak.test/" + n;
		const hit = await caches.default.match(key);
		if (hit) { must((await hit.text()).length === 5000, "a cached body of another length"); return; }
		await caches.default.put(key, new Response("c".repeat(5000), { headers: { "cache-control": "max-age=5" } }));
	},
	async kv(n, env) {
		await env.KV.put("k" + n, "v".repeat(500 + n), { expirationTtl: 60 });
		must((await env.KV.get("k" + n)).startsWith("v"), "a KV value");
		if (n % 20 === 0) must((await env.KV.list({ limit: 50 })).keys.length > 0, "a KV list");
	},
	async d1(n, env) {
		await env.DB.prepare("INSERT OR REPLACE INTO t (id, v) VALUES (?, ?)").bind(n, "d".repeat(200)).run();
		must((await env.DB.prepare("SELECT v FROM t WHERE id = ?").bind(n).first("v")).length === 200, "a D1 row");
	},
	async object(n, env) { const r = await env.COUNTER.get(env.COUNTER.idFromName("o" + n % 10)).fetch("https://o/"); must(Number(await r.text()) > 0, "an object"); },
	async limit(n, env) { must(typeof (await env.RL.limit({ key: "u" + n + Math.random() })).success === "boolean", "a rate limit"); },
	async fetch(n, env, url) { const r = await fetch("http://" + url.host + "/?op=hello&n=" + n); must(await r.text() === "ok", "a fetch"); },
	async log(n) { console.log("soak", n, "x".repeat(100)); },
};
export default {
	async fetch(req, env, ctx) {
		const url = new URL(req.url);
		const n = Number(url.searchParams.get("n"));
		await ops[url.searchParams.get("op")](n, env, url);
		ctx.waitUntil(Promise.resolve());
		return new Response("ok");
	},
	async scheduled() { console.log("tick"); },
};`

// soakOps are the operations in the proportions in which they come.
func soakOps() []string {
	return []string{"hello", "hello", "cache", "cache", "cache", "kv", "kv", "d1", "object", "object", "limit", "limit", "fetch", "log"}
}

// soakTime is how long the load lasts: 20 minutes in full, or as long as
// SELVAGE_TEST_SOAK says.
func soakTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("SELVAGE_TEST_SOAK")); err == nil {
		return d
	}
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		return 20 * time.Minute
	}
	return 28 * time.Second
}

// TestSoak loads the platform with a mix of everything and holds that memory and
// descriptors of the platform and of the worker's process stay flat: in the last
// quarter of the time they are what they were in the second, but for noise.
func TestSoak(t *testing.T) {
	t.Parallel()
	p := start(t)
	host := p.deploySoak(t)
	var requests, failures atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	tr := &http.Transport{MaxIdleConnsPerHost: 8}
	for g := range 6 {
		load.Go(func() {
			c := http.Client{Transport: tr, Timeout: 30 * time.Second}
			ops := soakOps()
			for i := g; ctx.Err() == nil; i++ {
				req := p.request(t, http.MethodGet, host, fmt.Sprintf("/?op=%s&n=%d", ops[i%len(ops)], i%200), nil) //nolint:contextcheck // the last requests outlive the load
				res, err := c.Do(req)
				if err != nil {
					if failures.Add(1) < 10 && ctx.Err() == nil {
						t.Errorf("%s: %v", ops[i%len(ops)], err)
					}
					continue
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if requests.Add(1); res.StatusCode != http.StatusOK && failures.Add(1) < 10 {
					t.Errorf("%s: %d %.200s", ops[i%len(ops)], res.StatusCode, body)
				}
			}
		})
	}
	// The heap of a fresh process grows until its collector knows the load.
	const warmUp, samples = 10 * time.Second, 40
	time.Sleep(warmUp)
	api := p.client(t) // one: each has connections of its own
	var platformUse, workerUse []use
	for range samples {
		time.Sleep((soakTime() - warmUp) / samples)
		platformUse = append(platformUse, useOf(t, p.PID))
		workerUse = append(workerUse, useOf(t, workerPID(t, api)))
	}
	stop()
	load.Wait()
	tr.CloseIdleConnections()
	if failures.Load() > 0 || requests.Load() < int64(soakTime()/time.Second)*20 {
		t.Errorf("%d of %d requests failed", failures.Load(), requests.Load())
	}
	// The runtime's heap grows by steps of 50 MiB, a minute or more apart, up to a
	// plateau: a short run may see one.
	slack := int64(4)
	if soakTime() < 5*time.Minute {
		slack = 2
	}
	for name, u := range map[string][]use{"the platform": platformUse, "the worker's process": workerUse} {
		early, late := medianUse(u[samples/4:samples/2]), medianUse(u[samples*3/4:])
		t.Logf("%s after %d requests in %s: %d MiB and %d descriptors, at first %d MiB and %d", name, requests.Load(), soakTime(), late.rss>>20, late.files, early.rss>>20, early.files)
		if late.rss > early.rss+early.rss/slack+16<<20 {
			t.Errorf("%s grew from %d to %d MiB", name, early.rss>>20, late.rss>>20)
		}
		if late.files > early.files+early.files/10+16 {
			t.Errorf("%s went from %d to %d descriptors", name, early.files, late.files)
		}
	}
}

func (p *platform) deploySoak(t *testing.T) (host string) {
	t.Helper()
	kv, err := p.client(t).CreateKVNamespace(t.Context(), "soak")
	if err != nil {
		t.Fatal(err)
	}
	db := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(p.must(t, t.TempDir(), "d1", "create", "soak"))
	dir := project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": "soak", "main": "index.js", "compatibility_date": "2026-09-01",
			"kv_namespaces": [{"binding": "KV", "id": %q}],
			"d1_databases": [{"binding": "DB", "database_name": "soak", "database_id": %q}],
			"durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
			"migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
			"triggers": {"crons": ["* * * * *"]},
			"ratelimits": [{"name": "RL", "namespace_id": "1", "simple": {"limit": 100, "period": 10}}]}`, kv.ID, db),
		"index.js": soakWorker,
	})
	p.must(t, dir, "d1", "execute", "soak", "--remote", "-y", "--command", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	p.must(t, dir, "deploy")
	return p.host("soak")
}

// workerPID is the process of the only worker that runs and serves.
func workerPID(t *testing.T, api *client.Client) int {
	t.Helper()
	st, err := api.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(st.Workers, func(w client.Instance) bool { return !w.Draining })
	if i < 0 {
		t.Fatal("no worker runs")
	}
	return st.Workers[i].PID
}

// use is what a process takes.
type use struct {
	rss   int64 // bytes
	files int
}

func useOf(t *testing.T, pid int) use {
	t.Helper()
	proc := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		t.Fatal(err)
	}
	var u use
	for line := range bytes.Lines(status) {
		if rest, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			u.rss = kb << 10
		}
	}
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(fds)
	return u
}

func medianUse(us []use) use {
	var rss []int64
	var files []int
	for _, u := range us {
		rss, files = append(rss, u.rss), append(files, u.files)
	}
	slices.Sort(rss)
	slices.Sort(files)
	return use{rss[len(rss)/2], files[len(files)/2]}
}
