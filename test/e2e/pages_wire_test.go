package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// asks sends a request with fields, "Name: value" each.
func (p *platform) asks(t *testing.T, method, host, path string, fields ...string) answer {
	t.Helper()
	req := p.request(t, method, host, path, nil)
	for _, f := range fields {
		if name, value, ok := strings.Cut(f, ": "); ok {
			req.Header.Set(name, value)
		}
	}
	return do(t, req)
}

// TestPagesOnTheWire asks the real edge for what only shows on the wire: HEAD, conditions, ranges, encodings, odd
// names, and the largest file.
func TestPagesOnTheWire(t *testing.T) {
	t.Parallel()
	p := start(t)
	page := "<!doctype html>" + strings.Repeat("<p>the same words again and again</p>", 500)
	dir := project(t, map[string]string{
		"index.html": page, "digits.txt": "0123456789", "a b.txt": "a space", "ü/日本.txt": "unicode", "50%.txt": "a percent", "a+b.txt": "a plus",
		".well-known/x": "a dotfile", "404.html": "none", "deep/404.html": "none below", "what?.txt": "a question",
	})
	large := make([]byte, 25<<20)
	rand.NewChaCha8([32]byte{2}).Read(large)
	if err := os.WriteFile(filepath.Join(dir, "large.bin"), large, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "create", "wire"); code != 0 {
		t.Fatal(stderr)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", ".", "--project", "wire"); code != 0 {
		t.Fatal(stderr)
	}
	host := p.pagesHost("", "wire")
	for path, want := range map[string]string{
		"/a%20b.txt": "200 a space", "/%C3%BC/%E6%97%A5%E6%9C%AC.txt": "200 unicode", "/%C3%BC%2F%E6%97%A5%E6%9C%AC.txt": "200 unicode", "/50%25.txt": "200 a percent",
		"/a+b.txt": "200 a plus", "/a%2Bb.txt": "200 a plus", "/.well-known/x": "200 a dotfile", "/%2ewell-known/x": "200 a dotfile", "/what%3F.txt": "200 a question",
		"/nope": "404 none", "/deep/nope/nope": "404 none below", "/..%2f..%2fetc%2fpasswd": "404 none", "/%00": "404 none",
	} {
		a := p.get(t, host, path)
		if got := fmt.Sprint(a.Status, " ", a.Body); got != want && (a.Status != 400 || !strings.HasPrefix(want, "404")) {
			t.Errorf("GET %s = %.80q, want %q", path, got, want)
		}
	}

	full := p.asks(t, http.MethodGet, host, "/digits.txt")
	tag := full.Header.Get("ETag")
	if tag == "" || full.Header.Get("Cache-Control") != "public, max-age=0, must-revalidate" || full.Header.Get("Content-Length") != "10" {
		t.Errorf("GET: %v", full.Header)
	}
	for _, c := range []struct {
		method, fields string
		status         int
		body, has      string
	}{
		{"HEAD", "", 200, "", "Content-Length: 10"},
		{"GET", "If-None-Match: " + tag, 304, "", "ETag: " + tag},
		{"GET", "If-None-Match: W/" + tag, 304, "", "ETag: " + tag},
		{"GET", `If-None-Match: "x"`, 200, "0123456789", ""},
		{"GET", "Range: bytes=2-4", 206, "234", "Content-Range: bytes 2-4/10"},
		{"GET", "Range: bytes=-2", 206, "89", "Content-Range: bytes 8-9/10"},
		{"GET", "Range: bytes=10-", 416, "-", "Content-Range: bytes */10"},
		{"HEAD", "Range: bytes=2-4", 200, "", "Content-Length: 10"},
		{"POST", "", 405, "-", ""},
	} {
		a := p.asks(t, c.method, host, "/digits.txt", c.fields)
		name, value, _ := strings.Cut(c.has, ": ")
		if a.Status != c.status || c.body != "-" && a.Body != c.body || name != "" && a.Header.Get(name) != value {
			t.Errorf("%s %s: %d %q %v, want %d %q %q", c.method, c.fields, a.Status, a.Body, a.Header, c.status, c.body, c.has)
		}
	}
	p.encodings(t, host, page)

	if a := p.asks(t, http.MethodGet, host, "/large.bin", "Range: bytes=-100"); a.Status != 206 || a.Body != string(large[len(large)-100:]) {
		t.Errorf("the end of 25 MiB: %d, %d bytes", a.Status, len(a.Body))
	}
	if a := p.get(t, host, "/large.bin"); !bytes.Equal([]byte(a.Body), large) {
		t.Errorf("25 MiB: %d, %d bytes", a.Status, len(a.Body))
	}
	if err := os.WriteFile(filepath.Join(dir, "large.bin"), make([]byte, len(large)+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "deploy", ".", "--project", "wire"); code == 0 || !strings.Contains(stderr, "26214400 bytes, the most that one file may have") {
		t.Errorf("a byte more than 25 MiB: %d %s", code, stderr)
	}
	if a := p.get(t, host, "/"); a.Body != page {
		t.Errorf("after that the site answers %d %.80q", a.Status, a.Body)
	}
}

// encodings waits for the variants, which are made in the background, and reads them.
func (p *platform) encodings(t *testing.T, host, page string) {
	t.Helper()
	readers := map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	for name, reader := range readers {
		var a answer
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && a.Header.Get("Content-Encoding") != name; time.Sleep(50 * time.Millisecond) {
			a = p.asks(t, http.MethodGet, host, "/", "Accept-Encoding: "+name)
		}
		r, err := reader(strings.NewReader(a.Body))
		if err != nil {
			t.Errorf("%s: %v, %v", name, err, a.Header)
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil || string(text) != page || len(a.Body) > len(page)/10 {
			t.Errorf("%s: %v, %d bytes in %d", name, err, len(text), len(a.Body))
		}
		if !strings.HasPrefix(a.Header.Get("ETag"), "W/") || !strings.Contains(a.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: %v", name, a.Header)
		}
	}
	if a := p.asks(t, http.MethodGet, host, "/", "Accept-Encoding: br;q=0, gzip;q=0, zstd;q=0"); a.Header.Get("Content-Encoding") != "" || a.Body != page {
		t.Errorf("none: %v", a.Header)
	}
}

// TestPagesTooManyFiles deploys one file more than a site may have: it is refused before anything is uploaded.
func TestPagesTooManyFiles(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := t.TempDir()
	for i := range 20_001 {
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i/1000)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i/1000), fmt.Sprint(i)), fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, stderr, code := p.ours(t, dir, "", "pages", "create", "many"); code != 0 {
		t.Fatal(stderr)
	}
	_, stderr, code := p.ours(t, dir, "", "pages", "deploy", ".", "--project", "many")
	if code == 0 || !strings.Contains(stderr, "at most 20000 are allowed") || strings.Contains(stderr, "uploaded") {
		t.Errorf("20,001 files: %d %s", code, tail(stderr, 1000))
	}
}
