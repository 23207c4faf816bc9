package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// guestImage is an image that has nothing but the guest of the drivers' tests, with
// a command.
func guestImage(t *testing.T, args ...string) v1.Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "guest")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s", "-o", program, "github.com/selvage-dev/selvage/internal/instances/driver/drivertest/testdata/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, out)
	}
	body, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return imageOf(t, v1.Config{Entrypoint: []string{"/guest"}, Cmd: args, Env: []string{"FROM=image"}}, map[string][]byte{"guest": body, "bin/sh": body})
}

// imageOf is an image of one layer with executable files.
func imageOf(t *testing.T, config v1.Config, files map[string][]byte) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for file, body := range files {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.Architecture, c.OS, c.Config = runtime.GOARCH, "linux", config
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return img
}

// push pushes an image and returns how wrangler's metadata names it.
func (p *platform) push(t *testing.T, repository string, img v1.Image) string {
	t.Helper()
	u, err := url.Parse(p.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := name.NewRepository(u.Host+"/"+p.AccountID+"/"+repository, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(repo.Tag("latest"), img, remote.WithAuth(&authn.Basic{Username: "v1", Password: p.Token}), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return repo.Digest(digest.String()).String()
}

// deployContainer uploads a worker whose class Box has containers of an image.
func (p *platform) deployContainer(t *testing.T, script, source, image string) {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{
		"main_module": "index.js", "compatibility_date": "2026-09-01",
		"bindings":   []any{map[string]string{"type": "durable_object_namespace", "name": "BOX", "class_name": "Box"}},
		"migrations": map[string]any{"new_tag": "v1", "steps": []any{map[string]any{"new_sqlite_classes": []string{"Box"}}}},
		"containers": []any{map[string]any{"name": script + "-box", "class_name": "Box", "images": map[string]any{"main": map[string]string{"image": image}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, part := range []struct{ name, kind, body string }{{"metadata", "application/json", string(metadata)}, {"index.js", "application/javascript+module", source}} {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, part.name, part.name))
		h.Set("Content-Type", part.kind)
		pw, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(pw, part.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.APIURL+"/client/v4/accounts/"+p.AccountID+"/workers/scripts/"+script, &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+p.Token)
	if a := do(t, req); a.Status != http.StatusOK {
		t.Fatalf("upload: %d %s", a.Status, a.Body)
	}
	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, p.APIURL+"/client/v4/accounts/"+p.AccountID+"/workers/scripts/"+script+"/subdomain", strings.NewReader(`{"enabled":true}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.Token)
	if a := do(t, req); a.Status != http.StatusOK {
		t.Fatalf("subdomain: %d %s", a.Status, a.Body)
	}
}

const boxSource = `import { DurableObject } from "cloudflare:workers";
export class Box extends DurableObject {
  async fetch(request) {
    const url = new URL(request.url), c = this.ctx.container;
    if (url.pathname === "/start") {
      const began = Date.now();
      if (!c.running) c.start({ enableInternet: false, env: { GIVEN: "by the object" } });
      for (let i = 0; ; i++) try {
        const r = await c.getTcpPort(8080).fetch("http://box/env");
        return Response.json({ body: await r.text(), tries: i, ms: Date.now() - began });
      } catch (e) { if (i > 100) return new Response(String(e), { status: 500 }); }
    }
    if (url.pathname === "/running") return new Response(String(c.running));
    if (url.pathname === "/stop") { await c.destroy(); return new Response("destroyed"); }
    return c.getTcpPort(8080).fetch(request);
  }
}
export default { fetch(request, env) { return env.BOX.getByName(new URL(request.url).searchParams.get("n") ?? "one").fetch(request); } };`

// needsRunc skips where containers cannot be run.
func needsRunc(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces")
	}
}

// containerProcesses counts the processes that are in containers of a platform.
func containerProcesses(t *testing.T, data string) (processes int, groups []string) {
	t.Helper()
	sum := sha256.Sum256([]byte(filepath.Join(data, "containers", "run")))
	group := "selvage-" + hex.EncodeToString(sum[:6])
	procs, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if b, err := os.ReadFile(p); err == nil && strings.Contains(string(b), group) {
			processes++
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/" + group, "/sys/fs/cgroup/*/" + group} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, found...)
	}
	return processes, groups
}

// TestContainerKilled kills the platform while containers run: they end, the next
// start leaves nothing of them, and their objects start them again.
func TestContainerKilled(t *testing.T) {
	needsRunc(t)
	p := start(t)
	p.deployContainer(t, "boxes", boxSource, p.push(t, "guest", guestImage(t, "serve")))
	n := rounds(20)
	for range n {
		for i := range 3 {
			if a := p.get(t, p.host("boxes"), "/start?n="+strconv.Itoa(i)); a.Status != http.StatusOK {
				t.Fatalf("start: %d %s", a.Status, a.Body)
			}
		}
		if running, groups := containerProcesses(t, p.data); running < 3 || len(groups) == 0 {
			t.Fatalf("%d processes in %q: this test sees too little", running, groups)
		}
		p.kill()
		eventually(t, func() error {
			if running, _ := containerProcesses(t, p.data); running > 0 {
				return fmt.Errorf("%d processes of containers run on", running)
			}
			return nil
		})
		p.up(t)
		if _, groups := containerProcesses(t, p.data); len(groups) > 0 {
			t.Fatalf("left are %q", groups)
		}
		left, err := filepath.Glob(filepath.Join(p.data, "containers", "run", "*"))
		if err != nil || len(left) > 0 {
			t.Fatalf("left are %q, %v", left, err)
		}
	}
	t.Logf("%d rounds of kill -9 with three running containers: nothing is left", n)
}

// TestContainer starts the container of an object and reaches it.
func TestContainer(t *testing.T) {
	needsRunc(t)
	p := start(t)
	p.deployContainer(t, "boxes", boxSource, p.push(t, "guest", guestImage(t, "serve")))
	host := p.host("boxes")
	a := p.get(t, host, "/start")
	if !strings.Contains(a.Body, "GIVEN=by the object") || strings.Contains(a.Body, "OBJECT_ID=xxx") || strings.Contains(a.Body, "APPLICATION_ID=xxx") {
		t.Errorf("environment: %s", a.Body)
	}
	if a.Status != http.StatusOK {
		t.Fatal(tail(p.stderr.String(), 4000))
	}
	p.want(t, host, "/anything", "guest GET /anything")
	p.want(t, host, "/running", "true")
	// A server that answers 500 to everything is left alone, until it does not.
	kept := 0
	for range 60 {
		if a := p.get(t, host, "/nothing-but-500"); a.Status == http.StatusServiceUnavailable && strings.Contains(a.Body, "kept away") {
			kept++
		}
	}
	if kept == 0 {
		t.Error("60 requests that failed were all let through")
	}
	eventually(t, func() error {
		if a := p.get(t, host, "/well"); a.Status != http.StatusOK {
			return fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return nil
	})
	p.want(t, host, "/stop", "destroyed")
	p.want(t, host, "/running", "false")
}
