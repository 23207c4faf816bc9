package workerd_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const counter = `import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async inc() { const n = (await this.ctx.storage.get("n") ?? 0) + 1; await this.ctx.storage.put("n", n); return n; }
  sql() { return this.ctx.storage.sql.exec("SELECT 7 AS x").one().x; }
  who() { return this.constructor.name + " " + this.ctx.id.name; }
  fetch() { throw new TypeError("of the object"); }
}
export class Legacy { constructor(state) { this.state = state; } fetch() { return new Response("legacy"); } }
export default { async fetch(request, env) {
  const path = new URL(request.url).pathname;
  try {
    if (path === "/legacy") return env.LEGACY.get(env.LEGACY.idFromName("a")).fetch(request);
    const object = env.COUNTER.getByName("a");
    if (path === "/fetch") return await object.fetch(request);
    return new Response(String(await object[path.slice(1)]()));
  } catch (e) { return new Response(e.name + ": " + e.message); }
} };`

func objectWorker(storage string, sql bool) *workerd.Worker {
	w := esm(counter)
	w.Storage = storage
	w.Objects = []workerd.ObjectClass{{Class: "Counter", Key: strings.Repeat("a", 32), SQL: sql}, {Class: "Legacy", Key: strings.Repeat("b", 32)}}
	w.Bindings = []workerd.Binding{{Name: "COUNTER", Kind: workerd.ObjectBinding, Class: "Counter"}, {Name: "LEGACY", Kind: workerd.ObjectBinding, Class: "Legacy"}}
	return w
}

func want(t *testing.T, p *workerd.Process, path, text string) {
	t.Helper()
	if _, body := do(t, p, path); body != text {
		t.Errorf("GET %s = %q, want %q", path, body, text)
	}
}

func stop(t *testing.T, p *workerd.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestObjects(t *testing.T) {
	t.Run("bare", func(t *testing.T) { testObjects(t, &workerd.Launcher{Binary: binary(t)}) })
	t.Run("confined", func(t *testing.T) { testObjects(t, &workerd.Launcher{Binary: binary(t), Isolation: confined(t)}) })
}

func testObjects(t *testing.T, l *workerd.Launcher) {
	t.Helper()
	storage, sink := t.TempDir(), newSink()
	start := func(t *testing.T, w *workerd.Worker, sink *logSink) *workerd.Process {
		t.Helper()
		return startIn(t, l, shortDir(t), w, sink)
	}
	p := start(t, objectWorker(storage, true), sink)
	want(t, p, "/inc", "1")
	want(t, p, "/inc", "2")
	want(t, p, "/sql", "7")
	want(t, p, "/who", "Counter a")
	want(t, p, "/legacy", "legacy")
	want(t, p, "/fetch", "TypeError: of the object")
	sink.waitFor(t, 1, func(l workerd.LogLine) bool {
		return l.Kind == workerd.Exception && strings.Contains(l.Message, "of the object")
	})
	stop(t, p)
	if files, err := filepath.Glob(filepath.Join(storage, strings.Repeat("a", 32), "*.sqlite")); err != nil || len(files) != 2 {
		t.Errorf("the data of one object and the alarms are in %v (%v)", files, err)
	}
	p = start(t, objectWorker(storage, false), nil)
	want(t, p, "/inc", "3") // what was written is there again
	if _, body := do(t, p, "/sql"); !strings.HasPrefix(body, "Error: SQL is not enabled") {
		t.Errorf("SQL in a namespace without it: %q", body)
	}
	stop(t, p)

	p = start(t, objectWorker("", true), nil)
	want(t, p, "/inc", "1") // nothing is kept, nothing of the other is seen
	stop(t, p)
}

// TestObjectClassMissing: such a version starts, and says what is wrong when it is used.
func TestObjectClassMissing(t *testing.T) {
	w := objectWorker("", true)
	w.Modules[0].Body = []byte(strings.Replace(counter, "export class Counter", "class Counter", 1))
	p := start(t, w, nil)
	if _, body := do(t, p, "/inc"); !strings.Contains(body, "does not export the Durable Object class Counter") {
		t.Errorf("answer = %q", body)
	}
	for _, name := range p.Exports() {
		if name == "Counter" {
			t.Error("the missing class is reported as an export")
		}
	}
}

// TestObjectLock: the process holds the lock after the platform let go of it.
func TestObjectLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := fsx.LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := objectWorker(t.TempDir(), true)
	w.Locks = []*os.File{f}
	p := startIn(t, &workerd.Launcher{Binary: binary(t), Isolation: confined(t)}, shortDir(t), w, nil)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fsx.LockFile(path); err == nil {
		t.Error("a second holder got the lock while the process ran")
	}
	stop(t, p)
	f, err = fsx.LockFile(path)
	if err != nil {
		t.Fatalf("after the process ended: %v", err)
	}
	_ = f.Close()
}

// TestJurisdictions holds that they are taken, change nothing and are noted once.
func TestJurisdictions(t *testing.T) {
	w := esm(`import { DurableObject } from "cloudflare:workers";
		export class Obj extends DurableObject { own() { return this.ctx.id.toString(); } }
		export default { async fetch(r, { O }) {
			const plain = O.idFromName("a").toString();
			const same = [await O.jurisdiction("eu").getByName("a").own(), await O.jurisdiction("eu").get(O.idFromName("a")).own(), await O.jurisdiction(undefined).getByName("a").own(),
				await O.jurisdiction("eu").jurisdiction("fedramp").getByName("a").own()];
			const unique = [O.newUniqueId(), O.newUniqueId({}), O.newUniqueId({ jurisdiction: "eu" })].map((id) => id.toString().length);
			let thrown; try { Object.getPrototypeOf(O).jurisdiction.call({}, "eu"); } catch (e) { thrown = e.name; }
			return new Response([same.every((id) => id === plain), unique, thrown].join());
		} };`)
	w.Objects = []workerd.ObjectClass{{Class: "Obj", Key: "k", SQL: true}}
	w.Bindings = []workerd.Binding{{Name: "O", Kind: workerd.ObjectBinding, Class: "Obj"}}
	sink := newSink()
	p := start(t, w, sink)
	expect(t, p, "/", "true,64,64,64,TypeError")
	expect(t, p, "/", "true,64,64,64,TypeError")
	notes := sink.waitFor(t, 2, func(l workerd.LogLine) bool { return l.Level == "warn" && strings.Contains(l.Message, "has no effect") })
	if len(notes) != 2 || !strings.Contains(notes[0].Message, `"eu"`) || !strings.Contains(notes[1].Message, `"fedramp"`) {
		t.Errorf("notes %+v", notes)
	}
}
