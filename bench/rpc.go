package main

import (
	"context"
	"fmt"

	"github.com/selvage-dev/selvage/client"
)

// rpcScript calls an entrypoint of its own process and the same one of another
// worker's, in another process.
const rpcScript = `import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
class Session extends RpcTarget { constructor(x) { super(); this.x = x; } double() { return this.x * 2; } }
export class Api extends WorkerEntrypoint {
	add(a, b) { return a + b; }
	session(x) { return new Session(x); }
	async fetch() { return new Response("hello"); }
}
export default { async fetch(r, env) {
	const [, where, what] = new URL(r.url).pathname.split("/");
	const api = where === "across" ? env.ACROSS : env.INSIDE;
	switch (what) {
	case "call": return new Response(String(await api.add(1, 2)));
	case "calls": for (let i = 0; i < 20; i++) await api.add(i, 2); return new Response("ok");
	case "together": await Promise.all(Array.from({ length: 20 }, (_, i) => api.add(i, 2))); return new Response("ok");
	case "pipelined": return new Response(String(await api.session(3).double()));
	case "fetch": return api.fetch("http://x/");
	default: return new Response("hello");
	}
} }`

// rpcCalls compares calls of methods between two processes with the same calls
// inside one, which cost no bytes on a socket and no second event loop.
func rpcCalls(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deployRPC(ctx); err != nil {
		return err
	}
	for _, test := range []struct {
		path, what string
		each       float64 // calls of a request
		bound      float64
	}{
		{"call", "a request with one call", 1, 0.35},
		{"pipelined", "a request with a call on the result of another", 1, 0.35},
		{"calls", "20 calls, one after the other", 20, 0},
		{"together", "20 calls at once", 20, 0},
		{"fetch", "a request with one fetch", 1, 0},
	} {
		across := &contender{name: "across processes", url: p.EdgeURL + "/across/" + test.path, host: p.host("rpc")}
		inside := &contender{name: "inside one", url: p.EdgeURL + "/inside/" + test.path, host: p.host("rpc")}
		if err := b.race(ctx, []*contender{across, inside}); err != nil {
			return err
		}
		for _, c := range []*contender{across, inside} {
			b.report.add("rpc", fmt.Sprintf("%s, %s", test.what, c.name), median(c.rates)*test.each, "/s")
		}
		if test.bound == 0 {
			b.report.add("rpc", test.what+": across / inside", ratio(across, inside), "×")
			continue
		}
		b.report.want("rpc", test.what+": across / inside", ratio(across, inside), "×", ">=", test.bound)
	}
	return nil
}

// deployRPC makes the workers "api" and "rpc", of the same script.
func (p *platform) deployRPC(ctx context.Context) error {
	for _, name := range []string{"api", "rpc"} {
		_, err := p.client.Deploy(ctx, name, &client.Upload{
			MainModule: "index.js",
			Modules:    []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(rpcScript)}},
			Bindings: []any{
				map[string]string{"type": "service", "name": "INSIDE", "service": name, "entrypoint": "Api"},
				map[string]string{"type": "service", "name": "ACROSS", "service": "api", "entrypoint": "Api"},
			},
			CompatibilityDate: "2026-09-01",
		})
		if err == nil {
			_, err = p.client.SetPlace(ctx, name, true, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
