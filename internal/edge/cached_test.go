package edge_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/edge"
)

// caching runs an edge with a cache in front of h, and says how often h ran.
func caching(t *testing.T, h http.HandlerFunc) (*platform, *cache.Store, *atomic.Int64) {
	t.Helper()
	store, err := cache.Open(t.TempDir(), cache.Options{MaxBytes: 16 << 20, MaxObject: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	var runs atomic.Int64
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { runs.Add(1); h(w, r) }), func(o *edge.Options, w *worker) {
		o.Cache = store
		o.Workers = lookup{host: {Account: "acc", Script: "app", Version: "v1", Worker: w, Cache: &edge.CacheScope{Zone: "acc/app", Version: "v1"}}}
	})
	return p, store, &runs
}

func TestCachedAnswers(t *testing.T) {
	p, _, runs := caching(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("X-Many", "1")
		w.Header().Add("X-Many", "2")
		w.Header().Set("Keep-Alive", "timeout=5")
		switch r.URL.Path {
		case "/chunked":
			for range 100 {
				io.WriteString(w, strings.Repeat("c", 1000))
				http.NewResponseController(w).Flush()
			}
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		default:
			io.WriteString(w, strings.Repeat("x", 200<<10))
		}
	})
	for path, size := range map[string]int{"/fixed": 200 << 10, "/chunked": 100_000, "/empty": 0} {
		before := runs.Load()
		var bodies [3]string
		for i := range bodies {
			res, body := p.get(path)
			bodies[i] = body
			want := "HIT"
			if i == 0 {
				want = "MISS"
			}
			if got := res.Header.Get("CF-Cache-Status"); got != want || len(res.Header.Values("X-Many")) != 2 || res.Header.Get("Keep-Alive") != "" {
				t.Errorf("%s, answer %d: %q, want %q: %v", path, i, got, want, res.Header)
			}
		}
		if len(bodies[0]) != size || bodies[1] != bodies[0] || bodies[2] != bodies[0] {
			t.Errorf("%s: bodies of %d, %d and %d bytes, want %d", path, len(bodies[0]), len(bodies[1]), len(bodies[2]), size)
		}
		if n := runs.Load() - before; n != 1 {
			t.Errorf("%s: the worker ran %d times", path, n)
		}
	}
}

// TestBrokenAnswersAreNotCached: neither what breaks off nor what is too large.
func TestBrokenAnswersAreNotCached(t *testing.T) {
	p, store, _ := caching(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/large" {
			w.Header().Set("Content-Length", "2097152")
			w.Write(make([]byte, 2<<20))
			return
		}
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "part")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for range 2 {
		c := p.dial()
		c.send("GET /broken HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		res := c.head("GET")
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("a body that broke off seems whole")
		}
		if got := res.Header.Get("CF-Cache-Status"); got != "MISS" {
			t.Errorf("what broke off is a %s", got)
		}
		c.Close()
		if res, body := p.get("/large"); len(body) != 2<<20 || res.Header.Get("CF-Cache-Status") != "MISS" {
			t.Errorf("a body that is too large: %d bytes, %q", len(body), res.Header.Get("CF-Cache-Status"))
		}
	}
	eventually(t, "an empty cache", func() bool { st := store.Stats(); return st.Entries == 0 && st.Bytes == 0 })
}
