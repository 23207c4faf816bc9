package bindings_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/ratelimit"
	"github.com/selvage-dev/selvage/internal/workers"
)

// cacheDoor opens the doors of a version with a cache of its own.
func cacheDoor(t *testing.T) (dir string, store *cache.Store) {
	t.Helper()
	store, err := cache.Open(t.TempDir(), cache.Options{MaxBytes: 16 << 20, MaxObject: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s := bindings.New(bindings.Options{Cache: store, RateLimits: ratelimit.New(ratelimit.Options{})})
	sp := spec("app")
	sp.CacheZone = "acc/app"
	sp.RateLimits = []workers.RateLimit{{Binding: "RL", Namespace: "1", Limit: 2, Period: 60}}
	return open(t, s, sp), store
}

// halfClose ends what a client says; it still listens.
func halfClose(c net.Conn) {
	if u, ok := c.(*net.UnixConn); ok {
		_ = u.CloseWrite()
	}
}

// stayOpen leaves a connection as it is.
func stayOpen(net.Conn) {}

// speak writes text to a socket, then does to it what follows, and returns the
// status and body of the answer; 0 when there is none.
func speak(t *testing.T, dir, socket, text string, then func(net.Conn)) (int, string) {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, text)
	then(c)
	method, _, _ := strings.Cut(text, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func put(path, response string) string {
	return fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: x.test\r\nselvage-proto: https\r\nContent-Length: %d\r\n\r\n%s", path, len(response), response)
}

const matchA = "GET /a HTTP/1.1\r\nHost: x.test\r\nselvage-proto: https\r\nCache-Control: only-if-cached\r\n\r\n"

// TestCacheHostile: what a process says that is not the runtime's own language
// leaves nothing behind.
func TestCacheHostile(t *testing.T) {
	dir, store := cacheDoor(t)
	ask := func(text string) int {
		t.Helper()
		status, _ := speak(t, dir, bindings.CacheSocket, text, halfClose)
		return status
	}
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"no response":              {put("/a", "garbage"), 400},
		"empty":                    {put("/a", ""), 400},
		"status no number":         {put("/a", "HTTP/1.1 OK\r\n\r\n"), 400},
		"status out of range":      {put("/a", "HTTP/1.1 999 X\r\n\r\nx"), 413},
		"interim":                  {put("/a", "HTTP/1.1 100 Continue\r\n\r\n"), 413},
		"no end of fields":         {put("/a", "HTTP/1.1 200 OK\r\nA: b\r\n"), 400},
		"fields too large":         {put("/a", "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("x", 200<<10)+"\r\n\r\nx"), 400},
		"bad field":                {put("/a", "HTTP/1.1 200 OK\r\nA b\r\n\r\nx"), 400},
		"length too small":         {put("/a", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz"), 400},
		"length too large":         {put("/a", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxyz"), 400},
		"length no number":         {put("/a", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), 400},
		"body too large":           {put("/a", "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 65<<10)), 413},
		"body cut":                 {strings.Replace(put("/a", "HTTP/1.1 200 OK\r\n\r\nxyz"), "Content-Length: 22", "Content-Length: 50", 1), 400},
		"chunks cut":               {"PUT /a HTTP/1.1\r\nHost: x.test\r\nselvage-proto: https\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nHTTP/1.1 200 OK\r\n\r\nx\r\n", 400},
		"whole URL":                {"GET http://y.test/a HTTP/1.1\r\nHost: x.test\r\n\r\n", 400},
		"method":                   {"POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 0\r\n\r\n", 405},
		"options that are no JSON": {"GET /a HTTP/1.1\r\nHost: x.test\r\nselvage-cf: {\"cacheKey\":\r\n\r\n", 504},
		"key of another type":      {"GET /a HTTP/1.1\r\nHost: x.test\r\nselvage-cf: {\"cacheKey\":{}}\r\n\r\n", 504},
	} {
		if got := ask(c.text); got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
		if got := ask(matchA); got != http.StatusGatewayTimeout {
			t.Errorf("after %s: a match is answered with %d", name, got)
		}
	}
	if st := store.Stats(); st.Bytes != 0 || st.Entries != 0 {
		t.Errorf("left behind: %+v", st)
	}
	// The door still works.
	if got := ask(put("/a", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nselvage-error: egress-refused\r\n\r\nplain")); got != 204 {
		t.Fatalf("a put is answered with %d", got)
	}
	if status, body := speak(t, dir, bindings.CacheSocket, matchA, stayOpen); status != 200 || body != "plain" {
		t.Errorf("a match: %d %q", status, body)
	}
}

// TestRateLimitHostile: a process cannot count elsewhere than its bindings say.
func TestRateLimitHostile(t *testing.T) {
	dir, _ := cacheDoor(t)
	call := func(body string) (int, string) {
		t.Helper()
		return speak(t, dir, bindings.RateLimitSocket, fmt.Sprintf("POST /limit HTTP/1.1\r\nHost: ratelimit\r\nContent-Length: %d\r\n\r\n%s", len(body), body), stayOpen)
	}
	for body, want := range map[string]int{
		``:                         400,
		`[]`:                       400,
		`{"binding":"RL","key":7}`: 400,
		`{"binding":"OTHER","key":"k","limit":1,"period":60,"delta":1}`:        404,
		`{"binding":"RL","key":"k","limit":1,"period":7,"delta":1}`:            400,
		`{"binding":"RL","key":"k","limit":1,"period":0,"delta":1}`:            400,
		`{"binding":"RL","key":"k","limit":1,"period":60,"delta":-5}`:          400,
		`{"binding":"RL","key":"k","limit":1,"period":60,"delta":99999999999}`: 400,
		`{"binding":"RL","key":"` + strings.Repeat("k", 100<<10) + `"}`:        400,
	} {
		if got, text := call(body); got != want {
			t.Errorf("%.60s: %d %q, want %d", body, got, text, want)
		}
	}
	if got, _ := speak(t, dir, bindings.RateLimitSocket, "GET /limit HTTP/1.1\r\nHost: ratelimit\r\n\r\n", stayOpen); got != 405 {
		t.Errorf("a GET: %d", got)
	}
	for i, want := range []string{"true", "true", "false"} {
		if got, text := call(`{"binding":"RL","key":"k","limit":2,"period":60,"delta":1}`); got != 200 || text != `{"success":`+want+`}` {
			t.Errorf("call %d: %d %s, want %s", i, got, text, want)
		}
	}
}
