package workers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// socketDoors listens where a real process expects its doors, and says nothing.
type socketDoors struct{}

func (socketDoors) Open(ctx context.Context, dir string, _ workers.DoorSpec) (io.Closer, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "unix", filepath.Join(dir, "egress.sock"))
}

// newRealHarness is newHarness with the real runtime.
func newRealHarness(t *testing.T) *harness {
	t.Helper()
	binary := os.Getenv("SELVAGE_WORKERD")
	if binary == "" {
		var err error
		if binary, err = filepath.Abs("../../tools/node_modules/@cloudflare/workerd-linux-64/bin/workerd"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("workerd is missing, run make tools or set SELVAGE_WORKERD: %v", err)
	}
	h := open(t, t.TempDir(), func(o *workers.Options) {
		o.Runtime = workers.Workerd(&workerd.Launcher{Binary: binary})
		o.Doors = socketDoors{}
	})
	t.Cleanup(h.end)
	return h
}

// get makes one request to a worker as the edge does, and returns the body.
func (h *harness) get(host string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := h.Lookup(ctx, host)
	if err != nil {
		return "", err
	}
	in, err := r.Acquire(ctx)
	if err != nil {
		return "", err
	}
	defer in.Release()
	c, err := in.Upstream().Dial(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c.Reader), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return string(body), errors.Join(err, resp.Body.Close())
}

func TestRealRuntime(t *testing.T) {
	h := newRealHarness(t)
	const script = `export default { fetch(request, env) { return new Response([env.A, env.J.x, env.S, env.V.id].join(" ")) } }`
	d := h.put("w1", script, `{"name":"A","type":"plain_text","text":"a"}`, `{"name":"J","type":"json","json":{"x":7}}`,
		`{"name":"S","type":"secret_text","text":"s"}`, `{"name":"V","type":"version_metadata"}`)
	if got, err := h.get(h.host("w1")); err != nil || got != "a 7 s "+d.Version.ID {
		t.Errorf("answer = %q, %v", got, err)
	}
	if len(d.Version.Handlers) != 1 || d.Version.Handlers[0] != "fetch" {
		t.Errorf("handlers = %v", d.Version.Handlers)
	}
	_, err := h.PutScript(t.Context(), account, "w1", h.esm(`throw new Error("boom")`))
	if e := wantCode(t, err, 10021); !strings.Contains(e.Message, "boom") {
		t.Errorf("message = %q", e.Message)
	}
	if got, err := h.get(h.host("w1")); err != nil || !strings.HasSuffix(got, d.Version.ID) {
		t.Errorf("after a refused upload: %q, %v", got, err)
	}
	// Killed: the next request is served.
	pid := h.Instances()[0].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the death is noticed", func() bool { return len(h.Instances()) == 0 })
	if got, err := h.get(h.host("w1")); err != nil || !strings.HasSuffix(got, d.Version.ID) {
		t.Errorf("after the process was killed: %q, %v", got, err)
	}
}

// TestRealDeploysUnderLoad deploys while requests are made: none fails.
func TestRealDeploysUnderLoad(t *testing.T) {
	h := newRealHarness(t)
	body := func(i int) string {
		return fmt.Sprintf(`export default { async fetch() { await scheduler.wait(%d); return new Response("v%d") } }`, i%3*10, i)
	}
	h.put("w1", body(0))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := h.get(h.host("w1")); err != nil || !strings.HasPrefix(got, "v") {
					t.Errorf("a request failed: %q, %v", got, err)
					return
				}
			}
		})
	}
	for i := range 10 {
		if _, err := h.PutScript(t.Context(), account, "w1", h.esm(body(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if got, err := h.get(h.host("w1")); err != nil || got != "v10" {
		t.Errorf("at the end: %q, %v", got, err)
	}
	eventually(t, "replaced processes end", func() bool { return len(h.Instances()) == 1 })
}
