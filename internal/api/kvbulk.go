package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/selvage-dev/selvage/internal/kv"
)

type bulkPairJSON struct {
	Key           string          `json:"key"`
	Value         *string         `json:"value"`
	Base64        bool            `json:"base64"`
	Metadata      json.RawMessage `json:"metadata"`
	Expiration    json.Number     `json:"expiration"`
	ExpirationTTL json.Number     `json:"expiration_ttl"`
}

type bulkResultJSON struct {
	SuccessfulKeyCount int      `json:"successful_key_count"`
	UnsuccessfulKeys   []string `json:"unsuccessful_keys"`
}

// putKVBulk stores all pairs or none. They are read one by one, so that what is
// held of them in memory is their small values.
func putKVBulk(c *call) (any, error) {
	var pairs []kv.Pair
	err := eachElement(c.r.Body, kv.MaxBulkPairs, "pairs", func(d *json.Decoder) error {
		var in bulkPairJSON
		if err := d.Decode(&in); err != nil {
			return err
		}
		pair, err := c.bulkPair(&in)
		if err != nil {
			return err
		}
		pairs = append(pairs, pair)
		return nil
	})
	if err != nil {
		for i := range pairs {
			pairs[i].Value.Discard()
		}
		return nil, err
	}
	if err := c.KV.Put(c.ctx(), c.account(), c.namespace(), pairs...); err != nil {
		return nil, err
	}
	return bulkResultJSON{SuccessfulKeyCount: len(pairs), UnsuccessfulKeys: []string{}}, nil
}

func (c *call) bulkPair(in *bulkPairJSON) (kv.Pair, error) {
	pair := kv.Pair{Key: in.Key, Metadata: in.Metadata}
	if err := pair.Check(); err != nil {
		return pair, named(in.Key, err)
	}
	if in.Value == nil {
		return pair, errf(codeBadRequest, "the pair with the key %.64q has no value", in.Key)
	}
	var err error
	if pair.Expires, err = kv.ParseExpiration(positive(in.Expiration), positive(in.ExpirationTTL), time.Now()); err != nil {
		return pair, named(in.Key, err)
	}
	var value io.Reader = strings.NewReader(*in.Value)
	length := int64(len(*in.Value))
	if in.Base64 {
		value, length = base64.NewDecoder(base64.StdEncoding, value), -1
	}
	pair.Value, err = c.KV.Stage(c.ctx(), c.account(), c.namespace(), value, length)
	var corrupt base64.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return pair, errf(codeBadRequest, "the value of the key %.64q is not base64", in.Key)
	}
	return pair, named(in.Key, err)
}

// positive is the text of a number; 0 stands for one that was left out, as
// clients send it.
func positive(n json.Number) string {
	if n == "0" {
		return ""
	}
	return n.String()
}

// named says in the message which of many keys an error is about.
func named(key string, err error) error {
	var e *kv.Error
	if err == nil || !errors.As(err, &e) || e.Code == kv.CodeNamespaceNotFound {
		return err
	}
	return &kv.Error{Code: e.Code, Status: e.Status, Message: fmt.Sprintf("key %.64q: %s", key, e.Message), Err: err}
}

// deleteKVBulk takes the keys as strings, or as objects with a name.
func deleteKVBulk(c *call) (any, error) {
	var keys []string
	err := eachElement(c.r.Body, kv.MaxBulkPairs, "keys", func(d *json.Decoder) error {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		var key string
		if err := json.Unmarshal(raw, &key); err != nil {
			var object struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(raw, &object); err != nil {
				return err
			}
			key = object.Name
		}
		if err := kv.CheckKey(key); err != nil {
			return named(key, err)
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.KV.Delete(c.ctx(), c.account(), c.namespace(), keys...); err != nil {
		return nil, err
	}
	return bulkResultJSON{SuccessfulKeyCount: len(keys), UnsuccessfulKeys: []string{}}, nil
}

// eachElement has read called for each element of the array that the body is.
func eachElement(body io.Reader, limit int, what string, read func(*json.Decoder) error) error {
	d := json.NewDecoder(body)
	first, err := d.Token()
	if err == nil && first != json.Delim('[') {
		return errf(codeBadRequest, "the body of the request must be a JSON array of %s", what)
	}
	for n := 0; err == nil && d.More(); n++ {
		if n == limit {
			return errf(codeBadRequest, "the request has more than %d %s; send several", limit, what)
		}
		err = read(d)
	}
	if err == nil {
		_, err = d.Token()
	}
	var own *apiError
	var service *kv.Error
	var large *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &own), errors.As(err, &service), errors.As(err, &large):
		return err
	}
	if f := public(err); f.Code != codeInternal {
		return err
	}
	return &apiError{Code: codeBadRequest, Message: "the body of the request is not the JSON that this endpoint takes: " + jsonProblem(err), Err: err}
}

type bulkGetJSON struct {
	Keys         []string `json:"keys"`
	Type         string   `json:"type"`
	WithMetadata bool     `json:"withMetadata"`
}

type bulkValueJSON struct {
	Value      json.RawMessage `json:"value"`
	Metadata   json.RawMessage `json:"metadata"`
	Expiration int64           `json:"expiration,omitempty"`
}

func getKVBulk(c *call) (any, error) {
	var in bulkGetJSON
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case len(in.Keys) == 0 || len(in.Keys) > kv.MaxBulkGetKeys:
		return nil, errf(codeBadRequest, "the request has %d keys; give 1 to %d", len(in.Keys), kv.MaxBulkGetKeys)
	case in.Type != "" && in.Type != "text" && in.Type != "json":
		return nil, errf(codeBadRequest, "the type %.64q is none; give text or json", in.Type)
	}
	values := make(map[string]any, len(in.Keys))
	left := int64(kv.MaxBulkGetBytes)
	for _, key := range in.Keys {
		v, err := c.bulkValue(key, &in, &left)
		if err != nil {
			return nil, err
		}
		values[key] = v
	}
	return map[string]any{"values": values}, nil
}

func (c *call) bulkValue(key string, in *bulkGetJSON, left *int64) (any, error) {
	e, ok, err := c.KV.Get(c.ctx(), c.account(), c.namespace(), key)
	if err != nil || !ok {
		return nil, named(key, err)
	}
	raw := e.Value
	*left -= e.Size
	if e.File != nil {
		defer e.File.Close() //nolint:errcheck // only read
	}
	if *left < 0 {
		return nil, errf(kv.CodeTooLarge, "the values of the keys are larger than %d bytes together; ask for fewer", kv.MaxBulkGetBytes)
	}
	if e.File != nil {
		raw = make([]byte, e.Size)
		if _, err := io.ReadFull(e.File, raw); err != nil {
			return nil, err
		}
	}
	value := json.RawMessage(raw)
	if in.Type != "json" {
		if value, err = json.Marshal(string(raw)); err != nil {
			return nil, err
		}
	} else if !json.Valid(raw) {
		return nil, errf(codeBadRequest, "the value of the key %.64q is not JSON", key)
	}
	if !in.WithMetadata {
		return value, nil
	}
	out := bulkValueJSON{Value: value, Metadata: json.RawMessage("null"), Expiration: e.Expires}
	if e.Metadata != nil {
		out.Metadata = e.Metadata
	}
	return out, nil
}
