package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// objectsConfig is a wrangler configuration with one SQLite-backed class.
func objectsConfig(name, class, more string) string {
	return fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01",
		"durable_objects": {"bindings": [{"name": "OBJECT", "class_name": %q}]},
		"migrations": [{"tag": "v1", "new_sqlite_classes": [%q]}]%s}`, name, class, class, more)
}

// logSource keeps every line it is given, in SQL, and says how many there are.
func logSource(version string) string {
	return fmt.Sprintf(`import { DurableObject } from "cloudflare:workers";
const VERSION = %q;
export class Log extends DurableObject {
  constructor(ctx, env) { super(ctx, env); ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS lines (id TEXT PRIMARY KEY)"); }
  add(id) { this.ctx.storage.sql.exec("INSERT OR IGNORE INTO lines VALUES (?)", id); return this.ctx.storage.sql.exec("SELECT count(*) AS n FROM lines").one().n; }
  all() { return this.ctx.storage.sql.exec("SELECT id FROM lines ORDER BY id").toArray().map((r) => r.id); }
  async alarmIn(ms) { await this.ctx.storage.setAlarm(Date.now() + ms); }
  alarm() { this.ctx.storage.sql.exec("INSERT OR IGNORE INTO lines VALUES (?)", "alarm"); }
}
export default { async fetch(request, env) {
  const url = new URL(request.url), log = env.OBJECT.getByName(url.searchParams.get("log") ?? "main");
  if (url.pathname === "/add") return new Response(String(await log.add(url.searchParams.get("id"))));
  if (url.pathname === "/all") return Response.json(await log.all());
  if (url.pathname === "/alarm") { await log.alarmIn(Number(url.searchParams.get("ms"))); return new Response("set"); }
  return new Response(VERSION);
} };`, version)
}

func edit(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// want fails the test unless a GET gives text.
func (p *platform) want(t *testing.T, host, path, text string) {
	t.Helper()
	if a := p.get(t, host, path); a.Status != http.StatusOK || a.Body != text {
		t.Fatalf("GET %s%s: %d %q, want %q\n%s", host, path, a.Status, tail(a.Body, 500), text, tail(p.stderr.String(), 2000))
	}
}

// lines reads the whole log of the object.
func (p *platform) lines(t *testing.T, host, path string) map[string]bool {
	t.Helper()
	a := p.get(t, host, path)
	var all []string
	if err := json.Unmarshal([]byte(a.Body), &all); err != nil {
		t.Fatalf("GET %s: %d %q", path, a.Status, tail(a.Body, 500))
	}
	set := make(map[string]bool)
	for _, id := range all {
		set[id] = true
	}
	return set
}

// TestObjectsWrangler deploys, migrates, rolls back and deletes with wrangler.
func TestObjectsWrangler(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{"wrangler.jsonc": objectsConfig("log", "Log", ""), "index.js": logSource("one")})
	p.must(t, dir, "deploy")
	host := p.host("log")
	p.want(t, host, "/add?id=a", "1")
	edit(t, dir, "index.js", logSource("two"))
	p.must(t, dir, "deploy")
	p.want(t, host, "/", "two")
	p.want(t, host, "/add?id=b", "2")

	// The class gets another name; its objects stay.
	renamed := strings.ReplaceAll(logSource("three"), "class Log ", "class Journal ")
	config := strings.Replace(objectsConfig("log", "Log", ""), `"class_name": "Log"`, `"class_name": "Journal"`, 1)
	config = strings.Replace(config, `]}]}`, `]}, {"tag": "v2", "renamed_classes": [{"from": "Log", "to": "Journal"}]}]}`, 1)
	edit(t, dir, "index.js", renamed)
	edit(t, dir, "wrangler.jsonc", config)
	p.must(t, dir, "deploy")
	p.want(t, host, "/add?id=c", "3")

	// An older version lacks the class.
	out, err := p.wrangler(t, dir, "rollback", "--yes", "--message", "back")
	if err == nil || !strings.Contains(out, "10064") {
		t.Errorf("rollback over a rename: %v\n%s", err, out)
	}
	// A migration tag that goes back.
	edit(t, dir, "wrangler.jsonc", strings.Replace(objectsConfig("log", "Journal", ""), `"new_sqlite_classes": ["Journal"]`, `"new_sqlite_classes": ["Other"]`, 1))
	edit(t, dir, "index.js", renamed+"\nexport class Other extends DurableObject {}")
	out, err = p.wrangler(t, dir, "deploy")
	if err == nil || !strings.Contains(out, "10079") || !strings.Contains(out, "'v2'") {
		t.Errorf("a tag that goes back: %v\n%s", err, out)
	}
	p.want(t, host, "/add?id=d", "4") // nothing has changed

	// Deleting a class that a binding names.
	edit(t, dir, "wrangler.jsonc", strings.Replace(config, `}]}]}`, `}]}, {"tag": "v3", "deleted_classes": ["Journal"]}]}`, 1))
	edit(t, dir, "index.js", renamed)
	out, err = p.wrangler(t, dir, "deploy")
	if err == nil || !strings.Contains(out, "Cannot apply --delete-class migration to class 'Journal' without also removing the binding that references it") {
		t.Errorf("deleting a bound class: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(p.data, "objects", "*", "*", "*.sqlite"))
	if err != nil || len(files) < 2 {
		t.Fatalf("the objects' files are %v (%v)", files, err)
	}
	edit(t, dir, "wrangler.jsonc", config)
	p.must(t, dir, "delete", "--force")
	eventuallyGone(t, filepath.Join(p.data, "objects", "*", "*", "*.sqlite"))
}

func eventuallyGone(t *testing.T, pattern string) {
	t.Helper()
	var files []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if files, _ = filepath.Glob(pattern); len(files) == 0 {
			return
		}
	}
	t.Errorf("still there: %v", files)
}

// TestObjectsDeclared uses the exports form.
func TestObjectsDeclared(t *testing.T) {
	t.Parallel()
	p := start(t)
	config := func(exports string) string {
		return `{"name": "log", "main": "index.js", "compatibility_date": "2026-09-01",
			"durable_objects": {"bindings": [{"name": "OBJECT", "class_name": "Log"}]}, "exports": ` + exports + `}`
	}
	dir := project(t, map[string]string{"wrangler.jsonc": config(`{"Log": {"type": "durable-object", "storage": "sqlite"}}`), "index.js": logSource("one")})
	if out := p.must(t, dir, "deploy"); !strings.Contains(out, "Created: Log") {
		t.Errorf("wrangler does not show what was created:\n%s", out)
	}
	p.want(t, p.host("log"), "/add?id=a", "1")
	edit(t, dir, "wrangler.jsonc", config(`{"Log": {"type": "durable-object", "storage": "legacy-kv"}}`))
	out, err := p.wrangler(t, dir, "deploy")
	if err == nil || !strings.Contains(out, "storage-mismatch") {
		t.Errorf("another storage: %v\n%s", err, out)
	}
	p.want(t, p.host("log"), "/add?id=b", "2")
}

// TestObjectsDeploys deploys again and again while clients write: no request
// fails, none is lost, and never do two processes have the objects open.
func TestObjectsDeploys(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := project(t, map[string]string{"wrangler.jsonc": objectsConfig("log", "Log", ""), "index.js": logSource("v0")})
	p.must(t, dir, "deploy")
	host := p.host("log")
	var acknowledged sync.Map
	var count atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", w, i)
				a := p.get(t, host, "/add?id="+id)
				if a.Status != http.StatusOK {
					t.Errorf("a request failed during a deploy: %d %s", a.Status, tail(a.Body, 300))
					return
				}
				acknowledged.Store(id, true)
				count.Add(1)
			}
		})
	}
	c := p.client(t)
	for i := range rounds(50) {
		if err := redeploy(t, c, "log", logSource(fmt.Sprintf("v%d", i+1))); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wg.Wait()
	have := p.lines(t, host, "/all")
	acknowledged.Range(func(id, _ any) bool {
		if !have[id.(string)] {
			t.Errorf("%v was acknowledged and is not there", id)
		}
		return true
	})
	t.Logf("%d writes acknowledged", count.Load())
}

// redeploy uploads another source of a script with an object binding.
func redeploy(t *testing.T, c *client.Client, name, source string) error {
	t.Helper()
	_, err := c.Deploy(t.Context(), name, &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(source)}},
		Bindings:          []any{map[string]string{"name": "OBJECT", "type": "durable_object_namespace", "class_name": "Log"}},
		CompatibilityDate: "2026-09-01",
	})
	return err
}

// TestObjectsKilled kills the platform while clients write: what was
// acknowledged is there after the next start.
func TestObjectsKilled(t *testing.T) {
	p := start(t)
	r := seeded(t)
	dir := project(t, map[string]string{"wrangler.jsonc": objectsConfig("log", "Log", ""), "index.js": logSource("one")})
	p.must(t, dir, "deploy")
	host := p.host("log")
	acknowledged := make(map[string]bool)
	kills := rounds(200)
	for round := range kills {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d-%d", round, w, i)
					res, err := c.Do(p.request(t, http.MethodGet, host, "/add?id="+id, nil))
					if err != nil {
						return // killed
					}
					res.Body.Close()
					if res.StatusCode == http.StatusOK {
						mu.Lock()
						acknowledged[id] = true
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(time.Duration(20+r.IntN(250)) * time.Millisecond)
		p.kill()
		wg.Wait()
		p.up(t)
		have := p.lines(t, host, "/all")
		for id := range acknowledged {
			if !have[id] {
				t.Fatalf("round %d: %s was acknowledged and is not there", round, id)
			}
		}
	}
	t.Logf("%d kills of the platform, %d writes acknowledged, 0 lost", kills, len(acknowledged))
}

// TestObjectsAlarms: an alarm fires while the process was stopped as idle, and
// one that was due while the platform was down fires after the start.
func TestObjectsAlarms(t *testing.T) {
	t.Parallel()
	p := &platform{data: filepath.Join(t.TempDir(), "data"), env: []string{"SELVAGE_IDLE_STOP=1s"}}
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	dir := project(t, map[string]string{"wrangler.jsonc": objectsConfig("log", "Log", ""), "index.js": logSource("one")})
	p.must(t, dir, "deploy")
	host := p.host("log")
	p.want(t, host, "/alarm?log=down&ms=3000", "set")
	p.kill()
	time.Sleep(3500 * time.Millisecond)
	p.up(t)
	time.Sleep(3 * time.Second) // nobody asks for anything
	if !p.lines(t, host, "/all?log=down")["alarm"] {
		t.Error("the alarm that was due while the platform was down did not fire")
	}
	c := p.client(t)
	p.want(t, host, "/alarm?log=idle&ms=36000", "set")
	deadline := time.Now().Add(20 * time.Second)
	for len(processes(t, c)) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the process was not stopped as idle")
		}
		time.Sleep(100 * time.Millisecond)
	}
	woken := false
	for deadline = time.Now().Add(50 * time.Second); time.Now().Before(deadline) && !woken; time.Sleep(100 * time.Millisecond) {
		woken = len(processes(t, c)) > 0
	}
	if !woken {
		t.Fatal("no process was started for the alarm")
	}
	time.Sleep(4 * time.Second)
	if !p.lines(t, host, "/all?log=idle")["alarm"] {
		t.Error("the alarm did not fire in the process that was started for it")
	}
}
