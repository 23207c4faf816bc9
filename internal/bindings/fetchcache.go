package bindings

import (
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/httpcache"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// cacheOptions are those members of fetch's cf object that concern the cache.
// The runtime adds some itself: fetch(…, {cache: "no-store"}) arrives as
// cacheTtl -1, and "no-cache" as cacheForceRevalidate.
type cacheOptions struct {
	CacheTTL             *float64           `json:"cacheTtl"`
	CacheTTLByStatus     map[string]float64 `json:"cacheTtlByStatus"`
	CacheEverything      bool               `json:"cacheEverything"`
	CacheKey             string             `json:"cacheKey"`
	CacheForceRevalidate bool               `json:"cacheForceRevalidate"`
}

// wanted reports whether the options ask for the cache at all.
func (o *cacheOptions) wanted() bool {
	if o.CacheTTL != nil && *o.CacheTTL <= 0 && len(o.CacheTTLByStatus) == 0 {
		return false
	}
	return o.CacheTTL != nil || len(o.CacheTTLByStatus) > 0 || o.CacheEverything || o.CacheKey != ""
}

// ttl returns how long to keep a response of that status: 0 when its own fields
// say so, below 0 when it must not be kept. Of several ranges of statuses the
// narrowest counts.
func (o *cacheOptions) ttl(status int) time.Duration {
	seconds, found, width := 0.0, false, 0
	for spec, v := range o.CacheTTLByStatus {
		from, to, ok := statusRange(spec)
		if ok && from <= status && status <= to && (!found || to-from < width) {
			seconds, found, width = v, true, to-from
		}
	}
	if !found {
		if o.CacheTTL == nil {
			return 0
		}
		seconds = *o.CacheTTL
	}
	const most = 1 << 31 // seconds
	if seconds <= 0 {
		return -1
	}
	return time.Duration(min(seconds, most) * float64(time.Second))
}

// statusRange reads "404" or "200-299".
func statusRange(spec string) (from, to int, ok bool) {
	first, last, ranged := strings.Cut(spec, "-")
	from, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, 0, false
	}
	if !ranged {
		return from, from, true
	}
	to, err = strconv.Atoi(strings.TrimSpace(last))
	return from, to, err == nil
}

// fill is an outbound request whose answer goes into the cache on its way.
type fill struct {
	store *cache.Store
	zone  string
	key   cache.Key
	o     cacheOptions
	req   http.Header // as the worker sent it
	log   *slog.Logger
}

// serveCached answers a request from the cache, or prepares x so that the answer
// of the origin is put there. It reports whether it has answered.
func (e *egress) serveCached(w http.ResponseWriter, r *http.Request, x *exchange) bool {
	if e.cache == nil || r.Method != http.MethodGet || r.Header.Get("Upgrade") != "" {
		return false
	}
	o := optionsOf(r.Header.Get(workerd.HeaderCF))
	if !o.wanted() {
		return false
	}
	f := &fill{store: e.cache, zone: e.cacheZone, key: fetchKey(r, o.CacheKey), o: o, req: r.Header, log: e.log}
	if !o.CacheForceRevalidate {
		if hit, ok := lookUp(f.store, f.zone, f.key, r.Header); ok {
			defer hangUp(hit)
			x.end(outcomeOK)
			writeHit(w, r, hit)
			return true
		}
	}
	if !conditional(r.Header) { // the answer to one that is may be a part, or nothing
		x.fill = f
	}
	return false
}

// fetchKey is the key of the Cache API's default cache, which fetch shares with
// it. Credentials keep apart what they may have selected.
func fetchKey(r *http.Request, custom string) cache.Key {
	key := cacheKey(r, custom)
	for _, v := range r.Header["Authorization"] {
		key = sha256.Sum256(append(key[:], v...))
	}
	return key
}

func conditional(h http.Header) bool {
	for _, name := range []string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// begin lets the answer of an origin flow into the cache, if it may be stored.
func (f *fill) begin(res *http.Response) {
	ttl := f.o.ttl(res.StatusCode)
	now := f.store.Now()
	verdict := httpcache.Judge(res.StatusCode, res.Header, now, httpcache.Options{TTL: ttl})
	res.Header[statusField] = []string{statusBypass}
	if verdict.Refused != "" {
		return
	}
	w, err := f.store.NewWriter(f.zone)
	if err != nil {
		f.log.Warn("response not cached", "error", err)
		return
	}
	entry := stored(res.StatusCode, res.Header, now, verdict)
	entry.Vary = selecting(f.req, res.Header)
	res.Header[statusField] = []string{statusMiss}
	res.Body = &tee{body: res.Body, to: w, log: f.log, done: func() error { return w.Commit(f.key, entry) }}
}

// tee passes a body on and writes it into the cache, where it comes to be an
// entry only if it has come to its end.
type tee struct {
	body io.ReadCloser
	to   *cache.Writer // nil when it did not work out
	log  *slog.Logger
	done func() error
}

// Read implements io.Reader.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if t.to == nil {
		return n, err
	}
	if _, werr := t.to.Write(p[:n]); werr != nil {
		t.giveUp(werr)
	} else if errors.Is(err, io.EOF) {
		t.to = nil
		if werr := t.done(); werr != nil {
			t.giveUp(werr)
		}
	}
	return n, err
}

func (t *tee) giveUp(err error) {
	if t.to != nil {
		t.to.Abort()
		t.to = nil
	}
	if !errors.Is(err, cache.ErrTooLarge) {
		t.log.Warn("response not cached", "error", err)
	}
}

// Close implements io.Closer.
func (t *tee) Close() error {
	if t.to != nil {
		t.to.Abort()
		t.to = nil
	}
	return t.body.Close()
}
