package assets_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/textproto"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/selvage-dev/selvage/internal/assets"
)

// diskFiles is a Files over a folder, with variants made by hand.
type diskFiles struct {
	dir string

	mu       sync.Mutex
	variants map[string]string // blob + " " + encoding → blob
	sizes    map[string]int64
	asked    int
	opened   int
}

func newDiskFiles(tb testing.TB) *diskFiles {
	tb.Helper()
	return &diskFiles{dir: tb.TempDir(), variants: map[string]string{}, sizes: map[string]int64{}}
}

func (d *diskFiles) Open(blob string) (*os.File, error) {
	d.mu.Lock()
	d.opened++
	d.mu.Unlock()
	return os.Open(filepath.Join(d.dir, blob))
}

func (d *diskFiles) Variant(_ context.Context, blob, encoding string) (id string, size int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	id, ok = d.variants[blob+" "+encoding]
	return id, d.sizes[id], ok
}

func (d *diskFiles) counts() (asked, opened int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked, d.opened
}

func (d *diskFiles) put(tb testing.TB, content []byte) string {
	tb.Helper()
	sum := sha256.Sum256(content)
	id := hex.EncodeToString(sum[:])
	if err := os.WriteFile(filepath.Join(d.dir, id), content, 0o600); err != nil {
		tb.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes[id] = int64(len(content))
	return id
}

// compress makes the variants of a blob.
func (d *diskFiles) compress(tb testing.TB, blob string, encodings ...string) {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join(d.dir, blob))
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range encodings {
		var b bytes.Buffer
		if err := assets.Compress(tb.Context(), e, bytes.NewReader(content), &b); err != nil {
			tb.Fatal(err)
		}
		id := d.put(tb, b.Bytes())
		d.mu.Lock()
		d.variants[blob+" "+e] = id
		d.mu.Unlock()
	}
}

func (d *diskFiles) entry(tb testing.TB, name string, content []byte) assets.Entry {
	tb.Helper()
	typ := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) {
	case ".bin":
		typ = "application/octet-stream"
	case "":
		typ = ""
	}
	return assets.Entry{Hash: assets.Hash(content, strings.TrimPrefix(path.Ext(name), ".")), Blob: d.put(tb, content), Size: int64(len(content)), ContentType: typ}
}

// site makes a site of files whose contents are their paths.
func site(tb testing.TB, c assets.Config, names ...string) *assets.Site {
	tb.Helper()
	files := newDiskFiles(tb)
	m := assets.Manifest{}
	for _, name := range names {
		m[name] = files.entry(tb, name, []byte(name))
	}
	s, err := assets.New(m, c, files, assets.WithCache(assets.NewCache(0)))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func request(method, target string, header map[string]string) *assets.Request {
	p, query, _ := strings.Cut(target, "?")
	return &assets.Request{Method: method, Scheme: "http", Host: "app.example", Path: p, RawQuery: query, Header: func(name string) string {
		if name != textproto.CanonicalMIMEHeaderKey(name) {
			panic("asked for a header name that is not canonical: " + name)
		}
		return header[name]
	}}
}

// read returns the body of an answer and closes it.
func read(tb testing.TB, res *assets.Response) []byte {
	tb.Helper()
	if res.Body.File == nil {
		if int64(len(res.Body.Bytes)) != res.Body.Length {
			tb.Errorf("body of %d bytes says that it has %d", len(res.Body.Bytes), res.Body.Length)
		}
		return res.Body.Bytes
	}
	defer func() {
		if err := res.Body.File.Close(); err != nil {
			tb.Error(err)
		}
	}()
	b := make([]byte, res.Body.Length)
	if _, err := io.ReadFull(io.NewSectionReader(res.Body.File, res.Body.Offset, res.Body.Length), b); err != nil {
		tb.Fatal(err)
	}
	return b
}

func field(res *assets.Response, name string) string {
	var values []string
	for _, f := range res.Header {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, ", ")
}

func respond(tb testing.TB, s *assets.Site, r *assets.Request) assets.Response {
	tb.Helper()
	res, err := s.Respond(r)
	if err != nil {
		tb.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	return res
}

func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of a text that gets smaller when encoded\n", i)
	}
	return b.Bytes()[:n]
}
