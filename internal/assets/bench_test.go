package assets_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/selvage-dev/selvage/internal/assets"
)

func hugeManifest(n int) assets.Manifest {
	m := make(assets.Manifest, n)
	for i := range n {
		m[fmt.Sprintf("/assets/folder-%d/file-%d.js", i%100, i)] = assets.Entry{Hash: someHash, Blob: fmt.Sprintf("%064x", i), Size: 1000, ContentType: "text/javascript"}
	}
	return m
}

// BenchmarkNew builds a Site of 100,000 assets. The manifest is not counted, which the Site shares.
func BenchmarkNew(b *testing.B) {
	m := hugeManifest(100_000)
	files := newFuzzFiles()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := assets.New(m, assets.Config{}, files); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeManifest reads the manifest of 100,000 assets.
func BenchmarkDecodeManifest(b *testing.B) {
	data, err := hugeManifest(100_000).Encode()
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "manifest")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		m, err := assets.DecodeManifest(f, assets.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
		runtime.KeepAlive(m)
	}
}

// BenchmarkRespond answers plain GETs of 10 KB with everything warm.
func BenchmarkRespond(b *testing.B) {
	files := newDiskFiles(b)
	m := hugeManifest(10_000)
	m["/app.css"] = files.entry(b, "/app.css", text(10_000))
	m["/index.html"] = files.entry(b, "/index.html", text(10_000))
	files.compress(b, m["/app.css"].Blob, "br")
	var headers, redirects string
	for i := range 50 {
		headers += fmt.Sprintf("/h%d/*\n X-A: :splat\n", i)
		redirects += fmt.Sprintf("/r%d/:a /x/:a\n", i)
	}
	for _, c := range []struct {
		name, path string
		header     map[string]string
	}{
		{"plain", "/app.css", nil},
		{"br", "/app.css", map[string]string{"Accept-Encoding": "gzip, deflate, br, zstd"}},
		{"304", "/app.css", map[string]string{"If-None-Match": `"` + m["/app.css"].Hash + `"`}},
		{"spa", "/some/deep/link", nil},
		{"redirect", "/r49/x", nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, err := assets.New(m, assets.Config{NotFoundHandling: "single-page-application", Headers: headers, Redirects: redirects}, files, assets.WithCache(assets.NewCache(0)))
			if err != nil {
				b.Fatal(err)
			}
			r := request("GET", c.path, c.header)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if s.Route(r, true) != assets.Serve && c.name != "spa" {
						b.Error("not served")
					}
					if _, err := s.Respond(r); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// A warm answer must not allocate.
func TestWarmRespondDoesNotAllocate(t *testing.T) {
	files := newDiskFiles(t)
	m := assets.Manifest{"/app.css": files.entry(t, "/app.css", text(10_000))}
	files.compress(t, m["/app.css"].Blob, "br")
	s, err := assets.New(m, assets.Config{}, files, assets.WithCache(assets.NewCache(0)))
	if err != nil {
		t.Fatal(err)
	}
	r := request("GET", "/app.css", map[string]string{"Accept-Encoding": "gzip, br"})
	n := testing.AllocsPerRun(100, func() {
		s.Route(r, true)
		if _, err := s.Respond(r); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a warm answer, want 0", n)
	}
}
