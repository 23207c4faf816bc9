package e2e

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/client"
)

var update = flag.Bool("update", false, "make the golden data directory anew, with the current binary")

// The golden data directory: what it holds is written down in the README
// beside it.
const (
	goldenFile   = "testdata/golden-v1/data.tar.gz"
	goldenSecret = "a secret of the first release"
	goldenWorker = `export default { async fetch(req, env) {
		return Response.json({ text: TEXT, secret: env.TOKEN, greeting: env.GREETING, asset: await (await env.ASSETS.fetch(new URL("/page.txt", req.url))).text() });
	} }`
)

// TestGoldenDataDirectory opens a data directory that the first release made.
func TestGoldenDataDirectory(t *testing.T) {
	t.Parallel()
	if *update {
		makeGolden(t)
	}
	p := &platform{data: filepath.Join(t.TempDir(), "data")}
	unpack(t, goldenFile, p.data)
	p.up(t)
	t.Cleanup(func() { p.stop(t) })
	const want = `{"text":%q,"secret":"` + goldenSecret + `","greeting":"hello","asset":"an asset of %s"}`
	expect := func(host, text string) {
		t.Helper()
		if a := p.get(t, host, "/run"); a.Body != fmt.Sprintf(want, text, text) {
			t.Errorf("%s answers %d %s", host, a.Status, a.Body)
		}
		if a := p.get(t, host, "/page.txt"); a.Body != "an asset of "+text {
			t.Errorf("%s/page.txt = %d %q", host, a.Status, a.Body)
		}
	}
	expect(p.host("golden"), "two")
	expect(p.host("kept-golden"), "one")

	// What it was made with is still all there, and goes on from there.
	c := p.client(t)
	versions, err := c.Versions(t.Context(), "golden")
	if err != nil || len(versions) < 2 {
		t.Fatalf("%d versions, %v", len(versions), err)
	}
	oldest := slices.MinFunc(versions, func(a, b client.Version) int { return cmp.Compare(a.Number, b.Number) })
	if a := p.get(t, p.host(oldest.ID[:8]+"-golden"), "/page.txt"); a.Body != "an asset of one" {
		t.Errorf("the preview of the first version answers %d %q", a.Status, a.Body)
	}
	secrets, err := c.Secrets(t.Context(), "golden")
	if err != nil || len(secrets) != 1 || secrets[0].Name != "TOKEN" {
		t.Errorf("secrets %v, %v", secrets, err)
	}
	if _, err := c.DeployVersion(t.Context(), "golden", oldest.ID, client.DeployOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if err := create(t.Context(), c, "later", hello("made later")); err != nil {
		t.Error(err)
	}
	if a := p.get(t, p.host("later"), "/"); a.Body != "made later" {
		t.Errorf("a new worker answers %d %q", a.Status, a.Body)
	}
	stdout, stderr, code := p.cli(t, "token", "list")
	if code != 0 || !strings.Contains(stdout, "reader") {
		t.Errorf("token list: %d %s%s", code, stdout, stderr)
	}
}

// makeGolden makes the data directory that TestGoldenDataDirectory opens.
func makeGolden(t *testing.T) {
	t.Helper()
	p := start(t)
	dir := project(t, map[string]string{
		"wrangler.jsonc": `{"name": "golden", "main": "index.js", "compatibility_date": "2026-09-01", "vars": {"GREETING": "hello"},
			"assets": {"directory": "public", "binding": "ASSETS"}}`,
	})
	if err := os.Mkdir(filepath.Join(dir, "public"), 0o755); err != nil {
		t.Fatal(err)
	}
	version := func(text string) {
		t.Helper()
		rewrite(t, dir, "index.js", strings.Replace(goldenWorker, "TEXT", fmt.Sprintf("%q", text), 1))
		rewrite(t, dir, "public/page.txt", "an asset of "+text)
	}
	version("one")
	p.must(t, dir, "deploy")
	if out, err := p.wranglerIn(t, dir, goldenSecret, "secret", "put", "TOKEN"); err != nil {
		t.Fatalf("secret put: %v\n%s", err, out)
	}
	p.must(t, dir, "versions", "upload", "--preview-alias", "kept")
	version("two")
	p.must(t, dir, "deploy")
	if _, stderr, code := p.cli(t, "token", "create", "reader", "--scope", "workers:read"); code != 0 {
		t.Fatal(stderr)
	}
	if a := p.get(t, p.host("golden"), "/run"); a.Status != http.StatusOK {
		t.Fatalf("the golden worker answers %d %s", a.Status, a.Body)
	}
	p.stop(t)
	pack(t, p.data, goldenFile)
}

// pack writes what of a data directory is worth keeping (docs/OPERATING.md).
func pack(t *testing.T, dir, to string) {
	t.Helper()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	compressed := gzip.NewWriter(f)
	out := tar.NewWriter(compressed)
	err = walk(dir, func(path string, d os.DirEntry) {
		name := strings.TrimPrefix(path, dir+"/")
		top, _, _ := strings.Cut(name, "/")
		if !d.Type().IsRegular() || slices.Contains([]string{"runtime", "run", "logs", "lock"}, top) {
			return
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: int64(len(body)), ModTime: info.ModTime()}
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(body); err != nil {
			t.Fatal(err)
		}
	})
	if err := errors.Join(err, out.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() > 200<<10 {
		t.Errorf("the golden data directory has %d bytes (%v), too many for the repository", info.Size(), err)
	}
}

func unpack(t *testing.T, from, dir string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatalf("%v: \"go test ./test/e2e -run Golden -update\" makes it", err)
	}
	defer f.Close()
	compressed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	in := tar.NewReader(compressed)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(io.LimitReader(in, 10<<20))
		if err != nil {
			t.Fatal(err)
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(h.Name, body, fs.FileMode(h.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}
