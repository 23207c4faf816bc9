package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"github.com/selvage-dev/selvage/client"
)

// cacheBody is the answer that is cached; cacheScript fills in its URL.
const (
	cacheBytes = 10 << 10

	cannedScript = `const body = new Uint8Array(10240).fill(120);
export default { fetch() { return new Response(body, { headers: { "content-type": "application/octet-stream" } }); } };`

	frontScript = `const body = new Uint8Array(10240).fill(120);
export default { fetch() { return new Response(body, { headers: { "content-type": "application/octet-stream", "cache-control": "public, max-age=3600" } }); } };`

	cacheScript = `const body = new Uint8Array(10240).fill(120);
const key = "https://cache.test/10k";
export default { async fetch() {
	const hit = await caches.default.match(key);
	if (hit) return hit;
	const fresh = new Response(body, { headers: { "content-type": "application/octet-stream", "cache-control": "max-age=3600" } });
	await caches.default.put(key, fresh.clone());
	return fresh;
} };`
)

// cacheHits compares the same 10 KiB as a static asset, from a Worker's memory,
// from the Cache API inside a Worker, and from the cache in front of one. The
// second is the ceiling of the third: whatever goes through a Worker costs what
// a Worker costs. The fourth does not run it.
func cacheHits(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deploySite(ctx, b, "site", "10k.bin", bytes.Repeat([]byte("x"), cacheBytes)); err != nil {
		return err
	}
	for name, script := range map[string]string{"canned": cannedScript, "cached": cacheScript} {
		if err := p.deploy(ctx, name, script); err != nil {
			return err
		}
	}
	if err := p.deployCached(ctx, "front", frontScript); err != nil {
		return err
	}
	asset := &contender{name: "static asset", url: p.EdgeURL + "/10k.bin", host: p.host("site")}
	canned := &contender{name: "Worker, answer in its memory", url: p.EdgeURL + "/", host: p.host("canned")}
	cached := &contender{name: "Worker, Cache API hit", url: p.EdgeURL + "/", host: p.host("cached")}
	front := &contender{name: "Worker with the cache in front, hit", url: p.EdgeURL + "/", host: p.host("front")}
	cs := []*contender{asset, canned, cached, front}
	if err := b.race(ctx, cs); err != nil {
		return err
	}
	for _, c := range cs {
		b.report.add("cache", c.name+": requests", median(c.rates), "/s")
		b.report.add("cache", c.name+": p99", median(c.p99), "ms")
	}
	b.report.want("cache", "hit of the cache in front of a Worker / static asset", ratio(front, asset), "×", ">=", 0.8)
	b.report.add("cache", "Cache API hit / static asset", ratio(cached, asset), "×")
	b.report.add("cache", "Cache API hit / answer in the Worker's memory, its ceiling", ratio(cached, canned), "×")
	return nil
}

// deployCached deploys a Worker with the cache in front.
func (p *platform) deployCached(ctx context.Context, name, source string) error {
	_, err := p.client.Deploy(ctx, name, &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(source)}},
		CompatibilityDate: "2026-09-01",
		CacheOptions:      map[string]bool{"enabled": true},
	})
	if err == nil {
		_, err = p.client.SetPlace(ctx, name, true, nil)
	}
	return err
}

// deploySite deploys a Worker of one static asset.
func (p *platform) deploySite(ctx context.Context, b *bench, name, file string, body []byte) error {
	root, err := os.MkdirTemp(b.dir, "site-")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, file), body, 0o600); err != nil {
		return err
	}
	files, err := client.ReadAssets(ctx, os.DirFS(root), nil)
	if err != nil {
		return err
	}
	token, err := p.client.UploadAssets(ctx, name, files)
	if err != nil {
		return err
	}
	if _, err := p.client.Deploy(ctx, name, &client.Upload{CompatibilityDate: "2026-09-01", Assets: &client.UploadedAssets{JWT: token}}); err != nil {
		return err
	}
	_, err = p.client.SetPlace(ctx, name, true, nil)
	return err
}
