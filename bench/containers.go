package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/selvage-dev/selvage/client"
)

// guestProgram is the server of the containers: that of the drivers' tests.
const guestProgram = "./internal/instances/driver/drivertest/testdata/guest"

// containerScript starts the container of an object and passes requests on. What is
// below /direct the object answers itself.
const containerScript = `import { DurableObject } from "cloudflare:workers";
export class Box extends DurableObject {
	async fetch(request) {
		const c = this.ctx.container, path = new URL(request.url).pathname;
		if (path === "/object") return new Response("guest GET /object");
		if (path === "/destroy") { await c.destroy(); return new Response("destroyed"); }
		if (!c.running) c.start({ enableInternet: false });
		return c.getTcpPort(8080).fetch(request);
	}
}
export default { fetch(r, env) { return env.BOX.getByName(new URL(r.url).searchParams.get("n") ?? "warm").fetch(r); } }`

// bareConfig is the least that runc takes to run the same server, for comparison: no
// user namespace, no filter, no limits.
const bareConfig = `{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"user":{"uid":0,"gid":0},"args":["/guest","serve","%d"],"env":["PATH=/"],"cwd":"/"},
"mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/dev","type":"tmpfs","source":"tmpfs"}],
"linux":{"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"}]}}`

func containerSuite(ctx context.Context, b *bench) error {
	if os.Geteuid() != 0 {
		return errors.New("containers need root")
	}
	program := filepath.Join(b.dir, "guest")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s", "-o", program, guestProgram)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the guest: %w: %s", err, out)
	}
	p, err := b.platform("")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.deployContainers(ctx, program); err != nil {
		return err
	}
	const starts = 40
	ours, err := p.starts(ctx, starts)
	if err != nil {
		return err
	}
	bare, err := bareStarts(ctx, b.dir, program, starts)
	if err != nil {
		return err
	}
	const suite = "containers"
	b.report.add(suite, "new instance to its first answer: p50", quantile(ours, 0.5), "ms")
	b.report.want(suite, "new instance to its first answer: p95", quantile(ours, 0.95), "ms", "<=", 150)
	b.report.add(suite, "runc alone, without limits, filter and users: p50", quantile(bare, 0.5), "ms")
	b.report.add(suite, "runc alone, without limits, filter and users: p95", quantile(bare, 0.95), "ms")

	took, err := p.tenAtOnce(ctx)
	if err != nil {
		return err
	}
	b.report.want(suite, "from 1 to 10 instances, until all answer", took.Seconds(), "s", "<=", 5)

	each, err := p.idleMemory(ctx)
	if err != nil {
		return err
	}
	b.report.want(suite, "memory of the platform for an idle instance", each, "MB", "<=", 2)

	through := &contender{name: "through worker, object and container", url: p.EdgeURL + "/warm", host: p.host("box")}
	object := &contender{name: "answered by the object", url: p.EdgeURL + "/object", host: p.host("box")}
	if err := b.race(ctx, []*contender{through, object}); err != nil {
		return err
	}
	for _, c := range []*contender{through, object} {
		b.report.add(suite, "requests, "+c.name, median(c.rates), "/s")
	}
	b.report.add(suite, "through to the container / answered by the object", ratio(through, object), "×")
	return nil
}

// deployContainers pushes an image with the program and deploys the worker "box".
func (p *platform) deployContainers(ctx context.Context, program string) error {
	body, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	img, err := programImage(body)
	if err != nil {
		return err
	}
	u, err := url.Parse(p.APIURL)
	if err != nil {
		return err
	}
	repo, err := name.NewRepository(u.Host+"/"+p.AccountID+"/box", name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(repo.Tag("latest"), img, remote.WithAuth(&authn.Basic{Username: "v1", Password: p.Token}), remote.WithContext(ctx)); err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	image := map[string]string{"image": repo.Digest(digest.String()).String()}
	_, err = p.client.Deploy(ctx, "box", &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(containerScript)}},
		Bindings:          []any{map[string]string{"type": "durable_object_namespace", "name": "BOX", "class_name": "Box"}},
		Migrations:        &client.Migrations{NewTag: "v1", Steps: []map[string]any{{"new_sqlite_classes": []string{"Box"}}}},
		Containers:        []any{map[string]any{"class_name": "Box", "images": map[string]any{"main": image}}},
		CompatibilityDate: "2026-09-01",
	})
	if err == nil {
		_, err = p.client.SetPlace(ctx, "box", true, nil)
	}
	return err
}

func programImage(body []byte) (v1.Image, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "guest", Mode: 0o755, Size: int64(len(body))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Architecture, c.OS, c.Config = runtime.GOARCH, "linux", v1.Config{Entrypoint: []string{"/guest", "serve"}}
	return mutate.ConfigFile(img, c)
}

// ask makes one request and returns how long it took, in milliseconds.
func (p *platform) ask(ctx context.Context, path string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.EdgeURL+path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = p.host("box")
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("GET %s: %d %.200s %w", path, res.StatusCode, text, err)
	}
	return float64(time.Since(began).Microseconds()) / 1000, nil
}

// starts starts instances of new objects, one after the other.
func (p *platform) starts(ctx context.Context, n int) ([]float64, error) {
	var out []float64
	for i := range n + 1 {
		object := "?n=start" + strconv.Itoa(i)
		ms, err := p.ask(ctx, "/first"+object)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first also starts the worker
			out = append(out, ms)
		}
		if _, err := p.ask(ctx, "/destroy"+object); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bareStarts runs the server with runc alone and waits for its answer, in the
// machine's network.
func bareStarts(ctx context.Context, dir, program string, n int) ([]float64, error) {
	bundle := filepath.Join(dir, "bare")
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		return nil, err
	}
	body, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(bundle, "rootfs", "guest"), body, 0o755); err != nil {
		return nil, err
	}
	var out []float64
	for i := range n {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), fmt.Appendf(nil, bareConfig, port), 0o600); err != nil {
			return nil, err
		}
		id := fmt.Sprintf("selvage-bench-%d-%d", os.Getpid(), i)
		runc := func(args ...string) error {
			cmd := exec.CommandContext(ctx, "runc", append([]string{"--root", filepath.Join(dir, "bare-state")}, args...)...)
			cmd.Dir = bundle
			return cmd.Run()
		}
		began := time.Now()
		if err := runc("run", "--detach", "--bundle", bundle, id); err != nil {
			return nil, fmt.Errorf("runc: %w", err)
		}
		for {
			res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
			if err == nil {
				_ = res.Body.Close()
				break
			}
			time.Sleep(time.Millisecond)
		}
		out = append(out, float64(time.Since(began).Microseconds())/1000)
		if err := runc("delete", "--force", id); err != nil {
			return nil, fmt.Errorf("runc: %w", err)
		}
	}
	return out, nil
}

// tenAtOnce brings up nine instances beside a first one, at the same time.
func (p *platform) tenAtOnce(ctx context.Context) (time.Duration, error) {
	if _, err := p.ask(ctx, "/one?n=ten0"); err != nil {
		return 0, err
	}
	began := time.Now()
	var wg sync.WaitGroup
	errs := make([]error, 10)
	for i := 1; i < 10; i++ {
		wg.Go(func() { _, errs[i] = p.ask(ctx, "/one?n=ten"+strconv.Itoa(i)) })
	}
	wg.Wait()
	return time.Since(began), errors.Join(errs...)
}

// idleMemory returns what another idle instance costs the platform, keeper included,
// in MB.
func (p *platform) idleMemory(ctx context.Context) (float64, error) {
	const n = 10
	before, err := p.ownMemory()
	if err != nil {
		return 0, err
	}
	for i := range n {
		if _, err := p.ask(ctx, "/idle?n=idle"+strconv.Itoa(i)); err != nil {
			return 0, err
		}
	}
	after, err := p.ownMemory()
	return float64(after-before) / n / 1e6, err
}

// ownMemory is the private memory of the platform and its keeper of containers, in bytes.
func (p *platform) ownMemory() (int64, error) {
	var total int64
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range procs {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		status, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil {
			continue
		}
		cmdline, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if pid != p.PID && !strings.Contains(string(cmdline), "selvage-keeper") && !strings.HasPrefix(string(status), "Name:\trunc") {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				total += kb << 10
			}
		}
	}
	return total, nil
}
