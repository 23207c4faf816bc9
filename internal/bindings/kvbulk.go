package bindings

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/selvage-dev/selvage/internal/bindings/unixhttp"
	"github.com/selvage-dev/selvage/internal/kv"
)

// bulkGet answers get() with several keys.
func (h *kvHandler) bulkGet(x *unixhttp.Exchange) error {
	refuse := func(message string) error {
		return &kv.Error{Code: kv.CodeInvalidRequest, Status: http.StatusBadRequest, Message: message}
	}
	var in struct {
		Keys         []string    `json:"keys"`
		Type         string      `json:"type"`
		WithMetadata bool        `json:"withMetadata"`
		CacheTTL     json.Number `json:"cacheTtl"`
	}
	body, err := io.ReadAll(io.LimitReader(x.Request.Body, maxBulkGetBody+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxBulkGetBody || json.Unmarshal(body, &in) != nil:
		return refuse("The list of keys cannot be read")
	case in.Type != "" && in.Type != "text" && in.Type != "json":
		return refuse(`The type of a bulk get is not valid. Use "json" or "text"`)
	case len(in.Keys) > kv.MaxBulkGetKeys:
		return refuse("You can request a maximum of 100 keys")
	case len(in.Keys) == 0:
		return refuse("You must request a minimum of 1 key")
	}
	if err := kv.CheckCacheTTL(in.CacheTTL.String()); err != nil {
		return err
	}
	out, err := bulkValues(in.Keys, in.Type == "json", in.WithMetadata, func(key string) (kv.Entry, bool, error) {
		return h.kv.Get(x.Context(), h.account, h.namespace, key)
	})
	if err != nil {
		return err
	}
	return sendJSON(x, out)
}

// ordered is a JSON object that keeps the order in which its members were
// added: the worker gets a Map, whose order is that of the keys it asked for.
type ordered struct{ members []member }

type member struct {
	key   string
	value any
}

func (o *ordered) add(key string, value any) { o.members = append(o.members, member{key, value}) }

// MarshalJSON implements json.Marshaler.
func (o *ordered) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		for j, v := range []any{m.key, m.value} {
			if j > 0 {
				b = append(b, ':')
			}
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			b = append(b, raw...)
		}
	}
	return append(b, '}'), nil
}

type bulkEntry struct {
	Value    json.RawMessage `json:"value"`
	Metadata json.RawMessage `json:"metadata"`
}

// bulkValues reads the keys one after the other; one that is missing is null.
func bulkValues(keys []string, asJSON, withMetadata bool, get func(string) (kv.Entry, bool, error)) (*ordered, error) { //nolint:revive // flags of the protocol
	out := new(ordered)
	seen := make(map[string]bool, len(keys))
	left := int64(kv.MaxBulkGetBytes)
	for _, key := range keys {
		if seen[key] {
			continue
		}
		seen[key] = true
		e, ok, err := get(key)
		if err != nil {
			return nil, err
		}
		if !ok {
			out.add(key, nil)
			continue
		}
		if left -= e.Size; left < 0 {
			hangUp(e.File)
			return nil, errBulkTooLarge
		}
		raw, err := readEntry(e, kv.MaxBulkGetBytes)
		if err != nil {
			return nil, err
		}
		value, err := bulkValue(raw, asJSON)
		if err != nil {
			return nil, err
		}
		if !withMetadata {
			out.add(key, value)
			continue
		}
		entry := bulkEntry{Value: value, Metadata: json.RawMessage("null")}
		if e.Metadata != nil {
			entry.Metadata = e.Metadata
		}
		out.add(key, entry)
	}
	return out, nil
}

func bulkValue(raw []byte, asJSON bool) (json.RawMessage, error) { //nolint:revive // a flag of the protocol
	if !asJSON {
		return json.Marshal(string(raw)) // what is no UTF-8 becomes U+FFFD, as in TextDecoder
	}
	if !json.Valid(raw) {
		return nil, &kv.Error{Code: kv.CodeInvalidRequest, Status: http.StatusBadRequest, Message: "At least one of the requested keys corresponds to a non-json value"}
	}
	return raw, nil
}
