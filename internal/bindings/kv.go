package bindings

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/bindings/unixhttp"
	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/kv"
)

// KV is what the door needs of the KV service.
type KV interface {
	Get(ctx context.Context, account, namespace, key string) (e kv.Entry, ok bool, err error)
	Stage(ctx context.Context, account, namespace string, r io.Reader, length int64) (*kv.Value, error)
	Put(ctx context.Context, account, namespace string, pairs ...kv.Pair) error
	Delete(ctx context.Context, account, namespace string, keys ...string) error
	List(ctx context.Context, account, namespace string, o kv.ListOptions) (kv.Page, error)
}

// Fields of the protocol that the runtime's KV bindings speak.
const (
	kvMetadataHeader   = "Cf-Kv-Metadata"
	kvExpirationHeader = "Cf-Expiration"
	// The list of keys of a bulk get, 100 keys of 512 bytes, has at most
	// maxBulkGetBody bytes, each escaped at worst.
	maxBulkGetBody = 1 << 20
)

// kvHandler answers the bindings of one version to one KV namespace. What the
// runtime sends:
//
//	GET /KEY?urlencoded=true[&cache_ttl=N]          200 with value, 404: null
//	PUT /KEY?urlencoded=true[&expiration[_ttl]=N]   the value; metadata in a field
//	DELETE /KEY?urlencoded=true
//	GET /?key_count_limit=N[&prefix=…][&cursor=…]   JSON
//	POST /bulk/get                                  JSON of up to 100 keys
//
// The message of an error goes into the status line: it is what the exception
// in the worker says ("KV PUT failed: 413 Value length of …").
type kvHandler struct {
	kv        KV
	account   string
	namespace string
	log       *slog.Logger
	metrics   *kvMetrics
}

func (h *kvHandler) serveExchange(x *unixhttp.Exchange) {
	began := time.Now()
	op, outcome, err := h.serve(x)
	if err != nil {
		outcome = h.refuse(x, op, err)
	}
	h.metrics.observe(op, outcome, time.Since(began))
}

// serve answers a request that can be; of one that cannot it returns the error
// and has written nothing.
func (h *kvHandler) serve(x *unixhttp.Exchange) (kvOp, kvOutcome, error) {
	r := x.Request
	key, err := kvKey(r)
	switch {
	case err != nil:
		return kvGet, kvRefused, err
	case r.Method == http.MethodGet && key == "":
		return h.list(x)
	case r.Method == http.MethodGet:
		return h.get(x, key)
	case r.Method == http.MethodPut:
		return kvPut, kvOK, done(x, h.put(x, key))
	case r.Method == http.MethodDelete:
		return kvDelete, kvOK, done(x, h.kv.Delete(x.Context(), h.account, h.namespace, key))
	case r.Method == http.MethodPost && r.URL.Path == "/bulk/get":
		return kvBulkGet, kvOK, h.bulkGet(x)
	}
	return kvGet, kvRefused, &kv.Error{Code: kv.CodeInvalidRequest, Status: http.StatusMethodNotAllowed, Message: "Not an operation of a KV namespace"}
}

// done answers an operation without a result.
func done(x *unixhttp.Exchange, err error) error {
	if err == nil {
		x.Begin(http.StatusOK, "OK")
		x.Send(nil)
	}
	return err
}

// kvKey is the key that the path names, "" for the root.
func kvKey(r *http.Request) (string, error) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !originForm(r) {
		return "", errNotOriginForm
	}
	key, err := url.PathUnescape(path[1:])
	if err != nil {
		return "", &kv.Error{Code: kv.CodeInvalidKey, Status: http.StatusBadRequest, Message: "Could not URL-decode key name"}
	}
	return key, nil
}

func (h *kvHandler) get(x *unixhttp.Exchange, key string) (kvOp, kvOutcome, error) {
	if u := x.Request.URL; strings.Contains(u.RawQuery, "cache_ttl=") {
		if err := kv.CheckCacheTTL(u.Query().Get("cache_ttl")); err != nil {
			return kvGet, kvRefused, err
		}
	}
	e, ok, err := h.kv.Get(x.Context(), h.account, h.namespace, key)
	if err != nil {
		return kvGet, kvOK, err
	}
	if !ok {
		x.Begin(http.StatusNotFound, "Not Found")
		x.Send(nil)
		return kvGet, kvMiss, nil
	}
	x.Begin(http.StatusOK, "OK")
	if e.Metadata != nil {
		x.Field(kvMetadataHeader, string(e.Metadata))
	}
	if e.Expires != 0 {
		x.Field(kvExpirationHeader, strconv.FormatInt(e.Expires, 10))
	}
	if e.File == nil {
		x.Send(e.Value)
		return kvGet, kvOK, nil
	}
	defer hangUp(e.File)
	if err := x.SendFile(e.File, e.Size); err != nil && context.Cause(x.Context()) == nil {
		h.log.WarnContext(x.Context(), "a KV value broke off", "namespace", h.namespace, "error", err)
	}
	return kvGet, kvOK, nil
}

func (h *kvHandler) put(x *unixhttp.Exchange, key string) error {
	r := x.Request
	pair := kv.Pair{Key: key}
	if m := r.Header[kvMetadataHeader]; len(m) > 0 {
		pair.Metadata = []byte(m[0])
	}
	// Before the value, which may be long.
	if err := pair.Check(); err != nil {
		return err
	}
	if strings.Contains(r.URL.RawQuery, "expiration") {
		q := r.URL.Query()
		var err error
		if pair.Expires, err = kv.ParseExpiration(q.Get("expiration"), q.Get("expiration_ttl"), time.Now()); err != nil {
			return err
		}
	}
	var err error
	if pair.Value, err = h.kv.Stage(x.Context(), h.account, h.namespace, r.Body, r.ContentLength); err != nil {
		return err
	}
	return h.kv.Put(x.Context(), h.account, h.namespace, pair)
}

type kvListedKey struct {
	Name       string `json:"name"`
	Expiration int64  `json:"expiration,omitempty"`
	Metadata   string `json:"metadata,omitempty"` // JSON, as the runtime wants it
}

func (h *kvHandler) list(x *unixhttp.Exchange) (kvOp, kvOutcome, error) {
	q := x.Request.URL.Query()
	o := kv.ListOptions{Prefix: q.Get("prefix"), Cursor: q.Get("cursor")}
	if text := q.Get("key_count_limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return kvList, kvRefused, &kv.Error{Code: kv.CodeInvalidRequest, Status: http.StatusBadRequest, Message: "Invalid key_count_limit. Please specify an integer greater than 0."}
		}
		o.Limit = n
	}
	page, err := h.kv.List(x.Context(), h.account, h.namespace, o)
	if err != nil {
		return kvList, kvOK, err
	}
	out := struct {
		Keys         []kvListedKey `json:"keys"`
		ListComplete bool          `json:"list_complete"`
		Cursor       string        `json:"cursor,omitempty"`
	}{make([]kvListedKey, len(page.Keys)), page.Cursor == "", page.Cursor}
	for i, k := range page.Keys {
		out.Keys[i] = kvListedKey{Name: k.Name, Expiration: k.Expires, Metadata: string(k.Metadata)}
	}
	return kvList, kvOK, sendJSON(x, out)
}

func sendJSON(x *unixhttp.Exchange, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	x.Begin(http.StatusOK, "OK")
	x.Field("Content-Type", "application/json")
	x.Send(body)
	return nil
}

// refuse answers with an error, its message in the status line.
func (h *kvHandler) refuse(x *unixhttp.Exchange, op kvOp, err error) kvOutcome {
	var public *kv.Error
	// What the service fails at is a *kv.Error. The rest is a request that could
	// not be read, or a process that has ended.
	status, message := http.StatusBadRequest, "The request broke off"
	switch {
	case errors.Is(err, fsx.ErrNoSpace):
		status, message = http.StatusInsufficientStorage, "No space is left on the platform's disk"
	case errors.Is(err, errNotOriginForm):
		status, message = http.StatusBadRequest, "The request is not one of a KV binding"
	case errors.As(err, &public) && public.Code == kv.CodeNamespaceNotFound:
		// Not 404: that would be an ordinary null to the worker.
		status, message = http.StatusBadRequest, "The KV namespace of this binding was deleted"
	case errors.As(err, &public):
		status, message = public.Status, public.Message
	case errors.Is(err, kv.ErrClosed):
		status, message = http.StatusServiceUnavailable, "The platform is stopping"
	}
	outcome := kvRefused
	if status >= http.StatusInternalServerError {
		outcome = kvFailed
		h.log.ErrorContext(x.Context(), "a KV operation failed", "namespace", h.namespace, "operation", string(op), "error", err)
	}
	// What is left of a value must be read: the runtime reads the answer when it
	// has written its request.
	_, _ = io.CopyN(io.Discard, x.Request.Body, 4*kv.MaxValueSize)
	x.Begin(status, message)
	x.Send(nil)
	return outcome
}

// readEntry reads a whole value of at most limit bytes.
func readEntry(e kv.Entry, limit int64) ([]byte, error) {
	if e.File == nil {
		return e.Value, nil
	}
	defer hangUp(e.File)
	if e.Size > limit {
		return nil, errBulkTooLarge
	}
	body := make([]byte, e.Size)
	_, err := io.ReadFull(e.File, body)
	return body, err
}

var errBulkTooLarge = &kv.Error{Code: kv.CodeTooLarge, Status: http.StatusRequestEntityTooLarge, Message: "Total size of request exceeds the limit of 25MB"}
