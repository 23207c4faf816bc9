package workerd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// TestRemoteObjects calls objects of another process, directly, without a relay.
func TestRemoteObjects(t *testing.T) {
	key := strings.Repeat("a", 32)
	host := esm(`import { DurableObject, RpcTarget } from "cloudflare:workers";
		class Session extends RpcTarget { constructor(x) { super(); this.x = x; } double() { return this.x * 2; } }
		export class Counter extends DurableObject {
			async inc(by) { const n = (await this.ctx.storage.get("n") ?? 0) + by; await this.ctx.storage.put("n", n); return n; }
			who() { return this.ctx.id.name ?? "nameless"; }
			session(x) { return new Session(x); }
			back(f) { return f(3); }
			fail() { throw new TypeError("of the object"); }
			async fetch(request) { return new Response(request.method + " " + new URL(request.url).pathname + " " + await request.text() + " " + this.ctx.id.name + " " + [...request.headers.keys()].filter((k) => k.startsWith("selvage")).join()); }
		}
		export default { fetch() { return new Response("host"); } };`)
	host.Storage = t.TempDir()
	host.Objects = []workerd.ObjectClass{{Class: "Counter", Key: key, SQL: true}}
	host.Sockets = []workerd.Socket{{File: "objects.sock", Objects: true}}
	hostDir := shortDir(t)
	startIn(t, &workerd.Launcher{Binary: binary(t)}, hostDir, host, nil)

	caller := esm(`export default { async fetch(request, env) {
		const object = env.COUNTER.getByName("ä b"), out = [];
		const step = async (f) => { try { out.push(await f()); } catch (e) { out.push(e.name + ": " + e.message); } };
		await step(() => object.inc(2));
		await step(() => object.who());
		await step(() => env.COUNTER.get(env.COUNTER.idFromName("ä b")).inc(3));
		await step(() => env.COUNTER.get(env.COUNTER.newUniqueId()).who());
		await step(async () => { using s = await object.session(4); return s.double(); });
		await step(() => object.session(5).double());
		await step(() => object.back((x) => x * 2));
		await step(() => object.fail());
		await step(async () => (await object.fetch("http://x/path", { method: "POST", body: "body" })).text());
		return new Response(out.join("|"));
	} };`)
	caller.Remote = []workerd.RemoteClass{{Key: key, Socket: "objects-0.sock"}}
	caller.Bindings = []workerd.Binding{{Name: "COUNTER", Kind: workerd.ObjectBinding, Key: key}}
	dir := shortDir(t)
	if err := os.Symlink(filepath.Join(hostDir, "objects.sock"), filepath.Join(dir, "objects-0.sock")); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, &workerd.Launcher{Binary: binary(t)}, dir, caller, nil)
	want(t, p, "/", "2|ä b|5|nameless|8|10|6|TypeError: of the object|POST /path body ä b ")
}
