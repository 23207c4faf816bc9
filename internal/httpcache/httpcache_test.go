package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/httpcache"
)

// header reads "Name: value" lines.
func header(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name    string
		status  int
		header  string
		o       httpcache.Options
		ttl     time.Duration
		refused string
	}{
		{name: "max-age", status: 200, header: "cache-control: max-age=60", ttl: time.Minute},
		{name: "s-maxage wins", status: 200, header: "cache-control: max-age=1, s-maxage=60", ttl: time.Minute},
		{name: "upper case, spaces, quotes", status: 200, header: `cache-control:  Public ,  MAX-AGE="60"`, ttl: time.Minute},
		{name: "the stricter of two", status: 200, header: "cache-control: max-age=600\ncache-control: max-age=60", ttl: time.Minute},
		{name: "max-age=0", status: 200, header: "cache-control: max-age=0", refused: "stale"},
		{name: "max-age is no number", status: 200, header: "cache-control: max-age=soon", refused: "stale"},
		{name: "negative max-age", status: 200, header: "cache-control: max-age=-5", refused: "stale"},
		{name: "huge max-age", status: 200, header: "cache-control: max-age=99999999999999999999", ttl: 1 << 31 * time.Second},
		{name: "age", status: 200, header: "cache-control: max-age=60\nage: 20", ttl: 40 * time.Second},
		{name: "too old", status: 200, header: "cache-control: max-age=60\nage: 60", refused: "stale"},
		{name: "no-store", status: 200, header: "cache-control: no-store, max-age=60", refused: "no-store"},
		{name: "no-cache", status: 200, header: "cache-control: no-cache", refused: "no-cache"},
		{name: "private", status: 200, header: "cache-control: private, max-age=60", refused: "private"},
		{name: "unknown directives", status: 200, header: `cache-control: x="a, no-store", y=1, max-age=60`, ttl: time.Minute},
		{name: "open quote", status: 200, header: `cache-control: max-age=60, x="a, no-store`, ttl: time.Minute},
		{name: "the CDN's field", status: 200, header: "cache-control: no-store\ncdn-cache-control: max-age=60", ttl: time.Minute},
		{name: "the platform's field", status: 200, header: "cdn-cache-control: max-age=1\ncloudflare-cdn-cache-control: max-age=60", ttl: time.Minute},
		{name: "expires", status: 200, header: "expires: " + at(time.Minute), ttl: time.Minute},
		{name: "expires from date", status: 200, header: "date: " + at(-time.Hour) + "\nexpires: " + at(-time.Hour+time.Minute), ttl: time.Minute},
		{name: "max-age wins over expires", status: 200, header: "cache-control: max-age=60\nexpires: " + at(-time.Hour), ttl: time.Minute},
		{name: "expired", status: 200, header: "expires: " + at(-time.Second), refused: "stale"},
		{name: "expires: 0", status: 200, header: "expires: 0", refused: "stale"},
		{name: "200 by default", status: 200, ttl: 2 * time.Hour},
		{name: "public only", status: 200, header: "cache-control: public", ttl: 2 * time.Hour},
		{name: "301 by default", status: 301, ttl: 2 * time.Hour},
		{name: "302 by default", status: 302, ttl: 20 * time.Minute},
		{name: "303 by default", status: 303, ttl: 20 * time.Minute},
		{name: "404 by default", status: 404, ttl: 3 * time.Minute},
		{name: "410 by default", status: 410, ttl: 3 * time.Minute},
		{name: "500 by default", status: 500, refused: "stale"},
		{name: "500 with max-age", status: 500, header: "cache-control: max-age=60", ttl: time.Minute},
		{name: "206", status: 206, header: "cache-control: max-age=60", refused: "206"},
		{name: "304", status: 304, header: "cache-control: max-age=60", refused: "304"},
		{name: "101", status: 101, refused: "101"},
		{name: "vary *", status: 200, header: "vary: accept, *", refused: "Vary"},
		{name: "vary", status: 200, header: "vary: accept", ttl: 2 * time.Hour},
		{name: "set-cookie", status: 200, header: "set-cookie: a=b\ncache-control: max-age=60", refused: "Set-Cookie"},
		{name: "private=set-cookie", status: 200, header: "set-cookie: a=b\ncache-control: private=Set-Cookie, max-age=60", ttl: time.Minute},
		{name: `private="set-cookie"`, status: 200, header: "set-cookie: a=b\ncache-control: private=\"x, set-cookie\"", ttl: 2 * time.Hour},
		{name: "other private field", status: 200, header: "set-cookie: a=b\ncache-control: private=\"x\"", refused: "Set-Cookie"},
		{name: "authorization", status: 200, o: httpcache.Options{Authorized: true}, header: "cache-control: max-age=60", refused: "Authorization"},
		{name: "authorization, public", status: 200, o: httpcache.Options{Authorized: true}, header: "cache-control: public, max-age=60", ttl: time.Minute},
		{name: "explicit", status: 200, o: httpcache.Options{Explicit: true}, header: "cache-control: public", refused: "does not say"},
		{name: "explicit, max-age", status: 200, o: httpcache.Options{Explicit: true}, header: "cache-control: max-age=60", ttl: time.Minute},
		{name: "forced", status: 500, o: httpcache.Options{TTL: time.Second}, header: "cache-control: no-store", ttl: time.Second},
		{name: "forced with cookie", status: 200, o: httpcache.Options{TTL: time.Second}, header: "set-cookie: a=b", refused: "Set-Cookie"},
		{name: "forbidden", status: 200, o: httpcache.Options{TTL: -1}, header: "cache-control: max-age=60", refused: "request"},
	} {
		v := httpcache.Judge(c.status, header(c.header), now, c.o)
		if v.TTL != c.ttl || (v.Refused == "") != (c.refused == "") || !strings.Contains(v.Refused, c.refused) {
			t.Errorf("%s: %+v, want a TTL of %s, refused %q", c.name, v, c.ttl, c.refused)
		}
		if v.DropCookie != strings.HasPrefix(c.name, "private=") {
			t.Errorf("%s: DropCookie = %v", c.name, v.DropCookie)
		}
	}
}

func TestSelect(t *testing.T) {
	const size = 10
	modified := now.Format(http.TimeFormat)
	stored := header("etag: \"v1\"\nlast-modified: " + modified)
	weak := header("etag: W/\"v1\"")
	for _, c := range []struct {
		req    string
		stored http.Header
		want   httpcache.Part
	}{
		{"", stored, httpcache.Part{Status: 200, Length: size}},
		{`if-none-match: "v1"`, stored, httpcache.Part{Status: 304}},
		{`if-none-match: W/"v1"`, stored, httpcache.Part{Status: 304}},
		{`if-none-match: "v1"`, weak, httpcache.Part{Status: 304}},
		{`if-none-match: "a,b", "v1"`, stored, httpcache.Part{Status: 304}},
		{`if-none-match: *`, http.Header{}, httpcache.Part{Status: 304}},
		{`if-none-match: "v2"`, stored, httpcache.Part{Status: 200, Length: size}},
		{`if-none-match: "v1`, stored, httpcache.Part{Status: 200, Length: size}},
		{`if-none-match: "v1"`, http.Header{}, httpcache.Part{Status: 200, Length: size}},
		{"if-none-match: \"v2\"\nif-modified-since: " + modified, stored, httpcache.Part{Status: 200, Length: size}},
		{"if-modified-since: " + modified, stored, httpcache.Part{Status: 304}},
		{"if-modified-since: " + now.Add(-time.Second).Format(http.TimeFormat), stored, httpcache.Part{Status: 200, Length: size}},
		{"if-modified-since: yesterday", stored, httpcache.Part{Status: 200, Length: size}},
		{"range: bytes=2-4", stored, httpcache.Part{Status: 206, Offset: 2, Length: 3, ContentRange: "bytes 2-4/10"}},
		{"range: bytes=2-", stored, httpcache.Part{Status: 206, Offset: 2, Length: 8, ContentRange: "bytes 2-9/10"}},
		{"range: bytes=-3", stored, httpcache.Part{Status: 206, Offset: 7, Length: 3, ContentRange: "bytes 7-9/10"}},
		{"range: bytes=-30", stored, httpcache.Part{Status: 206, Length: 10, ContentRange: "bytes 0-9/10"}},
		{"range: bytes=8-99999999999999999999", stored, httpcache.Part{Status: 206, Offset: 8, Length: 2, ContentRange: "bytes 8-9/10"}},
		{"range: bytes=10-", stored, httpcache.Part{Status: 416, ContentRange: "bytes */10"}},
		{"range: bytes=-0", stored, httpcache.Part{Status: 416, ContentRange: "bytes */10"}},
		{"range: bytes=4-2", stored, httpcache.Part{Status: 200, Length: size}},
		{"range: bytes=a-b", stored, httpcache.Part{Status: 200, Length: size}},
		{"range: bytes=0-1,3-4", stored, httpcache.Part{Status: 200, Length: size}},
		{"range: lines=0-1", stored, httpcache.Part{Status: 200, Length: size}},
		{"range: bytes=0-1\nif-range: \"v1\"", stored, httpcache.Part{Status: 206, Length: 2, ContentRange: "bytes 0-1/10"}},
		{"range: bytes=0-1\nif-range: \"v2\"", stored, httpcache.Part{Status: 200, Length: size}},
		{"range: bytes=0-1\nif-range: W/\"v1\"", weak, httpcache.Part{Status: 200, Length: size}},
		{"range: bytes=0-1\nif-range: " + modified, stored, httpcache.Part{Status: 206, Length: 2, ContentRange: "bytes 0-1/10"}},
		{"range: bytes=0-1\nif-none-match: \"v1\"", stored, httpcache.Part{Status: 304}},
	} {
		if got := httpcache.Select(header(c.req), 200, c.stored.Get, size); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.req, got, c.want)
		}
	}
	if got := httpcache.Select(header("range: bytes=0-1\nif-none-match: *"), 404, stored.Get, size); got.Status != 404 || got.Length != size {
		t.Errorf("a stored 404 with conditions: %+v", got)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(200, `private="Set-Cookie", max-age=60`, "Thu, 01 Jan 1970 00:00:00 GMT", "5")
	f.Add(404, `x="`, "0", "-")
	f.Fuzz(func(t *testing.T, status int, control, expires, age string) {
		v := httpcache.Judge(status, http.Header{"Cache-Control": {control}, "Expires": {expires}, "Age": {age}}, now, httpcache.Options{})
		if (v.TTL > 0) != (v.Refused == "") {
			t.Fatalf("%+v", v)
		}
	})
}

func FuzzSelect(f *testing.F) {
	f.Add("bytes=0-1", `"a"`, `"a"`, int64(10))
	f.Add("bytes=-5", `W/"`, ``, int64(0))
	f.Fuzz(func(t *testing.T, spec, inm, etag string, size int64) {
		if size < 0 {
			return
		}
		p := httpcache.Select(http.Header{"Range": {spec}, "If-None-Match": {inm}}, 200, func(string) string { return etag }, size)
		if p.Offset < 0 || p.Length < 0 || p.Offset+p.Length > size {
			t.Fatalf("%+v of %d bytes", p, size)
		}
	})
}
