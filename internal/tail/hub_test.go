package tail_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/tail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var app = tail.Script{Account: "a", Name: "app"}

// reader collects what one tail shows.
type reader struct {
	mu    sync.Mutex
	items []map[string]any
}

func (r *reader) yield(item []byte) bool {
	var m map[string]any
	if err := json.Unmarshal(item, &m); err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = append(r.items, m)
	return true
}

func (r *reader) all() []map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.items
}

// open opens a tail and reads it until the test ends.
func open(t *testing.T, h *tail.Hub, filters string) *reader {
	t.Helper()
	f, err := tail.ParseFilters([]byte(filters), netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	tl, err := h.Open(app, f)
	if err != nil {
		t.Fatal(err)
	}
	r := new(reader)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tl.Read(ctx, r.yield) }()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func fetch(method string) tail.Fetch {
	return tail.Fetch{Request: tail.Request{URL: "http://x/", Method: method, Headers: map[string]string{}, ClientIP: "127.0.0.1"}, Response: &tail.Response{Status: 200}}
}

func line(text string) *tail.Line {
	return &tail.Line{Time: time.Now(), Level: "log", Text: text, Args: json.RawMessage(`["` + text + `"]`)}
}

func messages(item map[string]any) string {
	var out []string
	for _, l := range item["logs"].([]any) {
		out = append(out, fmt.Sprint(l.(map[string]any)["message"]))
	}
	return strings.Join(out, " ")
}

// TestItemWaitsForTheEnd holds when an item is sent: after what was given to
// waitUntil when the process says so, after a moment when it does not, and at a
// bound in any case.
func TestItemWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		tells    bool
		finished time.Duration // after the end; 0: never
		logs     []time.Duration
		sent     time.Duration // at the latest; half of it at the earliest
		want     string
	}{
		{"told", true, 2 * time.Second, []time.Duration{0, time.Second}, 2100 * time.Millisecond, "[0s] [1s]"},
		{"told, a line comes after it", true, 2 * time.Second, []time.Duration{2010 * time.Millisecond}, 2100 * time.Millisecond, "[2.01s]"},
		{"told too late", true, 0, []time.Duration{0, 40 * time.Second}, 31 * time.Second, "[0s]"},
		{"not told", false, 0, []time.Duration{0, 200 * time.Millisecond, time.Second}, 400 * time.Millisecond, "[0s] [200ms]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := tail.New(tail.Options{})
				defer h.Close()
				r := open(t, h, "")
				if c.tells {
					h.Tells("a", "app", "v")
				}
				inv := h.Begin("a", "app", "v", "r1")
				inv.End(fetch("GET"), "ok")
				start := time.Now()
				for _, at := range c.logs {
					time.AfterFunc(at, func() { h.Line("a", "app", "v", "r1", line(at.String())) })
				}
				if c.finished > 0 {
					time.AfterFunc(c.finished, func() { h.Line("a", "app", "v", "r1", &tail.Line{Finished: true}) })
				}
				time.Sleep(c.sent / 2)
				synctest.Wait()
				if len(r.all()) > 0 {
					t.Errorf("sent after %s", time.Since(start))
				}
				time.Sleep(c.sent / 2)
				synctest.Wait()
				if got := r.all(); len(got) != 1 || messages(got[0]) != c.want {
					t.Errorf("after %s: %v, want one with %s", time.Since(start), got, c.want)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := len(r.all()); n != 1 {
					t.Errorf("%d items", n)
				}
			})
		})
	}
}

func TestLinesOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := tail.New(tail.Options{})
		defer h.Close()
		r := open(t, h, "")
		one := h.Begin("a", "app", "v", "r1")
		h.Line("a", "app", "v", "", line("alone")) // of a script that writes no rays
		two := h.Begin("a", "app", "v", "r2")
		h.Line("a", "app", "v", "", line("whose"))
		h.Line("a", "other", "v", "r1", line("forged"))
		h.Line("a", "app", "v", "r2", line("two"))
		if h.Begin("a", "other", "v", "r3") != nil || h.Begin("b", "app", "v", "r3") != nil || h.Begin("a", "app", "v", "r1") != nil {
			t.Error("what nobody watches, or what is there already, is followed")
		}
		one.End(fetch("GET"), "ok")
		two.End(tail.Scheduled{Cron: "* * * * *"}, "ok")
		time.Sleep(time.Second)
		synctest.Wait()
		got := map[string]bool{}
		for _, it := range r.all() {
			got[messages(it)] = true
		}
		if len(got) != 2 || !got["[alone]"] || !got["[two]"] {
			t.Errorf("items with %v", got)
		}
	})
}

func TestOutcomeAndBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := tail.New(tail.Options{})
		defer h.Close()
		r := open(t, h, "")
		inv := h.Begin("a", "app", "v", "r1")
		h.Line("a", "app", "v", "r1", &tail.Line{Time: time.Now(), Exception: true, Name: "TypeError", Message: "boom", Stack: "    at x"})
		for range 40 {
			h.Line("a", "app", "v", "r1", &tail.Line{Time: time.Now(), Level: "log", Text: strings.Repeat("x", 10<<10)})
		}
		inv.End(fetch("GET"), "ok")
		time.Sleep(time.Second)
		synctest.Wait()
		it := r.all()[0]
		if n := len(it["logs"].([]any)); it["outcome"] != "exception" || it["truncated"] != true || n == 0 || n > 26 {
			t.Errorf("outcome %v, truncated %v, %d lines", it["outcome"], it["truncated"], n)
		}
	})
}

// TestSlowReader holds that a reader who does not read gets a notice in place of
// what was dropped, and that nobody waits for it.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := tail.New(tail.Options{})
		defer h.Close()
		tl, err := h.Open(app, &tail.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		fast := open(t, h, "")
		burst := func(n int) {
			for i := range n {
				h.Begin("a", "app", "v", fmt.Sprint("r", i)).End(fetch("GET"), "ok")
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for range 10 {
			burst(100)
		}
		kinds := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			tl.Read(ctx, func(item []byte) bool {
				var it struct {
					Event struct {
						Type string `json:"type"`
					} `json:"event"`
				}
				if err := json.Unmarshal(item, &it); err != nil {
					t.Error(err)
				}
				kinds[it.Event.Type]++
				return true
			})
		}()
		time.Sleep(time.Second)
		burst(5)
		cancel()
		<-done
		if kinds["overload"] != 1 || kinds["overload-stop"] != 1 || kinds[""] < 256 || kinds[""] > 300 {
			t.Errorf("the slow reader saw %v", kinds)
		}
		if n := len(fast.all()); n != 1005 {
			t.Errorf("the other reader saw %d items of 1005", n)
		}
	})
}

func TestWatchIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		h := tail.New(tail.Options{MaxTails: 2, Watch: func(s tail.Script, open bool) { told = append(told, fmt.Sprint(s.Name, open)) }})
		defer h.Close()
		if h.Active() || h.Begin("a", "app", "v", "r") != nil {
			t.Error("active though nobody watches")
		}
		one, err := h.Open(app, &tail.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		two, err := h.Open(app, &tail.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Open(app, &tail.Filter{}); err != tail.ErrTooMany { //nolint:errorlint // it is returned bare
			t.Errorf("a third tail: %v", err)
		}
		if _, err := h.Find(app, one.ID, two.Ticket()); err == nil {
			t.Error("another tail's ticket is taken")
		}
		if _, err := h.Find(tail.Script{Account: "a", Name: "x"}, one.ID, one.Ticket()); err == nil {
			t.Error("another script's tail is found")
		}
		h.Delete(app, one.ID)
		time.Sleep(2 * time.Minute) // nobody reads the other one
		synctest.Wait()
		if _, err := h.Find(app, two.ID, two.Ticket()); err == nil || h.Active() {
			t.Error("a tail that nobody reads is still there")
		}
		if got := strings.Join(told, " "); got != "apptrue appfalse" {
			t.Errorf("told %q", got)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := tail.New(tail.Options{Lifetime: time.Hour})
		defer h.Close()
		tl, err := h.Open(app, &tail.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		tl.Read(t.Context(), func([]byte) bool { return true })
		if took := time.Since(begin); took != time.Hour || h.Active() {
			t.Errorf("read for %s, active %v", took, h.Active())
		}
	})
}

// TestConsumers holds that tail workers get batches of everything but what tail
// workers do.
func TestConsumers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string][]int{}
		var whole string
		h := tail.New(tail.Options{Deliver: func(c tail.Script, items json.RawMessage, from []tail.ConsumedEvent) {
			var list []json.RawMessage
			if err := json.Unmarshal(items, &list); err != nil || len(list) != len(from) {
				t.Errorf("%v: %s of %v", err, items, from)
			}
			mu.Lock()
			defer mu.Unlock()
			got[c.Name] = append(got[c.Name], len(list))
			whole = string(list[0])
		}})
		w, v := tail.Script{Account: "a", Name: "w"}, tail.Script{Account: "a", Name: "v"}
		h.SetConsumers(app, []tail.Script{w, app, v})
		h.SetConsumers(w, []tail.Script{v})
		secret := fetch("GET")
		secret.Request.Headers = map[string]string{"authorization": "Bearer x", "accept": "*/*"}
		for i := range 150 {
			h.Begin("a", "app", "v1", fmt.Sprint("r", i)).End(secret, "ok")
		}
		h.Begin("a", "w", "v1", "own").End(tail.Consumed{}, "ok")
		time.Sleep(5 * time.Second)
		h.Begin("a", "app", "v1", "last").End(secret, "ok")
		time.Sleep(350 * time.Millisecond) // it waits for a batch when the hub closes
		h.Close()
		if fmt.Sprint(got) != "map[v:[100 50 1] w:[100 50 1]]" {
			t.Errorf("batches %v", got)
		}
		var it struct {
			Event struct {
				Request struct {
					Headers    map[string]string `json:"headers"`
					Unredacted struct {
						Headers map[string]string `json:"headers"`
					} `json:"unredacted"`
				} `json:"request"`
			} `json:"event"`
		}
		if err := json.Unmarshal([]byte(whole), &it); err != nil || it.Event.Request.Headers["authorization"] != "REDACTED" || it.Event.Request.Unredacted.Headers["authorization"] != "Bearer x" {
			t.Errorf("%v: %s", err, whole)
		}
	})
}

type meter struct {
	cpu     time.Duration
	running int64
}

func (m *meter) Meter() (time.Duration, int64) { return m.cpu, m.running }

func TestCPUTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := tail.New(tail.Options{})
		defer h.Close()
		r := open(t, h, "")
		m := &meter{cpu: time.Second, running: 3}
		inv := h.Begin("a", "app", "v", "r1")
		inv.Measure(m)
		m.cpu, m.running = 1200*time.Millisecond, 1
		inv.Measured()
		inv.Measured()
		inv.End(fetch("GET"), "ok")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.all()[0]["cpuTime"]; got != 100.0 { // 200 ms, two at a time
			t.Errorf("cpu time %v ms, want 100", got)
		}
	})
}
