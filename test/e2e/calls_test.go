package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// toldCallee is called in every way, and says so.
const toldCallee = `
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
export class Api extends WorkerEntrypoint {
  async add(a, b) { await scheduler.wait(20); console.log("adding", a, b); this.ctx.waitUntil(scheduler.wait(50).then(() => console.warn("after", a))); return a + b; }
  boom() { console.error("before boom"); throw new RangeError("kaboom"); }
}
export class Room extends DurableObject {
  helper(n) { return n + 1; }
  async join(name) { console.log("joined", name); await 1; await this.ctx.storage.setAlarm(Date.now() + 200); return this.helper(1); }
  fetch(r) { console.log("room fetch"); return new Response("room", { status: 203 }); }
  alarm() { console.log("ringing"); }
}
export default { async fetch(r, env) {
  const { pathname } = new URL(r.url);
  if (pathname === "/probe") return new Response("probe");
  if (pathname === "/room") return new Response(String(await env.ROOM.getByName("a").join("me")));
  if (pathname === "/roomfetch") return env.ROOM.getByName("a").fetch("http://room/x");
  console.log("fetched", pathname);
  if (pathname === "/boom") throw new RangeError("fetch kaboom");
  if (pathname === "/odd") { await 1; throw Object.assign(new Error("odd one"), { name: "Odd" }); }
  return new Response("fetched", { status: 202 });
} };`

const toldCaller = `export default { async fetch(r, env) {
  const { pathname } = new URL(r.url);
  try {
    if (pathname === "/add") return new Response(String(await env.API.add(2, 3)));
    if (pathname === "/rpcboom") await env.API.boom();
    const got = await env.DEFAULT.fetch("http://callee" + pathname);
    return new Response(got.status + " " + await got.text());
  } catch (e) { return new Response([e.constructor.name, e.name, e.message].join(), { status: 555 }); }
} };`

type toldItem struct {
	tailItem

	Entrypoint string          `json:"entrypoint"`
	Event      json.RawMessage `json:"event"`
}

// TestCalleeIsTold holds that each call of a Worker by another, of a method or of
// fetch, and each of an object is an item of its own in the tail of the one that is
// called, that its lines have the ray of the request that it all began with, and that
// what fetch throws is thrown in the caller.
func TestCalleeIsTold(t *testing.T) {
	t.Parallel()
	p := start(t)
	callee := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "callee", "main": "index.js", "compatibility_date": "2026-09-01",
			"durable_objects": {"bindings": [{"name": "ROOM", "class_name": "Room"}]}, "migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}]}`,
		"index.js": toldCallee,
	})
	p.must(t, callee, "deploy")
	p.must(t, servicesProject(t, "caller", toldCaller, `{"binding": "API", "service": "callee", "entrypoint": "Api"}, {"binding": "DEFAULT", "service": "callee"}`), "deploy")
	f := p.wranglerTail(t, "callee", "--format", "json")
	p.connected(t, "callee", f)

	rays := make(map[string]string)
	for _, c := range []struct{ worker, path, want string }{
		{"caller", "/add", "5"},
		{"caller", "/rpcboom", "RangeError,RangeError,kaboom"},
		{"caller", "/fine", "202 fetched"},
		{"caller", "/boom", "RangeError,RangeError,fetch kaboom"},
		{"caller", "/odd", "Error,Odd,odd one"},
		{"callee", "/room", "2"},
		{"callee", "/roomfetch", "room"},
	} {
		a := p.get(t, p.host(c.worker), c.path)
		if a.Body != c.want {
			t.Errorf("%s = %d %q, want %q", c.path, a.Status, a.Body, c.want)
		}
		rays[c.path] = a.Header.Get("CF-Ray")
	}
	want := []string{ // what was called, its outcome, and what it said
		`Api Api {"rpcMethod":"add"} stateless ok ["adding",2,3] ["after",2]`,
		`Api Api {"rpcMethod":"boom"} stateless exception ["before boom"] RangeError: kaboom`,
		`callee fetch http://callee/fine 202 stateless ok ["fetched","/fine"]`,
		`callee fetch http://callee/boom 0 stateless exception ["fetched","/boom"] RangeError: fetch kaboom`,
		`callee fetch http://callee/odd 0 stateless exception ["fetched","/odd"] Odd: odd one`,
		`Room Room {"rpcMethod":"join"} durableObject ok ["joined","me"]`,
		`Room fetch http://room/x 203 durableObject ok ["room fetch"]`,
		`Room Room alarm durableObject ok ["ringing"]`,
		`callee fetch http://` + p.host("callee") + `/room 200 stateless ok`,
		`callee fetch http://` + p.host("callee") + `/roomfetch 203 stateless ok`,
	}
	eventually(t, func() error {
		got := told(t, f)
		for _, w := range want {
			if n := strings.Count(got, w+"\n"); n != 1 {
				return fmt.Errorf("%q is there %d times in\n%s\n%s", w, n, got, f.stdout)
			}
		}
		if n := strings.Count(got, "\n"); n != len(want) {
			return fmt.Errorf("%d items, want %d:\n%s", n, len(want), got)
		}
		return nil
	})
	p.wantRays(t, rays)
}

// told is one line for each item.
func told(t *testing.T, f *follower) string {
	t.Helper()
	var out strings.Builder
	d := json.NewDecoder(strings.NewReader(f.stdout.String()))
	for {
		var it toldItem
		if err := d.Decode(&it); err != nil {
			return out.String()
		}
		var e struct {
			Request *struct {
				URL string `json:"url"`
			} `json:"request"`
			Response struct {
				Status int `json:"status"`
			} `json:"response"`
			Time string `json:"scheduledTime"`
		}
		if err := json.Unmarshal(it.Event, &e); err != nil {
			t.Fatal(err)
		}
		what := it.Entrypoint + " " + compact(t, it.Event)
		switch {
		case e.Request != nil && strings.HasSuffix(e.Request.URL, "/probe"):
			continue
		case e.Request != nil:
			what = fmt.Sprintf("fetch %s %d", e.Request.URL, e.Response.Status)
		case e.Time != "":
			if at, err := time.Parse(time.RFC3339, e.Time); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("alarm of %q", e.Time)
			}
			what = it.Entrypoint + " alarm"
		}
		name := it.Entrypoint
		if name == "" {
			name = it.ScriptName
		}
		fmt.Fprintf(&out, "%s %s %s %s", name, what, it.ExecutionModel, it.Outcome)
		for _, l := range it.Logs {
			fmt.Fprintf(&out, " %s", compact(t, l.Message))
		}
		for _, x := range it.Exceptions {
			fmt.Fprintf(&out, " %s: %s", x.Name, x.Message)
		}
		out.WriteString("\n")
	}
}

// wantRays holds that the lines of the callee have the rays of the visitors' requests.
func (p *platform) wantRays(t *testing.T, rays map[string]string) {
	t.Helper()
	for path, text := range map[string]string{"/add": "adding 2 3", "/rpcboom": "before boom", "/fine": "fetched /fine"} {
		events, err := p.client(t).Logs(t.Context(), client.LogFilter{Script: "callee", Kind: "console", Limit: 100, Ray: rays[path]})
		if err != nil || len(events) == 0 || events[0].Message != text && events[len(events)-1].Message != text {
			t.Errorf("lines with the ray of %s: %v %v", path, events, err)
		}
	}
}

// TestCircleIsNoBound holds that many calls at a time are let through where the
// bindings of two Workers lead round in a circle, as long as none is deep.
func TestCircleIsNoBound(t *testing.T) {
	t.Parallel()
	p := start(t)
	const source = `
import { WorkerEntrypoint } from "cloudflare:workers";
export class Loop extends WorkerEntrypoint {
  async slow(n) { await scheduler.wait(1000); return n; }
  async down(n) { try { return await this.env.NEXT.down(n + 1); } catch (e) { return n + " " + e.message; } }
}
export default { async fetch(r, env) {
  const path = new URL(r.url).pathname;
  if (path === "/down") return new Response(await env.NEXT.down(1));
  return new Response(String((await Promise.all(Array.from({ length: 40 }, (_, i) => env.NEXT.slow(i)))).length));
} };`
	next := func(name string) string {
		return `{"binding": "NEXT", "service": "` + name + `", "entrypoint": "Loop"}`
	}
	p.must(t, servicesProject(t, "round-a", source, ""), "deploy")
	p.must(t, servicesProject(t, "round-b", source, next("round-a")), "deploy")
	p.must(t, servicesProject(t, "round-a", source, next("round-b")), "deploy")
	var wg sync.WaitGroup
	for range 10 { // 400 calls are under way at a time
		wg.Go(func() {
			if a := p.get(t, p.host("round-a"), "/wide"); a.Body != "40" {
				t.Errorf("%d %q", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	if a := p.get(t, p.host("round-a"), "/down"); !strings.HasPrefix(a.Body, "32 Subrequest depth limit exceeded. ") {
		t.Errorf("a chain of calls ends with %d %q", a.Status, a.Body)
	}
}
