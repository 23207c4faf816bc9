package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/client"
)

// counterScript increments a counter in one of 16 objects, durably.
const counterScript = `import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
	async inc() { const n = ((await this.ctx.storage.get("n")) ?? 0) + 1; await this.ctx.storage.put("n", n); return n; }
}
export default { async fetch(request, env) { return new Response(String(await env.COUNTER.getByName("c" + Math.floor(Math.random() * 16)).inc())); } };`

// counterConfig is the same worker in workerd alone.
const counterConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
	services = [
		(name = "w", worker = (modules = [(name = "index.js", esModule = embed "index.js")], compatibilityDate = "2026-09-01",
			durableObjectNamespaces = [(className = "Counter", uniqueKey = "counter", enableSql = true)], durableObjectStorage = (localDisk = "disk"),
			bindings = [(name = "COUNTER", durableObjectNamespace = "Counter")])),
		(name = "disk", disk = (path = "objects", writable = true))],
	sockets = [(name = "h", address = %q, http = (), service = "w")]);`

// objects increments counters in Durable Objects: through the platform, and in
// workerd alone on the same disk. Both sync each write.
func objects(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	_, err = p.client.Deploy(ctx, "counter", &client.Upload{
		MainModule: "index.js", CompatibilityDate: "2026-09-01",
		Modules:    []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(counterScript)}},
		Bindings:   []any{map[string]string{"name": "COUNTER", "type": "durable_object_namespace", "class_name": "Counter"}},
		Migrations: &client.Migrations{NewTag: "v1", Steps: []map[string]any{{"new_sqlite_classes": []string{"Counter"}}}},
	})
	if err != nil {
		return err
	}
	if _, err := p.client.SetPlace(ctx, "counter", true, nil); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "counter-")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	for name, text := range map[string]string{"index.js": counterScript, "config.capnp": fmt.Sprintf(counterConfig, addr)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "objects"), 0o700); err != nil {
		return err
	}
	alone, err := b.start(nil, dir, "workerd", "serve", filepath.Join(dir, "config.capnp"))
	if err != nil {
		return err
	}
	defer alone.stop()
	us := &contender{name: "selvage", url: p.EdgeURL + "/", host: p.host("counter")}
	them := &contender{name: "workerd alone (TCP)", url: "http://" + addr + "/"}
	if err := b.race(ctx, []*contender{us, them}); err != nil {
		return err
	}
	for _, c := range []*contender{us, them} {
		b.report.add("objects", c.name+": counter increments", median(c.rates), "/s")
		b.report.add("objects", c.name+": p99", median(c.p99), "ms")
	}
	b.report.want("objects", "selvage / workerd alone, durable increments", ratio(us, them), "×", ">=", 0.9)
	return nil
}
