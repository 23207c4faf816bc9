package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Codes of KV that callers branch on.
const (
	CodeKVKeyNotFound       = 10009
	CodeKVNamespaceNotFound = 10013
	CodeKVTitleTaken        = 10014
	CodeKVInUse             = 10030 // a deployed worker binds the namespace
)

// KVNamespace is a set of keys.
type KVNamespace struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	CreatedOn time.Time `json:"created_on"`
}

// KVKey is a key as a list shows it.
type KVKey struct {
	Name       string          `json:"name"`
	Expiration int64           `json:"expiration,omitempty"` // unix seconds; 0: never
	Metadata   json.RawMessage `json:"metadata,omitempty"`
}

// KVPutOptions are optional.
type KVPutOptions struct {
	Expiration    int64           // unix seconds
	ExpirationTTL int64           // seconds from now; wins over Expiration
	Metadata      json.RawMessage // JSON
}

// KVPair is one element of [Client.PutKVBulk].
type KVPair struct {
	Key           string          `json:"key"`
	Value         string          `json:"value"`
	Base64        bool            `json:"base64,omitempty"` // Value is base64
	Metadata      json.RawMessage `json:"metadata,omitempty"`
	Expiration    int64           `json:"expiration,omitempty"`
	ExpirationTTL int64           `json:"expiration_ttl,omitempty"`
}

func (c *Client) kvPath(segments ...string) string {
	return c.path(append([]string{"storage", "kv", "namespaces"}, segments...)...)
}

// CreateKVNamespace makes a namespace. It has code 10014 when there is one of
// that title.
func (c *Client) CreateKVNamespace(ctx context.Context, title string) (KVNamespace, error) {
	return result[KVNamespace](ctx, c, http.MethodPost, c.kvPath(), nil, map[string]string{"title": title})
}

// KVNamespaces lists all namespaces by title.
func (c *Client) KVNamespaces(ctx context.Context) ([]KVNamespace, error) {
	const per = 1000
	all := []KVNamespace{}
	for page := 1; ; page++ {
		q := url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(per)}, "order": {"title"}}
		some, err := result[[]KVNamespace](ctx, c, http.MethodGet, c.kvPath(), q, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < per {
			return all, nil
		}
	}
}

// RenameKVNamespace gives a namespace another title.
func (c *Client) RenameKVNamespace(ctx context.Context, id, title string) (KVNamespace, error) {
	return result[KVNamespace](ctx, c, http.MethodPut, c.kvPath(id), nil, map[string]string{"title": title})
}

// DeleteKVNamespace deletes a namespace with all its keys. Without force it has
// code 10030 while deployed workers bind it.
func (c *Client) DeleteKVNamespace(ctx context.Context, id string, force bool) error {
	q := url.Values{"force": {strconv.FormatBool(force)}}
	return c.call(ctx, http.MethodDelete, c.kvPath(id), q, nil, nil)
}

// KVKeys lists up to limit keys with a prefix, in the order of their bytes, and
// returns the cursor of the rest, "" when that was all. The limit is 1 to 1000.
func (c *Client) KVKeys(ctx context.Context, namespace, prefix, cursor string, limit int) (keys []KVKey, next string, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if prefix != "" {
		q.Set("prefix", prefix)
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	r := request{method: http.MethodGet, path: c.kvPath(namespace, "keys"), query: q}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var env struct {
		Result []KVKey `json:"result"`
		Info   struct {
			Cursor string `json:"cursor"`
		} `json:"result_info"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&env); err != nil {
		return nil, "", err
	}
	return env.Result, env.Info.Cursor, nil
}

// KVGet opens the value of a key; the caller closes it. It has code 10009 when
// there is no such key.
func (c *Client) KVGet(ctx context.Context, namespace, key string) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: c.kvPath(namespace, "values", key)}
	resp, err := c.exchange(ctx, &r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// KVPut stores a value of length bytes. The body is opened anew for each attempt.
func (c *Client) KVPut(ctx context.Context, namespace, key string, body func() (io.ReadCloser, error), length int64, o KVPutOptions) error {
	q := url.Values{}
	if o.Expiration != 0 {
		q.Set("expiration", strconv.FormatInt(o.Expiration, 10))
	}
	if o.ExpirationTTL != 0 {
		q.Set("expiration_ttl", strconv.FormatInt(o.ExpirationTTL, 10))
	}
	r := request{
		method: http.MethodPut, path: c.kvPath(namespace, "values", key), query: q,
		body: body, length: length, contentType: TypeData,
	}
	if o.Metadata == nil {
		return c.send(ctx, &r, nil)
	}
	value, err := readBody(body)
	if err != nil {
		return err
	}
	f := &formBody{parts: []formPart{{name: "value", content: value}, {name: "metadata", plain: true, content: o.Metadata}}}
	if err := f.set(&r); err != nil {
		return err
	}
	return c.send(ctx, &r, nil)
}

func readBody(open func() (io.ReadCloser, error)) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	var b bytes.Buffer
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

// KVDelete removes a key. That it is not there is no error.
func (c *Client) KVDelete(ctx context.Context, namespace, key string) error {
	return c.call(ctx, http.MethodDelete, c.kvPath(namespace, "values", key), nil, nil, nil)
}

// PutKVBulk stores up to 10,000 pairs, all or none.
func (c *Client) PutKVBulk(ctx context.Context, namespace string, pairs []KVPair) error {
	return c.call(ctx, http.MethodPut, c.kvPath(namespace, "bulk"), nil, pairs, nil)
}

// DeleteKVBulk removes up to 10,000 keys.
func (c *Client) DeleteKVBulk(ctx context.Context, namespace string, keys []string) error {
	return c.call(ctx, http.MethodDelete, c.kvPath(namespace, "bulk"), nil, keys, nil)
}

// GetKVBulk returns the values of up to 100 keys as text, nil for one that is
// not there.
func (c *Client) GetKVBulk(ctx context.Context, namespace string, keys []string) (map[string]*string, error) {
	type values struct {
		Values map[string]*string `json:"values"`
	}
	r := request{method: http.MethodPost, path: c.kvPath(namespace, "bulk", "get"), repeat: true}
	if err := r.setJSON(map[string]any{"keys": keys}); err != nil {
		return nil, err
	}
	var out values
	err := c.send(ctx, &r, &out)
	return out.Values, err
}
