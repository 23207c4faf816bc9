package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/client"
)

// Each request logs its name before and after it waits, in a nested function,
// in a timer and in a promise that nobody awaits, while others do the same.
const interleaved = `
const later = ms => new Promise(done => setTimeout(done, ms));
async function inner(name) {
	await later(1 + Math.random() * 20);
	console.warn("%s-inner", name);
	await new Promise(done => setTimeout(() => { console.log(name + "-timer"); done() }, Math.random() * 20));
}
export default { async fetch(req, env, ctx) {
	const name = new URL(req.url).pathname.slice(1);
	console.log(name + "-first", { name });
	await Promise.all([inner(name), scheduler.wait(Math.random() * 30)]);
	ctx.waitUntil(later(10).then(() => console.error(name + "-after")));
	console.debug([name + "-last"]);
	return new Response(name);
} }`

func TestInterleavedRequestsKeepTheirRay(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.client(t)
	if err := create(t.Context(), c, "mix", interleaved); err != nil {
		t.Fatal(err)
	}
	const requests, lines = 100, 5
	rays := make([]string, requests)
	var done sync.WaitGroup
	for i := range requests {
		req := p.request(t, "GET", p.host("mix"), fmt.Sprintf("/r%03d", i), nil)
		done.Go(func() { rays[i] = do(t, req).Header.Get("CF-Ray") })
	}
	done.Wait()

	var events []client.Event
	eventually(t, func() error {
		var err error
		events, err = c.Logs(t.Context(), client.LogFilter{Script: "mix", Kind: "console", Limit: 2 * requests * lines})
		if err == nil && len(events) != requests*lines {
			err = fmt.Errorf("%d console lines of %d", len(events), requests*lines)
		}
		return err
	})
	names := make(map[string]string, requests) // by ray
	for i, ray := range rays {
		names[ray] = fmt.Sprintf("r%03d", i)
	}
	if len(names) != requests {
		t.Fatalf("%d requests have %d rays", requests, len(names))
	}
	for _, e := range events {
		if name, ok := names[e.Ray]; !ok || !strings.Contains(e.Message, name+"-") {
			t.Errorf("ray %q is of request %q, and has the line %q", e.Ray, name, e.Message)
		}
	}

	// The command line finds one request: its access line and its five lines, in order.
	stdout, stderr, code := p.cli(t, "logs", rays[42], "--json")
	var got []string
	for line := range strings.Lines(stdout) {
		var e client.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Kind == "access" {
			if e.Path != "/r042" || e.Status != 200 {
				t.Errorf("access line %q", line)
			}
			continue
		}
		got = append(got, e.Level+" "+e.Message)
	}
	want := "log r042-first { name: 'r042' }|warn r042-inner|log r042-timer|debug [ 'r042-last' ]|error r042-after"
	if code != 0 || strings.Join(got, "|") != want {
		t.Errorf("selvage logs: %d %s\ngot  %s\nwant %s", code, stderr, strings.Join(got, "|"), want)
	}
}

// Lines of a script in service-worker syntax have the ray of their request, too.
func TestServiceWorkerLinesHaveTheRay(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "old", "main": "index.ts", "compatibility_date": "2026-09-01"}`,
		"index.ts": `type E = Event & { request: Request; respondWith(r: unknown): void };
addEventListener("fetch", ((e: E) => {
  console.log("from the old syntax");
  if (e.request.url.endsWith("/boom")) throw new RangeError("sw boom");
  e.respondWith(new Response("ok"));
}) as never);`,
	})
	version := currentVersion(t, p.must(t, dir, "deploy"))
	for path, want := range map[string]struct {
		status int
		lines  string
	}{"/": {200, "console from the old syntax"}, "/boom": {500, "console from the old syntax|exception RangeError: sw boom"}} {
		a := p.get(t, p.host("old"), path)
		if a.Status != want.status {
			t.Errorf("GET %s = %d", path, a.Status)
		}
		ray, _, _ := strings.Cut(a.Header.Get("CF-Ray"), "-")
		eventually(t, func() error {
			events, err := p.client(t).Logs(t.Context(), client.LogFilter{Ray: ray})
			if err != nil {
				return err
			}
			var got []string
			for _, e := range events {
				if e.Kind != "access" && e.Version == version {
					got = append(got, e.Kind+" "+e.Message)
				}
			}
			if s := strings.Join(got, "|"); s != want.lines {
				return fmt.Errorf("lines of %s: %s, want %s", path, s, want.lines)
			}
			return nil
		})
		stdout, _, code := p.cli(t, "logs", a.Header.Get("CF-Ray"))
		if code != 0 || !strings.Contains(stdout, "old syntax") {
			t.Errorf("by ray: %d\n%s", code, stdout)
		}
		if path == "/boom" && !strings.Contains(stdout, ":4:") && !strings.Contains(stdout, ":5:") {
			t.Errorf("the exception has no stack:\n%s", stdout)
		}
	}
}
