package e2e

import (
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

// create deploys one module as a worker that answers at its hostname, as
// wrangler does with workers_dev.
func create(ctx context.Context, c *client.Client, name, source string) error {
	if _, err := upload(ctx, c, name, source); err != nil {
		return err
	}
	_, err := c.SetPlace(ctx, name, true, nil)
	return err
}

// upload deploys one module as the live version.
func upload(ctx context.Context, c *client.Client, name, source string) (version string, err error) {
	d, err := c.Deploy(ctx, name, &client.Upload{
		MainModule:        "index.js",
		Modules:           []client.Module{{Name: "index.js", ContentType: client.TypeESModule, Body: []byte(source)}},
		CompatibilityDate: "2026-09-01",
	})
	return d.VersionID, err
}

// hammer requests host from several clients until stopped. Every answer must
// be a 200 with a body that check accepts.
type hammer struct {
	sent, failed atomic.Int64
	first        atomic.Pointer[string]
	stop         context.CancelFunc
	done         sync.WaitGroup
}

func (h *hammer) fail(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	h.failed.Add(1)
	h.first.CompareAndSwap(nil, &msg)
}

func (p *platform) hammer(t *testing.T, host string, clients int, check func(body string) bool) *hammer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	h := &hammer{stop: cancel}
	addr := p.edgeAddr(t)
	for i := range clients {
		h.done.Go(func() {
			tr := &http.Transport{DisableKeepAlives: i%2 == 0}
			defer tr.CloseIdleConnections()
			c := &http.Client{Transport: tr, Timeout: 20 * time.Second}
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "http://"+addr+"/", nil)
				if err != nil {
					h.fail("%v", err)
					return
				}
				req.Host = host
				h.sent.Add(1)
				res, err := c.Do(req)
				if err != nil {
					h.fail("%v", err)
					continue
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || !check(string(body)) {
					h.fail("%d %q %v", res.StatusCode, tail(string(body), 300), err)
				}
			}
		})
	}
	return h
}

// end stops the clients and fails the test if any request failed.
func (h *hammer) end(t *testing.T) {
	t.Helper()
	h.stop()
	h.done.Wait()
	t.Logf("%d requests, %d failed", h.sent.Load(), h.failed.Load())
	if h.failed.Load() > 0 {
		t.Errorf("%d of %d requests failed, the first with: %s", h.failed.Load(), h.sent.Load(), *h.first.Load())
	}
	if h.sent.Load() == 0 {
		t.Error("no request was sent")
	}
}

func TestHammerDeploys(t *testing.T) {
	p := start(t)
	c := p.client(t)
	n := rounds(100)
	if err := create(t.Context(), c, "hot", hello("0")); err != nil {
		t.Fatal(err)
	}
	h := p.hammer(t, p.host("hot"), 4, func(string) bool { return true })
	for i := 1; i <= n; i++ {
		if _, err := upload(t.Context(), c, "hot", hello(fmt.Sprint(i))); err != nil {
			t.Fatalf("deploy %d: %v", i, err)
		}
		if a := p.get(t, p.host("hot"), "/"); a.Body != fmt.Sprint(i) {
			t.Fatalf("after deploy %d was acknowledged: %d %q", i, a.Status, a.Body)
		}
	}
	t.Logf("%d deploys under load", n)
	h.end(t)
}

func TestHammerSlowRequestsOutliveDeploys(t *testing.T) {
	p := start(t)
	c := p.client(t)
	slow := func(text string) string {
		return `export default { async fetch() { await scheduler.wait(1500); return new Response("` + text + `") } }`
	}
	if err := create(t.Context(), c, "slow", slow("old")); err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer)
	req := p.request(t, http.MethodGet, p.host("slow"), "/", nil)
	go func() { answers <- do(t, req) }()
	time.Sleep(300 * time.Millisecond) // The request is now inside the old version's handler.
	if _, err := upload(t.Context(), c, "slow", slow("new")); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.Status != 200 || a.Body != "old" {
		t.Errorf("the request in flight: %d %q", a.Status, a.Body)
	}
	if a := p.get(t, p.host("slow"), "/"); a.Body != "new" {
		t.Errorf("after the deploy: %q", a.Body)
	}
}

// processes are the worker processes that run, by their ids.
func processes(t *testing.T, c *client.Client) []int {
	t.Helper()
	status, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, w := range status.Workers {
		if !w.Draining {
			pids = append(pids, w.PID)
		}
	}
	return pids
}

func TestKilledWorkerdIsReplaced(t *testing.T) {
	p := start(t)
	c := p.client(t)
	if err := create(t.Context(), c, "k", hello("alive")); err != nil {
		t.Fatal(err)
	}
	for round := range rounds(30) {
		if a := p.get(t, p.host("k"), "/"); a.Body != "alive" {
			t.Fatalf("round %d: %d %q", round, a.Status, a.Body)
		}
		pids := processes(t, c)
		if len(pids) != 1 {
			t.Fatalf("round %d: %d processes run", round, len(pids))
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if a := p.get(t, p.host("k"), "/"); a.Status != 200 || a.Body != "alive" {
			t.Fatalf("round %d: the request after the kill: %d %q", round, a.Status, a.Body)
		}
	}
}

// TestKilledWorkerdUnderLoad kills the process while four clients make
// requests, some of which are then inside it: a GET is repeated and must not fail.
func TestKilledWorkerdUnderLoad(t *testing.T) {
	p := start(t)
	c := p.client(t)
	source := `export default { async fetch() { await scheduler.wait(3); return new Response("alive") } }`
	if err := create(t.Context(), c, "k", source); err != nil {
		t.Fatal(err)
	}
	h := p.hammer(t, p.host("k"), 4, func(body string) bool { return body == "alive" })
	kills := 0
	for range rounds(30) {
		var last int
		eventually(t, func() error {
			pids := processes(t, c)
			if len(pids) != 1 {
				return fmt.Errorf("%d processes run", len(pids))
			}
			last = pids[0]
			return nil
		})
		before := h.sent.Load()
		eventually(t, func() error { // it serves
			if h.sent.Load() < before+100 {
				return errors.New("no requests are made")
			}
			return nil
		})
		if err := syscall.Kill(last, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		kills++
		eventually(t, func() error {
			if pids := processes(t, c); len(pids) != 1 || pids[0] == last {
				return fmt.Errorf("processes %v after %d was killed", pids, last)
			}
			return nil
		})
	}
	t.Logf("%d kills of workerd", kills)
	h.end(t)
}

func TestIdleStopAndColdStart(t *testing.T) {
	t.Parallel()
	p := &platform{data: filepath.Join(t.TempDir(), "data"), env: []string{"SELVAGE_IDLE_STOP=300ms"}}
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	c := p.client(t)
	if err := create(t.Context(), c, "sleepy", hello("awake")); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		began := time.Now()
		if a := p.get(t, p.host("sleepy"), "/"); a.Status != 200 || a.Body != "awake" {
			t.Fatalf("round %d: %d %q", round, a.Status, a.Body)
		}
		took := time.Since(began)
		pids := processes(t, c)
		if len(pids) != 1 {
			t.Fatalf("round %d: processes %v", round, pids)
		}
		soon(t, "the idle process goes", func() bool {
			return len(processes(t, c)) == 0 && errors.Is(syscall.Kill(pids[0], 0), syscall.ESRCH)
		})
		t.Logf("round %d: answered in %v, process gone %v later", round, took.Round(time.Millisecond), (time.Since(began) - took).Round(10*time.Millisecond))
	}
	// Twenty visitors at once cause one start.
	var done sync.WaitGroup
	for range 20 {
		req := p.request(t, http.MethodGet, p.host("sleepy"), "/", nil)
		done.Go(func() {
			if a := do(t, req); a.Status != 200 || a.Body != "awake" {
				t.Errorf("one of twenty: %d %q", a.Status, a.Body)
			}
		})
	}
	done.Wait()
	if pids := processes(t, c); len(pids) != 1 {
		t.Errorf("processes %v", pids)
	}
}

// TestCrashDuringDeploys kills the platform at random times while it deploys.
// Whatever was acknowledged is there after the restart, and nothing is half
// there: a version that is listed can be read whole and served.
func TestCrashDuringDeploys(t *testing.T) {
	p := start(t)
	rng := seeded(t)
	acknowledged := map[string]string{} // script → text of its last acknowledged deploy
	attempted := map[string]string{}    // script → text of a deploy that got no answer
	for i := range 3 {
		name := fmt.Sprintf("c%d", i)
		if err := create(t.Context(), p.client(t), name, hello("first")); err != nil {
			t.Fatal(err)
		}
		acknowledged[name] = "first"
	}
	deploys := 0
	for round := range rounds(50) {
		ctx, cancel := context.WithCancel(t.Context())
		c := p.client(t)
		var done sync.WaitGroup
		done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name, text := fmt.Sprintf("c%d", i%3), fmt.Sprintf("%d.%d", round, i)
				attempted[name] = text
				if _, err := upload(ctx, c, name, hello(text)); err == nil {
					acknowledged[name] = text
					deploys++
					delete(attempted, name)
				}
			}
		})
		time.Sleep(time.Duration(50+rng.IntN(600)) * time.Millisecond)
		p.kill()
		cancel()
		done.Wait()

		p.up(t)
		c = p.client(t)
		for name, text := range acknowledged {
			a := p.get(t, p.host(name), "/")
			if a.Status != 200 || (a.Body != text && a.Body != attempted[name]) {
				t.Fatalf("round %d: %s answers %d %q; %q was acknowledged, %q attempted", round, name, a.Status, a.Body, text, attempted[name])
			}
			acknowledged[name] = a.Body
			delete(attempted, name)
		}
		scripts, err := c.Scripts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scripts {
			versions, err := c.Versions(t.Context(), s.ID)
			if err != nil || len(versions) == 0 {
				t.Fatalf("round %d: script %s has %d versions, %v: half a deploy", round, s.ID, len(versions), err)
			}
			if a := p.get(t, p.host(s.ID), "/"); a.Status != 200 {
				t.Fatalf("round %d: %s answers %d %q", round, s.ID, a.Status, a.Body)
			}
		}
	}
	if deploys == 0 {
		t.Error("no deploy was acknowledged in any round: the test shows nothing")
	}
	t.Logf("%d kills of the platform, %d deploys acknowledged, 0 lost", rounds(50), deploys)
	if left := leftovers(t, p.data); left != "" {
		t.Errorf("crashes left temporary files behind: %s", left)
	}
}

// leftovers lists temporary files below dir.
func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var found []string
	err := walk(dir, func(path string, d os.DirEntry) {
		if rel := strings.TrimPrefix(path, dir); strings.Contains(rel, "tmp") && d.Type().IsRegular() {
			found = append(found, rel)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " ")
}

// Idle connections may be open for long, and slow ones must not hold a place
// for ever.
func TestSlowClientIsCut(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.dialEdge(t)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(25 * time.Second))
	b, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("a client that sends half a header is still connected after 25 s")
	}
	if len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 408") {
		t.Errorf("it got %q", b)
	}
}
