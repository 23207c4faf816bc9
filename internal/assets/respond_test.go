package assets_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/selvage-dev/selvage/internal/assets"
)

// contentSite has a small text, one above the size that is kept in memory, a picture and a 404 page.
func contentSite(t *testing.T, options ...assets.Option) (*assets.Site, *diskFiles, assets.Manifest) {
	t.Helper()
	files := newDiskFiles(t)
	m := assets.Manifest{
		"/app.css":   files.entry(t, "/app.css", text(10_000)),
		"/big.css":   files.entry(t, "/big.css", text(300_000)),
		"/tiny.css":  files.entry(t, "/tiny.css", text(100)),
		"/empty.css": files.entry(t, "/empty.css", nil),
		"/pic.png":   files.entry(t, "/pic.png", text(5000)),
		"/done.css":  files.entry(t, "/done.css", text(6000)),
		"/404.html":  files.entry(t, "/404.html", text(4000)),
	}
	s, err := assets.New(m, assets.Config{NotFoundHandling: "404-page", Headers: "/done.css\n Content-Encoding: br\n Vary: Origin\n/pic.png\n Vary: Origin\n/big.css\n Vary: Origin\n"}, files, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s, files, m
}

func eachCache(t *testing.T, test func(t *testing.T, options ...assets.Option)) {
	t.Helper()
	t.Run("cached", func(t *testing.T) {
		t.Parallel()
		test(t, assets.WithCache(assets.NewCache(0)))
	})
	t.Run("uncached", func(t *testing.T) {
		t.Parallel()
		test(t)
	})
}

func TestConditionsAndRanges(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, options ...assets.Option) {
		t.Helper()
		s, _, m := contentSite(t, options...)
		tag := `"` + m["/app.css"].Hash + `"`
		app, big := text(10_000), text(300_000)
		for _, c := range []struct {
			name, method, path string
			header             map[string]string
			status             int
			body               []byte
			length             int64
			contentRange       string
		}{
			{"get", "GET", "/app.css", nil, 200, app, 10_000, ""},
			{"head", "HEAD", "/app.css", nil, 200, nil, 10_000, ""},
			{"big", "GET", "/big.css", nil, 200, big, 300_000, ""},
			{"empty", "GET", "/empty.css", nil, 200, nil, 0, ""},
			{"empty range", "GET", "/empty.css", map[string]string{"Range": "bytes=0-"}, 200, nil, 0, ""},
			{"fresh", "GET", "/app.css", map[string]string{"If-None-Match": tag}, 304, nil, -1, ""},
			{"fresh weak", "GET", "/app.css", map[string]string{"If-None-Match": "W/" + tag}, 304, nil, -1, ""},
			{"fresh list", "HEAD", "/app.css", map[string]string{"If-None-Match": `"a", W/"b,c" ,` + tag}, 304, nil, -1, ""},
			{"fresh any", "GET", "/app.css", map[string]string{"If-None-Match": "*"}, 304, nil, -1, ""},
			{"stale", "GET", "/app.css", map[string]string{"If-None-Match": `"a"`}, 200, app, 10_000, ""},
			{"stale malformed", "GET", "/app.css", map[string]string{"If-None-Match": `a, ` + tag}, 200, app, 10_000, ""},
			{"stale page not found", "GET", "/nope", map[string]string{"If-None-Match": `"a"`}, 404, text(4000), 4000, ""},
			{"date", "GET", "/app.css", map[string]string{"If-Modified-Since": "Mon, 01 Jan 2035 00:00:00 GMT"}, 200, app, 10_000, ""},
			{"match", "GET", "/app.css", map[string]string{"If-Match": `"a", ` + tag}, 200, app, 10_000, ""},
			{"no match", "GET", "/app.css", map[string]string{"If-Match": `"a"`}, 412, nil, 0, ""},
			{"no weak match", "GET", "/app.css", map[string]string{"If-Match": "W/" + tag}, 412, nil, 0, ""},
			{"first", "GET", "/app.css", map[string]string{"Range": "bytes=0-0"}, 206, app[:1], 1, "bytes 0-0/10000"},
			{"middle", "GET", "/app.css", map[string]string{"Range": "Bytes=100-199"}, 206, app[100:200], 100, "bytes 100-199/10000"},
			{"open", "GET", "/app.css", map[string]string{"Range": "bytes=9990-"}, 206, app[9990:], 10, "bytes 9990-9999/10000"},
			{"suffix", "GET", "/app.css", map[string]string{"Range": "bytes=-5"}, 206, app[9995:], 5, "bytes 9995-9999/10000"},
			{"long suffix", "GET", "/app.css", map[string]string{"Range": "bytes=-99999999999999999999999"}, 206, app, 10_000, "bytes 0-9999/10000"},
			{"beyond", "GET", "/app.css", map[string]string{"Range": "bytes=9000-20000"}, 206, app[9000:], 1000, "bytes 9000-9999/10000"},
			{"big part", "GET", "/big.css", map[string]string{"Range": "bytes=200000-200009"}, 206, big[200_000:200_010], 10, "bytes 200000-200009/300000"},
			{"unsatisfiable", "GET", "/app.css", map[string]string{"Range": "bytes=10000-"}, 416, nil, 0, "bytes */10000"},
			{"unsatisfiable suffix", "GET", "/app.css", map[string]string{"Range": "bytes=-0"}, 416, nil, 0, "bytes */10000"},
			{"huge", "GET", "/app.css", map[string]string{"Range": "bytes=99999999999999999999999999-"}, 416, nil, 0, "bytes */10000"},
			{"backwards", "GET", "/app.css", map[string]string{"Range": "bytes=5-4"}, 200, app, 10_000, ""},
			{"several", "GET", "/app.css", map[string]string{"Range": "bytes=0-1,3-4"}, 200, app, 10_000, ""},
			{"other unit", "GET", "/app.css", map[string]string{"Range": "lines=0-1"}, 200, app, 10_000, ""},
			{"malformed", "GET", "/app.css", map[string]string{"Range": "bytes=+1-2"}, 200, app, 10_000, ""},
			{"head range", "HEAD", "/app.css", map[string]string{"Range": "bytes=0-0"}, 200, nil, 10_000, ""},
			{"range not found", "GET", "/nope", map[string]string{"Range": "bytes=0-0"}, 404, text(4000), 4000, ""},
			{"if-range", "GET", "/app.css", map[string]string{"Range": "bytes=0-0", "If-Range": tag}, 206, app[:1], 1, "bytes 0-0/10000"},
			{"if-range other", "GET", "/app.css", map[string]string{"Range": "bytes=0-0", "If-Range": `"a"`}, 200, app, 10_000, ""},
			{"if-range weak", "GET", "/app.css", map[string]string{"Range": "bytes=0-0", "If-Range": "W/" + tag}, 200, app, 10_000, ""},
			{"if-range date", "GET", "/app.css", map[string]string{"Range": "bytes=0-0", "If-Range": "Mon, 01 Jan 2035 00:00:00 GMT"}, 200, app, 10_000, ""},
			{"range fresh", "GET", "/app.css", map[string]string{"Range": "bytes=0-0", "If-None-Match": tag}, 304, nil, -1, ""},
		} {
			for range 2 {
				res := respond(t, s, request(c.method, c.path, c.header))
				if res.Status != c.status || res.Length != c.length || field(&res, "Content-Range") != c.contentRange {
					t.Errorf("%s: status %d, length %d, Content-Range %q; want %d, %d, %q", c.name, res.Status, res.Length, field(&res, "Content-Range"), c.status, c.length, c.contentRange)
				}
				if got := read(t, &res); !bytes.Equal(got, c.body) {
					t.Errorf("%s: body of %d bytes, want %d", c.name, len(got), len(c.body))
				}
				if wantControl := c.header["Range"] == "" && c.status < 400; wantControl != (field(&res, "Cache-Control") != "") && c.status != 404 {
					t.Errorf("%s: Cache-Control %q", c.name, field(&res, "Cache-Control"))
				}
				if c.status == 206 && field(&res, "Etag") != tag && c.path == "/app.css" {
					t.Errorf("%s: ETag %q, want %q", c.name, field(&res, "Etag"), tag)
				}
			}
		}
	})
}

func decode(t *testing.T, encoding string, body []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	var err error
	switch encoding {
	case "br":
		r = brotli.NewReader(r)
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, options ...assets.Option) {
		t.Helper()
		s, files, m := contentSite(t, options...)
		for _, e := range m {
			switch {
			case e.Size > 100_000: // Slow under the race detector.
				files.compress(t, e.Blob, "br")
			case e.Size > 0:
				files.compress(t, e.Blob, assets.Encodings()...)
			}
		}
		for _, c := range []struct {
			name, path, accept, want, vary string
		}{
			{"none", "/app.css", "", "", "Accept-Encoding"},
			{"all", "/app.css", "gzip, deflate, br, zstd", "br", "Accept-Encoding"},
			{"curl", "/app.css", "deflate, gzip", "gzip", "Accept-Encoding"},
			{"old name", "/app.css", "x-gzip", "gzip", "Accept-Encoding"},
			{"weights", "/app.css", "br;q=0.5, zstd;q=0.9,gzip;q=0.8", "zstd", "Accept-Encoding"},
			{"refused", "/app.css", "br;q=0, gzip ; q=0.001", "gzip", "Accept-Encoding"},
			{"all refused", "/app.css", "br;q=0, gzip;q=0, *;q=0", "", "Accept-Encoding"},
			{"star", "/app.css", "*", "br", "Accept-Encoding"},
			{"star but", "/app.css", "*;q=0.5, br;q=0", "zstd", "Accept-Encoding"},
			{"identity first", "/app.css", "identity, br;q=0.5", "", "Accept-Encoding"},
			{"identity last", "/app.css", "identity;q=0.1, br;q=0.5", "br", "Accept-Encoding"},
			{"malformed weight", "/app.css", "br;q=2, gzip;q=abc, zstd;q=", "", "Accept-Encoding"},
			{"big", "/big.css", "br", "br", "Origin, Accept-Encoding"},
			{"small", "/tiny.css", "br", "", ""},
			{"empty", "/empty.css", "br", "", ""},
			{"picture", "/pic.png", "br", "", "Origin"},
			{"page not found", "/nope", "br", "br", "Accept-Encoding"},
		} {
			for range 2 {
				res := respond(t, s, request("GET", c.path, map[string]string{"Accept-Encoding": c.accept}))
				if got := field(&res, "Content-Encoding"); got != c.want || field(&res, "Vary") != c.vary {
					t.Errorf("%s: Content-Encoding %q, Vary %q, want %q, %q", c.name, got, field(&res, "Vary"), c.want, c.vary)
				}
				entry, status := m[c.path], 200
				if c.path == "/nope" {
					entry, status = m["/404.html"], 404
				}
				tag := `"` + entry.Hash + `"`
				if c.want != "" {
					tag = "W/" + tag
				}
				if res.Status != status || field(&res, "Etag") != tag {
					t.Errorf("%s: status %d, ETag %s, want %d, %s", c.name, res.Status, field(&res, "Etag"), status, tag)
				}
				body := read(t, &res)
				if int64(len(body)) != res.Length {
					t.Errorf("%s: length %d, body of %d", c.name, res.Length, len(body))
				}
				if plain := decode(t, c.want, body); !bytes.Equal(plain, text(int(entry.Size))) {
					t.Errorf("%s: wrong content of %d bytes", c.name, len(plain))
				}
			}
		}
		check := func(name, path string, header map[string]string, status int, encoding string) {
			t.Helper()
			r := request("GET", path, header)
			r.Identity = name == "identity"
			res := respond(t, s, r)
			read(t, &res)
			if res.Status != status || field(&res, "Content-Encoding") != encoding {
				t.Errorf("%s: status %d, encoding %q", name, res.Status, field(&res, "Content-Encoding"))
			}
		}
		check("range", "/app.css", map[string]string{"Accept-Encoding": "br", "Range": "bytes=0-9"}, 206, "")
		check("identity", "/app.css", map[string]string{"Accept-Encoding": "br"}, 200, "")
		check("fresh", "/app.css", map[string]string{"Accept-Encoding": "br", "If-None-Match": `W/"` + m["/app.css"].Hash + `"`}, 304, "br")
		check("encoded by a rule", "/done.css", map[string]string{"Accept-Encoding": "gzip"}, 200, "br")
		check("authorised", "/app.css", map[string]string{"Accept-Encoding": "br", "Authorization": "x"}, 200, "br")
	})
}

func TestVariantAppearsLater(t *testing.T) {
	t.Parallel()
	files := newDiskFiles(t)
	m := assets.Manifest{"/a.css": files.entry(t, "/a.css", text(5000))}
	s, err := assets.New(m, assets.Config{}, files, assets.WithCache(assets.NewCache(0)))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		encoding := func() string {
			res := respond(t, s, request("GET", "/a.css", map[string]string{"Accept-Encoding": "br"}))
			return field(&res, "Content-Encoding")
		}
		for range 100 {
			if got := encoding(); got != "" {
				t.Fatalf("encoding %q before there is a variant", got)
			}
		}
		if asked, _ := files.counts(); asked != 1 {
			t.Errorf("asked %d times for a variant that is not there, want once", asked)
		}
		files.compress(t, m["/a.css"].Blob, "br")
		time.Sleep(2 * time.Second)
		if got := encoding(); got != "br" {
			t.Errorf("encoding %q after the variant was made, want br", got)
		}
	})
}

func TestCacheSharesBodies(t *testing.T) {
	t.Parallel()
	files := newDiskFiles(t)
	m := assets.Manifest{"/index.html": files.entry(t, "/index.html", text(10_000))}
	cache := assets.NewCache(0)
	for range 2 { // Two versions.
		s, err := assets.New(m, assets.Config{NotFoundHandling: "single-page-application"}, files, assets.WithCache(cache))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"/", "/deep/link", "/other"} {
			res := respond(t, s, request("GET", p, nil))
			if res.Status != 200 || len(read(t, &res)) != 10_000 {
				t.Errorf("%s: status %d", p, res.Status)
			}
		}
	}
	if _, opened := files.counts(); opened != 1 {
		t.Errorf("opened the one file %d times, want once", opened)
	}
	if st := cache.Stats(); st.Entries != 3 {
		t.Errorf("cache has %d entries, want 3: a body and an answer for each version", st.Entries)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	files := newDiskFiles(t)
	m := assets.Manifest{}
	for i := range 300 {
		name := "/f" + strings.Repeat("x", i) + ".txt"
		m[name] = files.entry(t, name, append(text(8000), name...))
	}
	cache := assets.NewCache(limit)
	s, err := assets.New(m, assets.Config{}, files, assets.WithCache(cache))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for name, e := range m {
			res := respond(t, s, request("GET", name, nil))
			if got := read(t, &res); !bytes.Equal(got, append(text(8000), name...)) || int64(len(got)) != e.Size {
				t.Fatalf("round %d, %s: wrong body of %d bytes", round, name, len(got))
			}
			if st := cache.Stats(); st.Bytes > limit {
				t.Fatalf("cache holds %d bytes, more than %d", st.Bytes, limit)
			}
		}
	}
	if st := cache.Stats(); st.Bytes < limit/4 {
		t.Errorf("cache holds only %d bytes of %d", st.Bytes, limit)
	}
}

func TestMissingContentIsAnError(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, options ...assets.Option) {
		t.Helper()
		s, files, m := contentSite(t, options...)
		if err := os.Remove(filepath.Join(files.dir, m["/app.css"].Blob)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Respond(request("GET", "/app.css", nil)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want one that says that the file is gone", err)
		}
	})
}

func TestTooLargeHeaders(t *testing.T) {
	t.Parallel()
	rules := "/h/:a\n X-A: " + strings.Repeat(":a", 900) + "\n"
	s := site(t, assets.Config{Headers: rules, Redirects: "/r/:a /" + strings.Repeat(":a", 900)}, "/index.html")
	if _, err := s.Respond(request("GET", "/h/"+strings.Repeat("y", 4000), nil)); !errors.Is(err, assets.ErrHeaderTooLarge) {
		t.Errorf("error %v, want ErrHeaderTooLarge", err)
	}
	for _, p := range []string{"/r/" + strings.Repeat("y", 4000), "/index.html?" + strings.Repeat("q", 17_000)} {
		if res := respond(t, s, request("GET", p, nil)); res.Status != 414 || len(res.Header) != 0 {
			t.Errorf("%.20s: status %d, want 414", p, res.Status)
		}
	}
	for _, p := range []string{"/h/", "/r/"} {
		res := respond(t, s, request("GET", p+"y", nil))
		if got := len(field(&res, "X-A")) + len(field(&res, "Location")); got < 900 {
			t.Errorf("%s: %d bytes of header", p, got)
		}
	}
}

func TestHeadersOfEachKind(t *testing.T) {
	t.Parallel()
	s := site(t, assets.Config{Headers: "/*\n X-All: 1\n! nothing\n/file\n Set-Cookie: a\n Set-Cookie: b\n"}, "/file.html", "/index.html")
	res := respond(t, s, request("GET", "/file", nil))
	want := []assets.Field{
		{Name: "Content-Type", Value: "text/html; charset=utf-8"},
		{Name: "Etag", Value: `"` + assets.Hash([]byte("/file.html"), "html") + `"`},
		{Name: "Cache-Control", Value: "public, max-age=0, must-revalidate"},
		{Name: "Accept-Ranges", Value: "bytes"},
		{Name: "X-All", Value: "1"},
		{Name: "Set-Cookie", Value: "a"},
		{Name: "Set-Cookie", Value: "b"},
	}
	if diff := cmp.Diff(want, res.Header); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	res = respond(t, s, request("DELETE", "/file", nil))
	if res.Status != 405 || field(&res, "Allow") != "GET, HEAD" || field(&res, "X-All") != "1" {
		t.Errorf("DELETE: %+v", res)
	}
}
