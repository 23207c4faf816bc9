package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// contender is one server under load; url is what wrk asks.
type contender struct {
	name, url, host string
	rates, p99      []float64
}

// race loads the contenders in turn, round after round, so that a noisy
// neighbour hurts all of them.
func (b *bench) race(ctx context.Context, cs []*contender) error {
	for _, c := range cs {
		if err := answering(ctx, c.url, c.host); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for range b.rounds {
		for _, c := range cs {
			l, err := b.wrk(ctx, c.url, c.host)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.rates, c.p99 = append(c.rates, l.perSecond), append(c.p99, l.p99)
		}
	}
	return nil
}

// ratio is the median over the rounds of ours against theirs.
func ratio(ours, theirs *contender) float64 {
	var xs []float64
	for i := range ours.rates {
		xs = append(xs, ours.rates[i]/theirs.rates[i])
	}
	return median(xs)
}

func hello(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deploy(ctx, "hello", helloScript); err != nil {
		return err
	}
	socket, err := p.socket(ctx)
	if err != nil {
		return err
	}
	us := &contender{name: "selvage", url: p.EdgeURL + "/", host: p.host("hello")}
	cs := []*contender{us}
	for _, peer := range []struct {
		name  string
		start func() (*process, string, error)
	}{
		{"nginx", func() (*process, string, error) { return b.nginx(nginxTuned, fmt.Sprintf(nginxProxy, socket)) }},
		{"Caddy", func() (*process, string, error) { return b.caddy("reverse_proxy unix/" + socket) }},
		{"Miniflare", b.miniflare},
		{"workerd alone (TCP)", func() (*process, string, error) {
			port, err := freePort()
			if err != nil {
				return nil, "", err
			}
			addr := fmt.Sprintf("127.0.0.1:%d", port)
			w, err := b.workerd(addr)
			return w, "http://" + addr + "/", err
		}},
	} {
		proc, url, err := peer.start()
		if err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		defer proc.stop()
		cs = append(cs, &contender{name: peer.name, url: url})
	}
	if err := b.race(ctx, cs); err != nil {
		return err
	}
	for _, c := range cs {
		b.report.add("hello", c.name+": requests", median(c.rates), "/s")
		b.report.add("hello", c.name+": p99", median(c.p99), "ms")
	}
	b.report.want("hello", "selvage / nginx, both to the same workerd", ratio(us, cs[1]), "×", ">=", 0.8)
	b.report.want("hello", "selvage / Caddy, both to the same workerd", ratio(us, cs[2]), "×", ">=", 1.5)
	b.report.add("hello", "selvage / Miniflare", ratio(us, cs[3]), "×")
	b.report.add("hello", "selvage / workerd alone", ratio(us, cs[4]), "×")
	return b.edgeCost(ctx, p, us)
}

// edgeCost is what one request costs the edge itself, access log and metrics
// on: processor time and allocations.
func (b *bench) edgeCost(ctx context.Context, p *platform, us *contender) error {
	var perRequest, allocs []float64
	for range b.rounds {
		requests0, err := p.metric(ctx, "selvage_edge_requests_total")
		if err != nil {
			return err
		}
		mallocs0, err := p.metric(ctx, "go_memstats_mallocs_total")
		if err != nil {
			return err
		}
		cpu0, err := cpu(p.PID)
		if err != nil {
			return err
		}
		if _, err := b.wrk(ctx, us.url, us.host); err != nil {
			return err
		}
		cpu1, err := cpu(p.PID)
		if err != nil {
			return err
		}
		mallocs1, err := p.metric(ctx, "go_memstats_mallocs_total")
		if err != nil {
			return err
		}
		requests1, err := p.metric(ctx, "selvage_edge_requests_total")
		if err != nil {
			return err
		}
		n := requests1 - requests0
		perRequest = append(perRequest, float64((cpu1-cpu0).Microseconds())/n)
		allocs = append(allocs, (mallocs1-mallocs0)/n)
	}
	b.report.want("hello", "edge's own CPU per request, log and metrics on", median(perRequest), "µs", "<=", 40)
	b.report.add("hello", "edge's allocations per request", median(allocs), "")
	return nil
}

// socket is the unix socket of the only worker that runs.
func (p *platform) socket(ctx context.Context) (string, error) {
	status, err := p.client.Status(ctx)
	if err != nil {
		return "", err
	}
	if len(status.Workers) != 1 {
		return "", fmt.Errorf("%d workers run, wanted one", len(status.Workers))
	}
	// By this link, as the process has a root of its own.
	return fmt.Sprintf("/proc/%d/cwd/http.sock", status.Workers[0].PID), nil
}

func staticAssets(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	root, err := os.MkdirTemp(b.dir, "site-")
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for name, size := range map[string]int{"10k.bin": 10 << 10, "1m.bin": 1 << 20} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		if err := os.WriteFile(filepath.Join(root, name), body, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	files, err := client.ReadAssets(ctx, os.DirFS(root), nil)
	if err != nil {
		return err
	}
	token, err := p.client.UploadAssets(ctx, "site", files)
	if err != nil {
		return err
	}
	if _, err := p.client.Deploy(ctx, "site", &client.Upload{CompatibilityDate: "2026-09-01", Assets: &client.UploadedAssets{JWT: token}}); err != nil {
		return err
	}
	if _, err := p.client.SetPlace(ctx, "site", true, nil); err != nil {
		return err
	}
	ng, ngURL, err := b.nginx(nginxShipped, fmt.Sprintf(nginxFiles, root))
	if err != nil {
		return err
	}
	defer ng.stop()
	tuned, tunedURL, err := b.nginx(nginxTuned, fmt.Sprintf(nginxFiles, root))
	if err != nil {
		return err
	}
	defer tuned.stop()
	cd, cdURL, err := b.caddy("root * " + root + "\n\tfile_server")
	if err != nil {
		return err
	}
	defer cd.stop()
	for _, name := range []string{"10k.bin", "1m.bin"} {
		cs := []*contender{
			{name: "selvage", url: p.EdgeURL + "/" + name, host: p.host("site")},
			{name: "nginx as Debian configures it", url: ngURL + name},
			{name: "Caddy", url: cdURL + name},
			{name: "nginx, open_file_cache and buffered log", url: tunedURL + name},
		}
		if err := b.race(ctx, cs); err != nil {
			return err
		}
		for _, c := range cs {
			b.report.add("assets", name+", "+c.name+": requests", median(c.rates), "/s")
		}
		b.report.want("assets", name+": selvage / nginx as Debian configures it", ratio(cs[0], cs[1]), "×", ">=", 0.9)
		b.report.want("assets", name+": selvage / Caddy", ratio(cs[0], cs[2]), "×", ">=", 1.5)
		b.report.add("assets", name+": selvage / nginx, open_file_cache and buffered log", ratio(cs[0], cs[3]), "×")
	}
	return nil
}

// coldStart is the first request to a version whose process was stopped,
// against starting workerd alone until it answers.
func coldStart(ctx context.Context, b *bench) error {
	p, err := b.platform("", "SELVAGE_IDLE_STOP=200ms")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deploy(ctx, "cold", helloScript); err != nil {
		return err
	}
	var ours, alone []float64
	for range 50 {
		if err := p.allStopped(ctx); err != nil {
			return err
		}
		d, err := get(ctx, p.EdgeURL+"/", p.host("cold"))
		if err != nil {
			return err
		}
		ours = append(ours, float64(d.Microseconds())/1000)
		d, err = b.workerdAlone(ctx)
		if err != nil {
			return err
		}
		alone = append(alone, float64(d.Microseconds())/1000)
	}
	b.report.add("cold start", "selvage, first request to a stopped version: p50 of 50", median(ours), "ms")
	b.report.add("cold start", "workerd alone, exec to first answer: p50 of 50", median(alone), "ms")
	b.report.add("cold start", "workerd alone: p95 of 50", quantile(alone, 0.95), "ms")
	b.report.want("cold start", "selvage: p95 of 50", quantile(ours, 0.95), "ms", "<=", 50)
	b.report.want("cold start", "selvage / workerd alone, p50", median(ours)/median(alone), "×", "<=", 1.3)
	b.report.want("cold start", "selvage / workerd alone, p95", quantile(ours, 0.95)/quantile(alone, 0.95), "×", "<=", 1.3)
	return nil
}

func (p *platform) allStopped(ctx context.Context) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status, err := p.client.Status(ctx)
		if err != nil {
			return err
		}
		if len(status.Workers) == 0 {
			return nil
		}
	}
	return fmt.Errorf("the worker was not stopped when idle")
}

// workerdAlone starts workerd by itself and returns the time to its first
// answer.
func (b *bench) workerdAlone(ctx context.Context) (time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	began := time.Now()
	w, err := b.workerd(addr)
	if err != nil {
		return 0, err
	}
	defer w.stop()
	for time.Since(began) < 10*time.Second {
		if _, err := get(ctx, "http://"+addr+"/", ""); err == nil {
			return time.Since(began), nil
		}
		time.Sleep(500 * time.Microsecond)
	}
	return 0, fmt.Errorf("workerd alone did not answer")
}

// deployShare is how much of a "wrangler deploy" passes in our API.
func deployShare(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	dir, err := os.MkdirTemp(b.dir, "app-")
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{"name": "app", "main": "index.js", "compatibility_date": "2026-09-01", "assets": map[string]string{"directory": "public"}})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "public"), 0o755); err != nil {
		return err
	}
	if _, err := p.client.Status(ctx); err != nil { // so that the metric is there
		return err
	}
	var total, share []float64
	for i := range b.rounds + 1 {
		for name, body := range map[string]string{
			"wrangler.json": string(config), "index.js": strings.ReplaceAll(helloScript, "hello", fmt.Sprint("hello ", i)), "public/a.txt": fmt.Sprint("asset ", i),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
				return err
			}
		}
		before, err := p.metric(ctx, "selvage_api_request_duration_seconds_sum")
		if err != nil {
			return err
		}
		began := time.Now()
		if err := b.wrangler(ctx, p, dir, "deploy"); err != nil {
			return err
		}
		took := time.Since(began)
		after, err := p.metric(ctx, "selvage_api_request_duration_seconds_sum")
		if err != nil {
			return err
		}
		if i > 0 { // The first one makes the worker; the others are the common case.
			total, share = append(total, took.Seconds()*1000), append(share, (after-before)*1000)
		}
	}
	b.report.add("deploy", "wrangler deploy, whole command", median(total), "ms")
	b.report.want("deploy", "of which in our API", median(share), "ms", "<=", 150)
	return nil
}

func (b *bench) wrangler(ctx context.Context, p *platform, dir string, args ...string) error {
	script, err := filepath.Abs(wranglerScript)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.tools["node"], append([]string{script}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "WRANGLER_SEND_METRICS=false", "CLOUDFLARE_CF_FETCH_ENABLED=false",
		"CLOUDFLARE_API_BASE_URL=" + p.APIURL + "/client/v4", "CLOUDFLARE_API_TOKEN=" + p.Token, "CLOUDFLARE_ACCOUNT_ID=" + p.AccountID,
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("wrangler: %w: %s", err, out.Bytes())
	}
	return nil
}

func idleMemory(_ context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	time.Sleep(3 * time.Second)
	mb, err := resident(p.PID)
	if err != nil {
		return err
	}
	b.report.want("idle", "resident memory, no worker running", mb, "MB", "<=", 60)
	b.report.add("idle", "start-up, exec to ready", float64(p.startup.Microseconds())/1000, "ms")
	return nil
}

// scale deploys ever more workers and restarts: start-up time, memory and
// request cost must stay flat.
func scale(ctx context.Context, b *bench) error {
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer func() { p.stop() }()
	deployed := 0
	for _, n := range []int{1, 10, 100, 1000} {
		for ; deployed < n; deployed++ {
			if err := p.deploy(ctx, fmt.Sprintf("w%04d", deployed), helloScript); err != nil {
				return err
			}
		}
		p.stop()
		var startups []float64
		for i := range 3 {
			if i > 0 {
				p.stop()
			}
			if p, err = b.platform(p.data); err != nil {
				return err
			}
			startups = append(startups, float64(p.startup.Microseconds())/1000)
		}
		time.Sleep(time.Second)
		mb, err := resident(p.PID)
		if err != nil {
			return err
		}
		us := &contender{name: "selvage", url: p.EdgeURL + "/", host: p.host(fmt.Sprintf("w%04d", n-1))}
		if err := b.race(ctx, []*contender{us}); err != nil {
			return err
		}
		b.report.add("scale", fmt.Sprintf("%d workers deployed: start-up", n), median(startups), "ms")
		b.report.add("scale", fmt.Sprintf("%d workers deployed: resident memory", n), mb, "MB")
		b.report.add("scale", fmt.Sprintf("%d workers deployed: hello", n), median(us.rates), "/s")
	}
	return nil
}
