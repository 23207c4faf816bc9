package instances_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/instances"
	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/instances/driver/drivertest"
	"github.com/selvage-dev/selvage/internal/instances/keeper"
	"github.com/selvage-dev/selvage/internal/instances/runc"
)

func TestMain(m *testing.M) {
	if keeper.IsKeeper(os.Args) {
		os.Exit(keeper.Main())
	}
	goleak.VerifyTestMain(m)
}

// bench is a service with images that a test makes.
type bench struct {
	*instances.Service

	blobs map[string][]byte
	app   instances.Application
	guest []byte

	mu    sync.Mutex
	lines []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces")
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	dir := t.TempDir()
	d, err := runc.Open(runc.Options{Dir: filepath.Join(dir, "run"), Helper: "/proc/self/exe", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{blobs: make(map[string][]byte)}
	b.Service, err = instances.New(instances.Options{
		Dir: dir, Driver: d, Applications: b, Images: b, Log: log, StopGrace: 300 * time.Millisecond, KeepImages: time.Millisecond,
		OnLog: func(l instances.Line) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lines = append(b.lines, l.Text)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	program := filepath.Join(dir, "guest")
	drivertest.Guest(t, program)
	if b.guest, err = os.ReadFile(program); err != nil {
		t.Fatal(err)
	}
	return b
}

// Application implements instances.Applications.
func (b *bench) Application(context.Context, string, string, string, string) (instances.Application, error) {
	if b.app.ID == "" {
		return b.app, instances.Fail(instances.CodeNoApplication, "none")
	}
	return b.app, nil
}

// Manifest implements instances.Images.
func (b *bench) Manifest(_ context.Context, _, _, digest string) (string, []byte, error) {
	body, ok := b.blobs[digest]
	if !ok {
		return "", nil, fs.ErrNotExist
	}
	return "application/vnd.oci.image.manifest.v1+json", body, nil
}

// Blob implements instances.Images.
func (b *bench) Blob(_ context.Context, _, _, digest string) (io.ReadCloser, error) {
	body, ok := b.blobs[digest]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

func (b *bench) put(body []byte) string {
	sum := sha256.Sum256(body)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	b.blobs[digest] = body
	return digest
}

type file struct {
	tar.Header

	body []byte
}

func layerOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := range files {
		h := files[i].Header
		h.Size = int64(len(files[i].body))
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[i].body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// image stores an image of layers; change may spoil its configuration.
func (b *bench) image(t *testing.T, config map[string]any, change func(c map[string]any), layers ...[]byte) instances.Image {
	t.Helper()
	var ids []string
	var parts []map[string]any
	for _, l := range layers {
		digest := b.put(l)
		ids = append(ids, digest)
		parts = append(parts, map[string]any{"digest": digest, "size": len(l)})
	}
	c := map[string]any{"architecture": runtime.GOARCH, "os": "linux", "config": config, "rootfs": map[string]any{"type": "layers", "diff_ids": ids}}
	if change != nil {
		change(c)
	}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(map[string]any{"schemaVersion": 2, "config": map[string]any{"digest": b.put(body), "size": len(body)}, "layers": parts})
	if err != nil {
		t.Fatal(err)
	}
	return instances.Image{Repository: "test", Digest: b.put(m)}
}

func (b *bench) guestLayer(t *testing.T) []byte {
	t.Helper()
	return layerOf(t, file{Header: tar.Header{Name: "guest"}, body: b.guest})
}

// use makes an image with the guest the application's.
func (b *bench) use(t *testing.T, config map[string]any) {
	t.Helper()
	b.app = instances.Application{ID: "app", Name: "app", Image: b.image(t, config, nil, b.guestLayer(t)), Limits: instances.Limits{MilliCPU: 1000, Memory: 128 << 20}}
}

type nowhere struct{}

func (nowhere) Attach(context.Context, driver.Container) error { return nil }
func (nowhere) Nameserver() string                             { return "" }

func (b *bench) owner(t *testing.T) *instances.Owner {
	t.Helper()
	o := b.NewOwner("account", "script", []string{"Box"})
	t.Cleanup(func() {
		if err := o.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return o
}

func start(t *testing.T, o *instances.Owner, name string, args ...string) *instances.Instance {
	t.Helper()
	in, err := o.Create(t.Context(), instances.Request{Name: name, Class: "Box", Args: args})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Start(t.Context(), nowhere{}); err != nil {
		t.Fatal(err)
	}
	return in
}

func code(err error) instances.Code {
	if e, ok := errors.AsType[*instances.Error](err); ok {
		return e.Code
	}
	return ""
}

func ends(t *testing.T, in *instances.Instance) instances.State {
	t.Helper()
	select {
	case <-in.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	return in.State()
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never is so that %s", what)
		}
	}
}

// TestBadImages holds that each is refused with words of its own, and that nothing is
// kept of it.
func TestBadImages(t *testing.T) {
	b := newBench(t)
	o := b.owner(t)
	if _, err := o.Create(t.Context(), instances.Request{Name: "x", Class: "Box"}); code(err) != instances.CodeNoApplication {
		t.Errorf("without an application: %v", err)
	}
	good := b.guestLayer(t)
	swapped := func(c map[string]any) {
		c["rootfs"] = map[string]any{"diff_ids": []string{"sha256:" + strings.Repeat("0", 64)}}
	}
	missing := b.image(t, nil, nil, good, []byte("gone"))
	for digest, body := range b.blobs {
		if string(body) == "gone" {
			delete(b.blobs, digest)
		}
	}
	for name, c := range map[string]struct {
		image instances.Image
		code  instances.Code
		says  string
	}{
		"not there":        {instances.Image{Repository: "test", Digest: "sha256:" + strings.Repeat("1", 64)}, instances.CodeNoImage, "cannot be read"},
		"other processor":  {b.image(t, nil, func(c map[string]any) { c["architecture"] = "arm64"; c["variant"] = "v8"; c["os"] = "plan9" }, good), instances.CodeBadImage, "--platform linux/"},
		"no layers":        {b.image(t, nil, nil), instances.CodeBadImage, "0 layers"},
		"wrong diff id":    {b.image(t, nil, swapped, layerOf(t, file{Header: tar.Header{Name: "other"}})), instances.CodeBadImage, "is not what its configuration says"},
		"fewer diff ids":   {b.image(t, nil, func(c map[string]any) { c["rootfs"] = map[string]any{} }, good), instances.CodeBadImage, "names 0"},
		"diff id no hash":  {b.image(t, nil, func(c map[string]any) { c["rootfs"] = map[string]any{"diff_ids": []string{"sha256:../../etc"}} }, good), instances.CodeBadImage, "no SHA-256"},
		"layer missing":    {missing, instances.CodeNoImage, "layer"},
		"leads out":        {b.image(t, nil, nil, layerOf(t, file{Header: tar.Header{Name: "../../etc/x"}})), instances.CodeBadImage, "leads out"},
		"device":           {b.image(t, nil, nil, layerOf(t, file{Header: tar.Header{Name: "sda", Typeflag: tar.TypeBlock}})), instances.CodeBadImage, "device"},
		"no tar":           {b.image(t, nil, nil, bytes.Repeat([]byte("no tar"), 1000)), instances.CodeBadImage, "layer"},
		"config no object": {instances.Image{Repository: "test", Digest: b.put([]byte(`{"config":{"digest":"` + b.put([]byte(`[]`)) + `"},"layers":[{}]}`))}, instances.CodeBadImage, "no JSON"},
		"list without us":  {instances.Image{Repository: "test", Digest: b.put([]byte(`{"manifests":[{"digest":"x","platform":{"os":"linux","architecture":"riscv64"}}]}`))}, instances.CodeBadImage, "riscv64"},
	} {
		b.app = instances.Application{ID: "app", Name: "app", Image: c.image}
		_, err := o.Create(t.Context(), instances.Request{Name: name, Class: "Box"})
		if code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o.Busy() || len(b.Instances("")) != 0 {
		t.Error("something is there")
	}
}

// TestBounds holds the number of instances, and what an instance is told of its end.
func TestBounds(t *testing.T) {
	b := newBench(t)
	b.use(t, map[string]any{"Entrypoint": []string{"/guest"}, "Cmd": []string{"stubborn"}})
	b.app.MaxInstances = 2
	o := b.owner(t)
	one := start(t, o, "one")
	start(t, o, "two")
	if !o.Busy() {
		t.Error("nothing is said to run")
	}
	third, err := o.Create(t.Context(), instances.Request{Name: "three", Class: "Box"})
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Start(t.Context(), nowhere{}); code(err) != instances.CodeFull || !strings.Contains(err.Error(), "max_instances") {
		t.Errorf("a third: %v", err)
	}
	if _, err := o.Create(t.Context(), instances.Request{Name: "one", Class: "Box"}); code(err) != instances.CodeConflict {
		t.Errorf("a second of one name: %v", err)
	}
	if _, err := o.Create(t.Context(), instances.Request{Name: "x", Class: "Other"}); code(err) != instances.CodeNoApplication {
		t.Errorf("another class: %v", err)
	}
	if err := one.Stop(t.Context()); err != nil { // it ignores SIGTERM
		t.Fatal(err)
	}
	if s := ends(t, one); s.ExitCode != 137 || s.OutOfMemory {
		t.Errorf("%+v", s)
	}
	if err := one.Signal(15); code(err) != instances.CodeNotRunning {
		t.Errorf("a signal to what has ended: %v", err)
	}
	b.app.Limits.Memory = 32 << 20
	four := start(t, o, "four", "/guest", "memory")
	if s := ends(t, four); !s.OutOfMemory || s.ExitCode != 137 || !strings.Contains(s.Reason, "memory") {
		t.Errorf("%+v", s)
	}
	bad, err := o.Create(t.Context(), instances.Request{Name: "five", Class: "Box", Args: []string{"/nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Start(t.Context(), nowhere{}); code(err) != instances.CodeStart || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("a program that is not there: %v", err)
	}
	if err := b.EndAll(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if o.Busy() {
		t.Error("something runs after the end of all")
	}
	states := make(map[int]int)
	for _, i := range b.Instances("app") {
		states[i.State.ExitCode]++
	}
	if states[137] != 3 {
		t.Errorf("remembered by exit code: %v", states)
	}
}

// TestHealth holds that nobody is let in before an instance is healthy, nor when it
// no longer is.
func TestHealth(t *testing.T) {
	b := newBench(t)
	b.use(t, map[string]any{"Entrypoint": []string{"/guest"}, "Cmd": []string{"serve"}})
	b.app.Health = instances.Health{Path: "/health", Port: 8080, Interval: 20 * time.Millisecond, Timeout: 5 * time.Second, Retries: 2, StartPeriod: time.Minute}
	in := start(t, b.owner(t), "one")
	if err := in.Admit(t.Context(), 30*time.Second); err != nil {
		t.Fatal(err)
	}
	c, _, err := in.Container()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(args ...string) {
		t.Helper()
		p, err := c.Exec(t.Context(), driver.ExecSpec{Args: args})
		if err != nil {
			t.Fatal(err)
		}
		if code, err := p.Wait(t.Context()); code != 0 || err != nil {
			t.Fatal(code, err)
		}
	}
	exec("/guest", "flag", "/sick")
	until(t, "it is not healthy", func() bool { s, _ := in.Health(); return s == instances.Unhealthy })
	if err := in.Admit(t.Context(), 0); code(err) != instances.CodeUnavailable || !strings.Contains(err.Error(), "500") {
		t.Errorf("let in: %v", err)
	}
	exec("/guest", "unflag", "/sick")
	until(t, "it is healthy again", func() bool { return in.Admit(t.Context(), 0) == nil })

	if err := b.Prove(t.Context(), "account", b.app); err != nil {
		t.Errorf("a good image: %v", err)
	}
	sick := b.app
	sick.Health.Path, sick.Health.StartPeriod = "/nothing-but-500", 0
	if err := b.Prove(t.Context(), "account", sick); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("an image that answers 500: %v", err)
	}
	b.use(t, map[string]any{"Entrypoint": []string{"/guest"}, "Cmd": []string{"exit", "4"}})
	if err := b.Prove(t.Context(), "account", b.app); err == nil || !strings.Contains(err.Error(), "code 4") {
		t.Errorf("an image that ends: %v", err)
	}
	b.use(t, map[string]any{"Entrypoint": []string{"/guest"}, "Cmd": []string{"serve"}, "Healthcheck": map[string]any{"Test": []string{"CMD", "/guest", "exit", "1"}, "Retries": 1, "Interval": 1_000_000}})
	if err := b.Prove(t.Context(), "account", b.app); err == nil || !strings.Contains(err.Error(), "exit code 1") {
		t.Errorf("an image whose own check fails: %v", err)
	}
}

// TestOutput holds that the last lines can be read, and are bounded.
func TestOutput(t *testing.T) {
	b := newBench(t)
	b.use(t, map[string]any{"Entrypoint": []string{"/guest"}})
	in := start(t, b.owner(t), "one", "/guest", "print", "3000")
	ends(t, in)
	lines := in.Lines(10000)
	total := 0
	for _, l := range lines {
		total += len(l.Text)
	}
	if len(lines) < 200 || len(lines) > 1000 || total > 256<<10 {
		t.Errorf("%d lines, %d bytes", len(lines), total)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) != 3000 {
		t.Errorf("%d lines were passed on", len(b.lines))
	}
}

// TestCollect holds that layers go that nothing uses, and stay while something runs.
func TestCollect(t *testing.T) {
	b := newBench(t)
	b.use(t, map[string]any{"Entrypoint": []string{"/guest"}, "Cmd": []string{"stubborn"}})
	in := start(t, b.owner(t), "one")
	time.Sleep(2 * time.Millisecond) // longer than images are kept here
	if out, err := b.Collect(t.Context()); err != nil || out.Layers != 0 {
		t.Errorf("while it runs: %+v, %v", out, err)
	}
	if err := in.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	if out, err := b.Collect(t.Context()); err != nil || out.Layers != 1 || out.Images != 1 {
		t.Errorf("after its end: %+v, %v", out, err)
	}
	start(t, b.owner(t), "again")
}
