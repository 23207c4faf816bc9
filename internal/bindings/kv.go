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

func (h *kvHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	op, outcome, err := h.serve(w, r)
	if err != nil {
		outcome = h.refuse(w, r, op, err)
	}
	h.metrics.observe(op, outcome, time.Since(began))
}

// serve answers a request that can be; of one that cannot it returns the error
// and has written nothing.
func (h *kvHandler) serve(w http.ResponseWriter, r *http.Request) (kvOp, kvOutcome, error) {
	// The body of the answer is the value and nothing else; guessing its type
	// costs time and nobody looks at it.
	w.Header()["Content-Type"] = nil
	w.Header()["Date"] = nil
	key, err := kvKey(r)
	switch {
	case err != nil:
		return kvGet, kvRefused, err
	case r.Method == http.MethodGet && key == "":
		return h.list(w, r)
	case r.Method == http.MethodGet:
		return h.get(w, r, key)
	case r.Method == http.MethodPut:
		return kvPut, kvOK, h.put(r, key)
	case r.Method == http.MethodDelete:
		return kvDelete, kvOK, h.kv.Delete(r.Context(), h.account, h.namespace, key)
	case r.Method == http.MethodPost && r.URL.Path == "/bulk/get":
		return kvBulkGet, kvOK, h.bulkGet(w, r) //nolint:contextcheck // a closure over the request's context
	}
	return kvGet, kvRefused, &kv.Error{Code: kv.CodeInvalidRequest, Status: http.StatusMethodNotAllowed, Message: "Not an operation of a KV namespace"}
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

func (h *kvHandler) get(w http.ResponseWriter, r *http.Request, key string) (kvOp, kvOutcome, error) {
	if i := strings.Index(r.URL.RawQuery, "cache_ttl="); i >= 0 {
		if err := kv.CheckCacheTTL(r.URL.Query().Get("cache_ttl")); err != nil {
			return kvGet, kvRefused, err
		}
	}
	e, ok, err := h.kv.Get(r.Context(), h.account, h.namespace, key)
	if err != nil {
		return kvGet, kvOK, err
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return kvGet, kvMiss, nil
	}
	head := w.Header()
	if e.Metadata != nil {
		head[kvMetadataHeader] = []string{string(e.Metadata)}
	}
	if e.Expires != 0 {
		head[kvExpirationHeader] = []string{strconv.FormatInt(e.Expires, 10)}
	}
	head["Content-Length"] = []string{strconv.FormatInt(e.Size, 10)}
	w.WriteHeader(http.StatusOK)
	if err := writeEntry(w, e); err != nil {
		if context.Cause(r.Context()) == nil {
			h.log.WarnContext(r.Context(), "a KV value broke off", "namespace", h.namespace, "error", err)
		}
		panic(http.ErrAbortHandler) // the worker must not take a part for the whole
	}
	return kvGet, kvOK, nil
}

func writeEntry(w io.Writer, e kv.Entry) error {
	if e.File == nil {
		_, err := w.Write(e.Value)
		return err
	}
	defer hangUp(e.File)
	n, err := io.Copy(w, io.LimitReader(e.File, e.Size))
	if err == nil && n != e.Size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (h *kvHandler) put(r *http.Request, key string) error {
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
	if pair.Value, err = h.kv.Stage(r.Context(), h.account, h.namespace, r.Body, r.ContentLength); err != nil {
		return err
	}
	return h.kv.Put(r.Context(), h.account, h.namespace, pair)
}

type kvListedKey struct {
	Name       string `json:"name"`
	Expiration int64  `json:"expiration,omitempty"`
	Metadata   string `json:"metadata,omitempty"` // JSON, as the runtime wants it
}

func (h *kvHandler) list(w http.ResponseWriter, r *http.Request) (kvOp, kvOutcome, error) {
	q := r.URL.Query()
	o := kv.ListOptions{Prefix: q.Get("prefix"), Cursor: q.Get("cursor")}
	if text := q.Get("key_count_limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return kvList, kvRefused, &kv.Error{Code: kv.CodeInvalidRequest, Status: http.StatusBadRequest, Message: "Invalid key_count_limit. Please specify an integer greater than 0."}
		}
		o.Limit = n
	}
	page, err := h.kv.List(r.Context(), h.account, h.namespace, o)
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
	return kvList, kvOK, writeKVJSON(w, out)
}

func writeKVJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err = w.Write(body)
	return err
}

// refuse answers with an error. The server of net/http writes the usual words into the status
// line, so the answer is written by hand, on a connection that then ends.
func (h *kvHandler) refuse(w http.ResponseWriter, r *http.Request, op kvOp, err error) kvOutcome {
	var public *kv.Error
	status, message := http.StatusInternalServerError, "Internal error of the platform; its log has the cause"
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
	}
	if context.Cause(r.Context()) != nil || errors.Is(err, io.ErrUnexpectedEOF) {
		panic(http.ErrAbortHandler) // nobody is there to read it
	}
	if status >= http.StatusInternalServerError {
		h.log.ErrorContext(r.Context(), "a KV operation failed", "namespace", h.namespace, "operation", string(op), "error", err)
	}
	// What is left of a value must be read: the runtime reads the answer when it
	// has written its request.
	_, _ = io.CopyN(io.Discard, r.Body, 4*kv.MaxValueSize)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer hangUp(conn)
	_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "HTTP/1.1 "+strconv.Itoa(status)+" "+message+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
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
