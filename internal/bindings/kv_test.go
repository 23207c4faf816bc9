package bindings_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/kv"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/workers"
)

// namespaces is a KV service with two namespaces of the account "acc".
func namespaces(tb testing.TB) (s *kv.Service, first, second string) {
	tb.Helper()
	st, err := store.Open(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	if s, err = kv.New(kv.Options{Store: st}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = s.Close(), st.Close() })
	var ids []string
	for _, title := range []string{"first", "second"} {
		n, err := s.CreateNamespace(context.Background(), "acc", title)
		if err != nil {
			tb.Fatal(err)
		}
		ids = append(ids, n.ID)
	}
	return s, ids[0], ids[1]
}

// ask writes text to a KV socket as it is and returns the answer's status line,
// without the protocol's version, and body. The error is that of reading it.
func ask(t *testing.T, dir, text string) (status, body string, err error) {
	t.Helper()
	c, err := net.Dial("unix", filepath.Join(dir, "kv-0.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return res.Status, string(raw), err
}

const kvHost = " HTTP/1.1\r\nHost: fake-host\r\n"

func TestKVSocket(t *testing.T) {
	s, first, _ := namespaces(t)
	var log lines
	server := bindings.New(bindings.Options{KV: s, Log: log.logger()})
	dir := open(t, server, workers.DoorSpec{Account: "acc", Script: "app", Version: "v1", KV: []workers.KVDoor{{Socket: "kv-0.sock", Namespace: first}}})
	chunked := "Transfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct{ request, status, body string }{
		{"PUT /k?urlencoded=true" + kvHost + "CF-KV-Metadata: {\"a\":1}\r\nContent-Length: 5\r\n\r\nvalue", "200 OK", ""},
		{"GET /k?urlencoded=true" + kvHost + "\r\n", "200 OK", "value"},
		{"PUT /c?urlencoded=true" + kvHost + chunked + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "200 OK", ""},
		{"GET /c?urlencoded=true" + kvHost + "\r\n", "200 OK", "abcde"},
		{"GET /none?urlencoded=true" + kvHost + "\r\n", "404 Not Found", ""},
		{"GET /a/../k" + kvHost + "\r\n", "404 Not Found", ""}, // a key, not a path
		{"GET /%2e%2e" + kvHost + "\r\n", `400 Illegal key name "..". Please use a different name.`, ""},
		{"GET /%ff" + kvHost + "\r\n", "400 Could not URL-decode key name", ""},
		{"GET /" + strings.Repeat("k", 513) + kvHost + "\r\n", "414 UTF-8 encoded length of 513 exceeds key length limit of 512.", ""},
		{"GET http://other.test/k" + kvHost + "\r\n", "400 The request is not one of a KV binding", ""},
		{"PATCH /k" + kvHost + "\r\n", "405 Not an operation of a KV namespace", ""},
		{"POST /k" + kvHost + "Content-Length: 2\r\n\r\n{}", "405 Not an operation of a KV namespace", ""},
		{"POST /bulk/get" + kvHost + "Content-Length: 1\r\n\r\n{", "400 The list of keys cannot be read", ""},
		{"POST /bulk/get" + kvHost + "Content-Length: 24\r\n\r\n{\"keys\":[],\"type\":\"text\"}", "400 The list of keys cannot be read", ""},
		{"POST /bulk/get" + kvHost + chunked + "200000\r\n" + strings.Repeat(" ", 2<<20) + "\r\n0\r\n\r\n", "400 The list of keys cannot be read", ""},
		{"GET /?key_count_limit=x" + kvHost + "\r\n", "400 Invalid key_count_limit. Please specify an integer greater than 0.", ""},
		{"GET /?cursor=x" + kvHost + "\r\n", "400 Invalid cursor. Use the one of the page before, with the same namespace and prefix.", ""},
		{"GET /k?cache_ttl=29" + kvHost + "\r\n", "400 Invalid cache_ttl of 29. Cache TTL must be at least 30.", ""},
		{"PUT /x?expiration_ttl=%0d%0aX:%20y" + kvHost + "Content-Length: 0\r\n\r\n", "400 Invalid expiration_ttl of ??X: y. Please specify integer greater than 0.", ""},
		{"PUT /x" + kvHost + "CF-KV-Metadata: {\r\nContent-Length: 0\r\n\r\n", "400 Metadata must be valid JSON.", ""},
		{"PUT /x" + kvHost + chunked + "2000000\r\n" + strings.Repeat("x", 32<<20) + "\r\n0\r\n\r\n", "413 Value length of 33554432 exceeds limit of 26214400.", ""},
		{"GET /x" + kvHost + "\r\n", "404 Not Found", ""},
		{"DELETE /k?urlencoded=true" + kvHost + "\r\n", "200 OK", ""},
		{"GET /k?urlencoded=true" + kvHost + "\r\n", "404 Not Found", ""},
	} {
		status, body, err := ask(t, dir, c.request)
		if err != nil || status != c.status || body != c.body {
			t.Errorf("%.60q: %s %.60q %v, want %s %q", c.request, status, body, err, c.status, c.body)
		}
	}
	if log.String() != "" {
		t.Errorf("what a worker does wrong is not the platform's trouble: %s", log.String())
	}

	// A worker that goes away in the middle of a value has stored nothing.
	c, err := net.Dial("unix", filepath.Join(dir, "kv-0.sock"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "PUT /cut"+kvHost+"Content-Length: 10\r\n\r\nabc")
	c.Close()
	for range 10 {
		time.Sleep(5 * time.Millisecond)
		if status, _, _ := ask(t, dir, "GET /cut"+kvHost+"\r\n"); status != "404 Not Found" {
			t.Fatalf("a value that broke off is stored: %s", status)
		}
	}

	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(server)
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`selvage_kv_operations_total{operation="get",outcome="ok"} 2` + "\n",
		`selvage_kv_operations_total{operation="delete",outcome="ok"} 1` + "\n",
		`selvage_kv_operations_total{operation="bulk_get",outcome="refused"} 3` + "\n",
		`selvage_kv_operation_duration_seconds_count{operation="list"} 2` + "\n",
	} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

// TestKVSocketsAreApart: a socket leads to one namespace of one account.
func TestKVSocketsAreApart(t *testing.T) {
	s, first, second := namespaces(t)
	server := bindings.New(bindings.Options{KV: s})
	spec := func(account, ns string) workers.DoorSpec {
		return workers.DoorSpec{Account: account, Script: "app", Version: "v1", KV: []workers.KVDoor{{Socket: "kv-0.sock", Namespace: ns}}}
	}
	if status, _, err := ask(t, open(t, server, spec("acc", first)), "PUT /k"+kvHost+"Content-Length: 1\r\n\r\nv"); status != "200 OK" {
		t.Fatal(status, err)
	}
	for _, c := range []struct{ account, ns, status string }{
		{"acc", second, "404 Not Found"},
		{"mallory", first, "400 The KV namespace of this binding was deleted"},
		{"acc", "../" + first, "400 The KV namespace of this binding was deleted"},
	} {
		if status, _, err := ask(t, open(t, server, spec(c.account, c.ns)), "GET /k"+kvHost+"\r\n"); status != c.status {
			t.Errorf("%s %s: %s %v, want %s", c.account, c.ns, status, err, c.status)
		}
	}
}
