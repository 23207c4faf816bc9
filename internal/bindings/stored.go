package bindings

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/httpcache"
)

// maxStoredHeader bounds the status line and fields of a response that a worker
// wants cached.
const maxStoredHeader = 128 << 10

// given is a response that a worker gives to the cache.
type given struct {
	status int
	header http.Header
	length int64 // of the body as its fields say it; -1 when they do not
	body   io.Reader
}

// readStored reads a response as the runtime hands it over: a status line and
// fields as in HTTP/1.1, then the body up to the end of r. What Transfer-Encoding
// says is not so: the body has no framing of its own.
func readStored(r io.Reader) (*given, error) {
	limited := &io.LimitedReader{R: r, N: maxStoredHeader}
	buffered := bufio.NewReader(limited)
	text := textproto.NewReader(buffered)
	line, err := text.ReadLine()
	if err != nil {
		return nil, fmt.Errorf("not a response: %w", err)
	}
	proto, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(proto, "HTTP/1.") {
		return nil, fmt.Errorf("not a response: it begins with %.40q", line)
	}
	fields, err := text.ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("not a response with at most %d bytes of fields: %w", maxStoredHeader, err)
	}
	limited.N = math.MaxInt64
	res := &given{status: status, header: http.Header(fields), length: -1, body: buffered}
	if v := res.header.Get("Content-Length"); v != "" {
		if res.length, err = strconv.ParseInt(v, 10, 64); err != nil || res.length < 0 {
			return nil, fmt.Errorf("not a response: it has the Content-Length %.40q", v)
		}
	}
	return res, nil
}

// stored makes what the cache keeps of a response, its body apart. Fields that
// concern one connection, or that say what only a cache can say, are left out.
func stored(status int, h http.Header, now time.Time, v httpcache.Verdict) *cache.Response {
	names := make([]string, 0, len(h))
	for name := range h {
		switch {
		case httpcache.HopByHop(name), name == "Content-Length", name == "Age", name == statusField:
		case name == "Set-Cookie" && v.DropCookie, platformField(name):
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := &cache.Response{Status: status, Stored: now.Add(-v.Age), Expires: now.Add(v.TTL)}
	for _, name := range names {
		for _, value := range h[name] {
			out.Header = append(out.Header, cache.Field{Name: name, Value: value})
		}
	}
	return out
}

// selecting returns the fields of a request by which its response was chosen, as
// the response names them.
func selecting(req, res http.Header) []cache.Field {
	var out []cache.Field
	for _, v := range res["Vary"] {
		for name := range strings.SplitSeq(v, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "" && !slices.ContainsFunc(out, func(f cache.Field) bool { return f.Name == name }) {
				out = append(out, cache.Field{Name: name, Value: strings.Join(req[name], ", ")})
			}
		}
	}
	return out
}
