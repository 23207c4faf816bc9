package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// kvScript reads and writes values of 1,000 bytes. The keys of puts are random:
// nobody writes the same key from everywhere.
const kvScript = `const value = "v".repeat(1000);
export default { async fetch(r, env) {
	switch (new URL(r.url).pathname) {
	case "/get": return new Response(await env.KV.get("hot"));
	case "/spread": return new Response(await env.KV.get("k" + (Math.random() * 10000 | 0)));
	case "/gets": for (let i = 0; i < 20; i++) await env.KV.get("k" + (Math.random() * 10000 | 0)); return new Response("ok");
	case "/puts": for (let i = 0; i < 10; i++) await env.KV.put("p" + Math.random(), value); return new Response("ok");
	case "/put": await env.KV.put("p" + Math.random(), value); return new Response("ok");
	case "/fill": await env.KV.put("hot", value);
		for (let i = 0; i < 10000; i += 500) await Promise.all(Array.from({ length: 500 }, (_, j) => env.KV.put("k" + (i + j), value)));
		return new Response("ok");
	default: return new Response("hello");
	}
} }`

// kvMiniflare runs kvScript in Miniflare by its own API, without the proxy that
// "wrangler dev" puts in front, and with its namespace on disk as ours is.
const kvMiniflare = `const { Miniflare, convertV4MiniflareOptions } = require(process.argv[2]);
const mf = new Miniflare(convertV4MiniflareOptions({ modules: true, script: require("fs").readFileSync(process.argv[3], "utf8"),
	compatibilityDate: "2026-09-01", kvNamespaces: ["KV"], kvPersist: process.argv[4], host: "127.0.0.1", port: Number(process.argv[5]), cf: false }));
mf.ready.catch((e) => { console.error(e); process.exit(1); });`

func kvStore(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deployKV(ctx); err != nil {
		return err
	}
	mf, mfURL, err := b.scriptInMiniflare("kv", kvMiniflare, kvScript)
	if err != nil {
		return err
	}
	defer mf.stop()
	for _, c := range []struct{ url, host string }{{p.EdgeURL + "/fill", p.host("kv")}, {mfURL + "fill", ""}} {
		if err := filled(ctx, c.url, c.host); err != nil {
			return err
		}
	}
	// The bounds are on operations: of a request with a single one, half is spent
	// in workerd on what is no KV, and it is the same on both sides.
	for _, test := range []struct {
		path, what string
		each       float64 // operations of a request
		bound      float64
	}{
		{"gets", "20 gets of 10,000 keys, one after the other", 20, 4},
		{"puts", "10 puts of new keys, one after the other", 10, 3},
		{"get", "a request with one get, always of the same key", 1, 0},
		{"spread", "a request with one get of 10,000 keys", 1, 0},
		{"put", "a request with one put of a new key", 1, 3},
		{"", "a request without KV", 1, 0},
	} {
		us := &contender{name: "selvage", url: p.EdgeURL + "/" + test.path, host: p.host("kv")}
		them := &contender{name: "Miniflare", url: mfURL + test.path}
		if err := b.race(ctx, []*contender{us, them}); err != nil {
			return err
		}
		for _, c := range []*contender{us, them} {
			b.report.add("kv", test.what+", "+c.name, median(c.rates)*test.each, "/s")
			b.report.add("kv", test.what+", "+c.name+": p99", median(c.p99), "ms")
		}
		if test.bound == 0 {
			b.report.add("kv", test.what+": selvage / Miniflare", ratio(us, them), "×")
			continue
		}
		b.report.want("kv", test.what+": selvage / Miniflare", ratio(us, them), "×", ">=", test.bound)
	}
	return nil
}

// deployKV makes a namespace and the worker "kv" with a binding to it.
func (p *platform) deployKV(ctx context.Context) error {
	n, err := p.client.CreateKVNamespace(ctx, "bench")
	if err != nil {
		return err
	}
	_, err = p.client.Deploy(ctx, "kv", &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(kvScript)}},
		Bindings:          []any{map[string]string{"type": "kv_namespace", "name": "KV", "namespace_id": n.ID}},
		CompatibilityDate: "2026-09-01",
	})
	if err == nil {
		_, err = p.client.SetPlace(ctx, "kv", true, nil)
	}
	return err
}

// scriptInMiniflare runs a worker in Miniflare with the given program, which gets
// the library, the script, a folder for the data and the port.
func (b *bench) scriptInMiniflare(name, program, script string) (*process, string, error) {
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp(b.dir, "miniflare-"+name+"-")
	if err != nil {
		return nil, "", err
	}
	lib, err := filepath.Abs("tools/node_modules/miniflare")
	if err != nil {
		return nil, "", err
	}
	for file, text := range map[string]string{"run.cjs": program, "index.js": script} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return nil, "", err
		}
	}
	p, err := b.start([]string{"HOME=" + dir}, dir, "node", "run.cjs", lib, filepath.Join(dir, "index.js"), filepath.Join(dir, "data"), fmt.Sprint(port))
	return p, fmt.Sprintf("http://127.0.0.1:%d/", port), err
}

// filled asks a worker to fill its namespace, waiting for the worker to start.
func filled(ctx context.Context, url, host string) error {
	ask := func(url string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Host = host
		res, err := (&http.Client{Timeout: 2 * time.Minute}).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", url, res.Status)
		}
		return nil
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := ask(strings.TrimSuffix(url, "fill"))
		if err == nil {
			return ask(url)
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
