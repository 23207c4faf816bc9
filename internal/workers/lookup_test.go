package workers_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers"
)

func TestLookup(t *testing.T) {
	h := newHarness(t)
	v1 := h.put("app", "export default 1").Version
	h.put("b-c", "export default 2")
	h.put("c", "export default 3")
	u := h.esm("export default 4")
	u.Annotations = map[string]string{workers.AnnotationAlias: "feat"}
	v2, err := h.CreateVersion(t.Context(), account, "app", u)
	if err != nil {
		t.Fatal(err)
	}
	alias := func(script, alias string) string {
		u := h.esm("export default '" + alias + "'")
		u.Annotations = map[string]string{workers.AnnotationAlias: alias}
		v, err := h.CreateVersion(t.Context(), account, script, u)
		if err != nil {
			t.Fatal(err)
		}
		return v.ID
	}
	ofC, ofBC := alias("c", "a-b"), alias("b-c", "a")
	want := map[string]string{
		h.host("app"):                      v1.ID,
		h.host(v1.ID[:8] + "-app"):         v1.ID,
		h.host(v2.ID[:8] + "-app"):         v2.ID,
		h.host("feat-app"):                 v2.ID,
		h.host("a-b-c"):                    ofBC, // the longest script name wins
		h.host("nosuch"):                   "",
		h.host("other-app"):                "",
		h.host("00000000-app"):             "",
		h.host(""):                         "",
		h.host("x.app"):                    "",
		"app.other.workers." + domain:      "",
		"app.acme.pages." + domain:         "",
		"app.acme.workers.elsewhere.test":  "",
		strings.Repeat("a", 300):           "",
		domain:                             "",
		h.host("app") + ".":                "",
		h.host("feat-app' OR 1=1 --"):      "",
		h.host(strings.Repeat("-", 63)):    "",
		h.host(strings.Repeat("a-", 31)):   "",
		h.host(v1.ID[:8]):                  "",
		h.host(v1.ID[:7] + "g-app"):        "",
		h.host(v1.ID[:8] + "-" + "nosuch"): "",
	}
	for range 2 { // the second time from the cache
		for host, version := range want {
			r, err := h.Lookup(t.Context(), host)
			switch {
			case version == "" && !errors.Is(err, workers.ErrNoRoute):
				t.Errorf("%s: %v, want no route", host, err)
			case version != "" && (err != nil || r.Version != version):
				t.Errorf("%s: %+v, %v; want %s", host, r, err, version)
			}
		}
	}
	if err := h.DeleteScript(t.Context(), account, "b-c", true); err != nil {
		t.Fatal(err)
	}
	if r, err := h.Lookup(t.Context(), h.host("a-b-c")); err != nil || r.Version != ofC {
		t.Errorf("a-b-c is not taken over: %+v, %v", r, err)
	}
	off := false
	if _, err := h.SetSubdomain(t.Context(), account, "app", true, &off); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Lookup(t.Context(), h.host("feat-app")); !errors.Is(err, workers.ErrNoRoute) {
		t.Errorf("previews are off: %v", err)
	}
	if _, err := h.SetSubdomain(t.Context(), account, "app", false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Lookup(t.Context(), h.host("app")); !errors.Is(err, workers.ErrNoRoute) {
		t.Errorf("the subdomain is off: %v", err)
	}
	if got := h.Hostname(account, "app"); got != h.host("app") {
		t.Errorf("hostname = %s", got)
	}
}

// TestHotPath holds that a warm request allocates nothing here.
func TestHotPath(t *testing.T) {
	h := newHarness(t)
	h.put("w1", "export default 0")
	host := h.host("w1")
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		r, err := h.Lookup(ctx, host)
		if err != nil {
			t.Fatal(err)
		}
		in, err := r.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		in.Release()
	})
	if allocs != 0 {
		t.Errorf("%v allocations a request, want 0", allocs)
	}
}

// TestFloodOfHosts holds that invented hosts neither grow the cache without
// bound nor drive out real ones.
func TestFloodOfHosts(t *testing.T) {
	h := open(t, t.TempDir(), func(o *workers.Options) { o.MaxHosts = 64 * 4 })
	defer h.end()
	h.put("w1", "export default 0")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				_, err := h.Lookup(t.Context(), h.host(fmt.Sprintf("x%d-%d", g, i)))
				if !errors.Is(err, workers.ErrNoRoute) {
					t.Errorf("lookup: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if _, err := h.serve(h.host("w1")); err != nil {
		t.Error(err)
	}
}

// TestOpenIsFlat holds that the cost of opening does not grow with the scripts.
func TestOpenIsFlat(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, func(o *workers.Options) { o.MaxProcesses = 4 })
	for i := range 100 {
		h.put(fmt.Sprintf("w%d", i), "export default 0")
	}
	h.end()
	start := time.Now()
	h = open(t, dir, nil)
	defer h.end()
	t.Logf("opened with 100 scripts in %v", time.Since(start))
	if n := h.runtime.count(); n != 0 {
		t.Errorf("%d processes started at open", n)
	}
	if _, err := h.serve(h.host("w42")); err != nil {
		t.Error(err)
	}
}

func BenchmarkHotPath(b *testing.B) {
	h := newHarness(b)
	h.put("w1", "export default 0")
	host, ctx := h.host("w1"), b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := h.Lookup(ctx, host)
			if err != nil {
				b.Fatal(err)
			}
			in, err := r.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			in.Release()
		}
	})
}
