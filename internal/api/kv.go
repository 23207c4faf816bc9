package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/kv"
)

// KV is what the door needs of the KV service.
type KV interface {
	Namespaces
	Keys
}

// Namespaces makes, lists and deletes KV namespaces.
type Namespaces interface {
	CreateNamespace(ctx context.Context, account, title string) (kv.Namespace, error)
	RenameNamespace(ctx context.Context, account, id, title string) (kv.Namespace, error)
	Namespace(ctx context.Context, account, id string) (kv.Namespace, error)
	Namespaces(ctx context.Context, account string, by kv.Order, offset, limit int) (all []kv.Namespace, total int, err error)
	DeleteNamespace(ctx context.Context, account, id string) error
}

// Keys reads and changes what is in a KV namespace.
type Keys interface {
	Get(ctx context.Context, account, namespace, key string) (e kv.Entry, ok bool, err error)
	Metadata(ctx context.Context, account, namespace, key string) (metadata []byte, ok bool, err error)
	Stage(ctx context.Context, account, namespace string, r io.Reader, length int64) (*kv.Value, error)
	Put(ctx context.Context, account, namespace string, pairs ...kv.Pair) error
	Delete(ctx context.Context, account, namespace string, keys ...string) error
	List(ctx context.Context, account, namespace string, o kv.ListOptions) (kv.Page, error)
}

const (
	kvPath    = accountPath + "/storage/kv/namespaces"
	kvOnePath = kvPath + "/{namespace}"
	// A value, and in a form its metadata and the form's own lines.
	maxKVBody = kv.MaxValueSize + 1<<20
	// A list of 10,000 keys of 512 bytes, each byte escaped at worst.
	maxKVKeys = 32 << 20
)

func kvRoutes() []route {
	return []route{
		// wrangler reads the list when it deletes a worker.
		{Method: http.MethodGet, Pattern: kvPath, Scope: accounts.ScopeKVRead, Also: accounts.ScopeWorkersRead, Handler: listNamespaces},
		{Method: http.MethodPost, Pattern: kvPath, Scope: accounts.ScopeKVWrite, MaxBody: smallBody, Handler: createNamespace},
		{Method: http.MethodGet, Pattern: kvOnePath, Scope: accounts.ScopeKVRead, Handler: getNamespace},
		{Method: http.MethodPut, Pattern: kvOnePath, Scope: accounts.ScopeKVWrite, MaxBody: smallBody, Handler: renameNamespace},
		{Method: http.MethodDelete, Pattern: kvOnePath, Scope: accounts.ScopeKVWrite, MaxBody: smallBody, Handler: deleteNamespace},
		{Method: http.MethodGet, Pattern: kvOnePath + "/keys", Scope: accounts.ScopeKVRead, Handler: listKVKeys},
		{Method: http.MethodGet, Pattern: kvOnePath + "/values/{key}", Opaque: "key", Scope: accounts.ScopeKVRead, Handler: getKVValue},
		{Method: http.MethodPut, Pattern: kvOnePath + "/values/{key}", Opaque: "key", Scope: accounts.ScopeKVWrite, MaxBody: maxKVBody, TooLarge: kv.CodeTooLarge, Handler: putKVValue},
		{Method: http.MethodDelete, Pattern: kvOnePath + "/values/{key}", Opaque: "key", Scope: accounts.ScopeKVWrite, MaxBody: smallBody, Handler: deleteKVValue},
		{Method: http.MethodGet, Pattern: kvOnePath + "/metadata/{key}", Opaque: "key", Scope: accounts.ScopeKVRead, Handler: getKVMetadata},
		{Method: http.MethodPut, Pattern: kvOnePath + "/bulk", Scope: accounts.ScopeKVWrite, MaxBody: kv.MaxBulkBytes, TooLarge: kv.CodeTooLarge, Handler: putKVBulk},
		{Method: http.MethodDelete, Pattern: kvOnePath + "/bulk", Scope: accounts.ScopeKVWrite, MaxBody: maxKVKeys, Handler: deleteKVBulk},
		{Method: http.MethodPost, Pattern: kvOnePath + "/bulk/delete", Scope: accounts.ScopeKVWrite, MaxBody: maxKVKeys, Handler: deleteKVBulk},
		{Method: http.MethodPost, Pattern: kvOnePath + "/bulk/get", Scope: accounts.ScopeKVRead, MaxBody: jsonBody, Handler: getKVBulk},
	}
}

type namespaceJSON struct {
	ID                  string `json:"id"`
	Title               string `json:"title"`
	SupportsURLEncoding bool   `json:"supports_url_encoding"`
	CreatedOn           stamp  `json:"created_on"`
}

func newNamespaceJSON(n kv.Namespace) namespaceJSON {
	return namespaceJSON{ID: n.ID, Title: n.Title, SupportsURLEncoding: true, CreatedOn: stamp(n.CreatedAt)}
}

func (c *call) namespace() string { return c.params["namespace"] }

func listNamespaces(c *call) (any, error) {
	q := c.query()
	n, per, err := pageParams(q, defaultPerPage)
	if err != nil {
		return nil, err
	}
	by := kv.Order{}
	switch q.Get("order") {
	case "", "id":
	case "title":
		by.ByTitle = true
	default:
		return nil, errf(codeBadRequest, "query parameter order is %q; give id or title", q.Get("order"))
	}
	switch q.Get("direction") {
	case "", "asc":
	case "desc":
		by.Desc = true
	default:
		return nil, errf(codeBadRequest, "query parameter direction is %q; give asc or desc", q.Get("direction"))
	}
	all, total, err := c.KV.Namespaces(c.ctx(), c.account(), by, (n-1)*per, per)
	if err != nil {
		return nil, err
	}
	out := make([]namespaceJSON, len(all))
	for i := range all {
		out[i] = newNamespaceJSON(all[i])
	}
	return paged{Items: out, Info: newResultInfo(n, per, len(out), total)}, nil
}

type titleJSON struct {
	Title string `json:"title"`
}

func createNamespace(c *call) (any, error) {
	var in titleJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	n, err := c.KV.CreateNamespace(c.ctx(), c.account(), in.Title)
	return newNamespaceJSON(n), err
}

func getNamespace(c *call) (any, error) {
	n, err := c.KV.Namespace(c.ctx(), c.account(), c.namespace())
	return newNamespaceJSON(n), err
}

func renameNamespace(c *call) (any, error) {
	var in titleJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	n, err := c.KV.RenameNamespace(c.ctx(), c.account(), c.namespace(), in.Title)
	return newNamespaceJSON(n), err
}

// deleteNamespace refuses while a deployed version binds the namespace: its
// data cannot be brought back, and the worker would break at once. With
// force=true it goes all the same.
func deleteNamespace(c *call) (any, error) {
	if _, err := c.KV.Namespace(c.ctx(), c.account(), c.namespace()); err != nil {
		return nil, err
	}
	if c.query().Get("force") != "true" {
		users, sites, err := c.Workers.LiveBindings(c.ctx(), c.account(), "kv_namespace", c.namespace())
		if err != nil {
			return nil, err
		}
		for _, site := range sites {
			users = append(users, "the Functions of "+site)
		}
		if len(users) > 0 {
			return nil, &kv.Error{
				Code: kv.CodeInUse, Status: http.StatusConflict,
				Message: "the namespace is bound by deployed Workers: " + strings.Join(users, ", ") + ". Deploy them without the binding or delete them first; force=true (selvage kv namespace delete --force) deletes it all the same",
			}
		}
	}
	return struct{}{}, c.KV.DeleteNamespace(c.ctx(), c.account(), c.namespace())
}

type kvKeyJSON struct {
	Name       string          `json:"name"`
	Expiration int64           `json:"expiration,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

func listKVKeys(c *call) (any, error) {
	q := c.query()
	limit, err := intParam(q, "limit", kv.MaxListKeys, 1, kv.MaxListKeys)
	if err != nil {
		return nil, err
	}
	page, err := c.KV.List(c.ctx(), c.account(), c.namespace(), kv.ListOptions{Prefix: q.Get("prefix"), Limit: limit, Cursor: q.Get("cursor")})
	if err != nil {
		return nil, err
	}
	out := make([]kvKeyJSON, len(page.Keys))
	for i, k := range page.Keys {
		out[i] = kvKeyJSON{Name: k.Name, Expiration: k.Expires, Metadata: k.Metadata}
	}
	return cursored{Items: out, Info: cursorInfo{Count: len(out), Cursor: page.Cursor}}, nil
}

// getKVValue answers with the bytes as they are: no envelope.
func getKVValue(c *call) (any, error) {
	e, ok, err := c.KV.Get(c.ctx(), c.account(), c.namespace(), c.params["key"])
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, kv.KeyNotFound()
	}
	return stream(func(w http.ResponseWriter) error {
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Length", strconv.FormatInt(e.Size, 10))
		h.Set("Cache-Control", "no-store")
		if e.Expires != 0 {
			h.Set("Expiration", strconv.FormatInt(e.Expires, 10))
		}
		if e.Metadata != nil {
			h.Set("Cf-Kv-Metadata", string(e.Metadata))
		}
		if e.File == nil {
			_, err := w.Write(e.Value)
			return err
		}
		defer e.File.Close() //nolint:errcheck // only read
		_, err := io.CopyN(w, e.File, e.Size)
		return err
	}), nil
}

func getKVMetadata(c *call) (any, error) {
	metadata, ok, err := c.KV.Metadata(c.ctx(), c.account(), c.namespace(), c.params["key"])
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, kv.KeyNotFound()
	case metadata == nil:
		return nil, nil // the result null
	}
	return json.RawMessage(metadata), nil
}

func putKVValue(c *call) (any, error) {
	q := c.query()
	pair := kv.Pair{Key: c.params["key"]}
	if err := pair.Check(); err != nil {
		return nil, err
	}
	var err error
	if pair.Expires, err = kv.ParseExpiration(q.Get("expiration"), q.Get("expiration_ttl"), time.Now()); err != nil {
		return nil, err
	}
	mediaType, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if mediaType == "multipart/form-data" {
		err = c.readKVForm(&pair)
	} else {
		pair.Value, err = c.KV.Stage(c.ctx(), c.account(), c.namespace(), c.r.Body, c.r.ContentLength)
	}
	if err != nil {
		return nil, kvBodyError(err)
	}
	return struct{}{}, c.KV.Put(c.ctx(), c.account(), c.namespace(), pair)
}

// readKVForm reads the parts value and metadata, in any order.
func (c *call) readKVForm(pair *kv.Pair) (err error) {
	defer func() {
		if err != nil && pair.Value != nil {
			pair.Value.Discard()
		}
	}()
	form, err := c.r.MultipartReader()
	if err != nil {
		return errf(codeBadRequest, "the form cannot be read: %s", err)
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch {
		case part.FormName() == "value" && pair.Value == nil:
			pair.Value, err = c.KV.Stage(c.ctx(), c.account(), c.namespace(), part, -1)
		case part.FormName() == "metadata" && pair.Metadata == nil:
			pair.Metadata, err = io.ReadAll(io.LimitReader(part, kv.MaxMetadataSize+1))
		default:
			return errf(codeBadRequest, "the form has a part %.64q; give value once, and metadata at most once", part.FormName())
		}
		if err != nil {
			return err
		}
	}
	if pair.Value == nil {
		return errf(codeBadRequest, "the form has no part value")
	}
	return pair.Check()
}

// kvBodyError says of a body that could not be read that it could not.
func kvBodyError(err error) error {
	var own *apiError
	var service *kv.Error
	var large *http.MaxBytesError
	if errors.As(err, &own) || errors.As(err, &service) || errors.As(err, &large) || errors.Is(err, context.Canceled) || public(err).Code != codeInternal {
		return err
	}
	return &apiError{Code: codeBadRequest, Message: "the body of the request broke off or cannot be read", Err: err}
}

func deleteKVValue(c *call) (any, error) {
	return struct{}{}, c.KV.Delete(c.ctx(), c.account(), c.namespace(), c.params["key"])
}

// opaque decodes a segment that its handler checks; only an empty one is none.
func opaque(segment string) (string, bool) {
	v, err := url.PathUnescape(segment)
	return v, err == nil && v != ""
}
