package bindings

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/selvage-dev/selvage/internal/cache"
	"github.com/selvage-dev/selvage/internal/httpcache"
	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

// CacheSocket is the name of the socket of the Cache API.
const CacheSocket = workerd.CacheSocket

const (
	// Carries the name of a cache of caches.open, percent-encoded.
	namespaceField = "Cf-Cache-Namespace"
	// Says whether an answer comes from the cache. The runtime takes
	// one for a hit only when it says so here.
	statusField = "Cf-Cache-Status"

	statusHit    = "HIT"
	statusMiss   = "MISS"
	statusBypass = "BYPASS"
)

// cacheHandler answers caches.default and caches.open of one running version.
type cacheHandler struct {
	store   *cache.Store
	zone    string
	slots   *slots
	log     *slog.Logger
	buffers *buffers
}

func (h *cacheHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !originForm(r) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !h.slots.take() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer h.slots.give()
	key := cacheKey(r, optionsOf(r.Header.Get(workerd.HeaderCF)).CacheKey)
	switch r.Method {
	case http.MethodGet:
		h.match(w, r, key)
	case http.MethodPut:
		h.put(w, r, key)
	case "PURGE":
		status := http.StatusNotFound
		if h.store.Delete(h.zone, key) {
			status = http.StatusOK
		}
		w.WriteHeader(status)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// cacheKey names what a request is about: its URL, or what the worker wants to
// take its place, in one of the caches of a zone.
func cacheKey(r *http.Request, custom string) cache.Key {
	d := sha256.New()
	name := func(s string) { _, _ = fmt.Fprintf(d, "%d:%s", len(s), s) } // a hash never fails
	name(r.Header.Get(namespaceField))
	if custom != "" {
		name("key")
		name(custom)
	} else {
		name("url")
		name(r.Header.Get(ProtoHeader) + "://" + strings.ToLower(r.Host) + r.RequestURI)
	}
	return cache.Key(d.Sum(nil))
}

// match answers as the runtime expects it of a request with "only-if-cached":
// 504 for a miss (RFC 9111, section 5.2.1.7).
func (h *cacheHandler) match(w http.ResponseWriter, r *http.Request, key cache.Key) {
	hit, ok := lookUp(h.store, h.zone, key, r.Header)
	if !ok {
		w.Header().Set(statusField, statusMiss)
		w.WriteHeader(http.StatusGatewayTimeout)
		return
	}
	defer hangUp(hit)
	writeHit(w, r, hit)
}

// put stores a response, which is the body of the request in the form of
// HTTP/1.1. The runtime reports no answer of ours to the worker; the log has
// what went wrong, at debug level what must not be stored.
func (h *cacheHandler) put(w http.ResponseWriter, r *http.Request, key cache.Key) {
	status, err := h.keep(r, key)
	if err != nil {
		level := slog.LevelDebug
		if status == http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		h.log.Log(r.Context(), level, "response not cached", "host", r.Host, "reason", err)
		// What the worker still sends is read, or its own stream would break.
		_, _ = io.Copy(io.Discard, r.Body)
	}
	w.WriteHeader(status)
}

// keep returns the status of the answer, and with another than 204 the reason.
func (h *cacheHandler) keep(r *http.Request, key cache.Key) (int, error) {
	res, err := readStored(r.Body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	now := h.store.Now()
	verdict := httpcache.Judge(res.status, res.header, now, httpcache.Options{})
	if verdict.Refused != "" {
		return http.StatusRequestEntityTooLarge, errors.New(verdict.Refused)
	}
	entry, err := h.store.NewWriter(h.zone)
	if err != nil {
		return http.StatusInternalServerError, err
	}
	defer entry.Abort()
	buf := h.buffers.Get()
	defer h.buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{entry}, res.body, buf)
	if err == nil && res.length >= 0 && n != res.length {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = entry.Commit(key, stored(res.status, res.header, now, verdict))
	}
	switch {
	case err == nil:
		return http.StatusNoContent, nil
	case errors.Is(err, cache.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, err
	case errors.Is(err, cache.ErrFull), errors.Is(err, cache.ErrClosed):
		return http.StatusServiceUnavailable, err
	case errors.Is(err, io.ErrUnexpectedEOF), r.Context().Err() != nil:
		return http.StatusBadRequest, fmt.Errorf("the body broke off: %w", err)
	}
	return http.StatusInternalServerError, err
}

// lookUp finds the entry that may answer a request with these fields.
func lookUp(s *cache.Store, zone string, key cache.Key, req http.Header) (*cache.Hit, bool) {
	hit, ok := s.Get(zone, key)
	if !ok {
		return nil, false
	}
	for _, f := range hit.Vary {
		if strings.Join(req[f.Name], ", ") != f.Value {
			hangUp(hit)
			return nil, false
		}
	}
	return hit, true
}

// writeHit answers from the cache. When the body breaks off the connection is cut.
func writeHit(w http.ResponseWriter, r *http.Request, hit *cache.Hit) {
	part := httpcache.Select(r.Header, hit.Status, hit.Field, hit.Length)
	head := w.Header()
	head["Date"], head["Content-Type"] = nil, nil // only what was stored
	for _, f := range hit.Header {
		head[f.Name] = append(head[f.Name], f.Value)
	}
	head[statusField] = []string{statusHit}
	head["Age"] = []string{httpcache.Age(hit.Stored, hit.Now)}
	if part.ContentRange != "" {
		head["Content-Range"] = []string{part.ContentRange}
	}
	if bodyless(part.Status) {
		w.WriteHeader(part.Status)
		return
	}
	head["Content-Length"] = []string{strconv.FormatInt(part.Length, 10)}
	w.WriteHeader(part.Status)
	if part.Length == 0 {
		return
	}
	if err := writePart(w, hit, part.Offset, part.Length); err != nil {
		panic(http.ErrAbortHandler) // the worker must not take a part for the whole
	}
}

func writePart(w io.Writer, hit *cache.Hit, from, n int64) error {
	if hit.File == nil {
		_, err := w.Write(hit.Bytes[from : from+n])
		return err
	}
	copied, err := io.Copy(w, io.NewSectionReader(hit.File, from, n))
	if err == nil && copied != n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified || status < 200
}

// optionsOf reads what fetch, or a Request given to the Cache API, was told in
// its cf object. The runtime wrote it; what does not fit is no option.
func optionsOf(raw string) (o cacheOptions) {
	if strings.Contains(raw, `"cache`) {
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			return cacheOptions{}
		}
	}
	return o
}
