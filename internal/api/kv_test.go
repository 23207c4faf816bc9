package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"slices"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/accounts"
	"github.com/selvage-dev/selvage/internal/api"
)

// noUsers is a Workers whose deployed versions bind nothing but what users says.
type noUsers struct {
	api.Workers

	users map[string][]string
}

func (n noUsers) LiveBindings(_ context.Context, _, kind, id string) (scripts, sites []string, err error) {
	if kind != "kv_namespace" {
		return nil, nil, nil
	}
	return n.users[id], nil, nil
}

const kvRoot = "/A/storage/kv/namespaces"

// kvBench is an API with the namespace "main".
func kvBench(t *testing.T) (b *bench, root string, users map[string][]string) {
	t.Helper()
	users = map[string][]string{}
	b = newBench(t, func(*bench) api.Workers { return noUsers{users: users} }, nil)
	return b, kvRoot + "/" + b.newNamespace("main"), users
}

func (b *bench) newNamespace(title string) string {
	b.t.Helper()
	var n struct {
		ID string `json:"id"`
	}
	a := b.do("POST", kvRoot, fmt.Sprintf(`{"title": %q}`, title))
	if a.Status != 200 || json.Unmarshal(a.Body.Result, &n) != nil || len(n.ID) != 32 {
		b.t.Fatalf("create %s: %s", title, a.Text)
	}
	return n.ID
}

func (b *bench) want(a *answer, status, code int, text string) {
	b.t.Helper()
	if a.Status != status || a.code() != code || !strings.Contains(a.Text, text) {
		b.t.Errorf("%d, code %d, %.300s; want %d, %d, %q", a.Status, a.code(), a.Text, status, code, text)
	}
}

func TestKVNamespaces(t *testing.T) {
	t.Parallel()
	b, root, users := kvBench(t)
	b.want(b.do("POST", kvRoot, `{"title": "main", "jurisdiction": "eu"}`), 400, 10014, "already exists")
	b.want(b.do("POST", kvRoot, `{}`), 400, 10001, "1 to 512 bytes")
	b.want(b.do("GET", root, ""), 200, 0, `"title":"main","supports_url_encoding":true`)
	b.want(b.do("PUT", root, `{"title": "other"}`), 200, 0, `"title":"other"`)
	b.want(b.do("PUT", root, `{"title": ""}`), 400, 10001, "1 to 512 bytes")
	for i := range 5 {
		b.newNamespace(fmt.Sprint("n", i))
	}
	titles := func(query string) (out []string) {
		var all []struct {
			Title string `json:"title"`
		}
		a := b.do("GET", kvRoot+"?"+query, "")
		if json.Unmarshal(a.Body.Result, &all) != nil {
			t.Fatalf("%s: %s", query, a.Text)
		}
		for _, n := range all {
			out = append(out, n.Title)
		}
		return out
	}
	for query, want := range map[string]string{
		"order=title&direction=asc&per_page=4&page=1": "n0 n1 n2 n3",
		"order=title&direction=asc&per_page=4&page=2": "n4 other",
		"order=title&direction=asc&per_page=3&page=3": "", // both of wrangler's loops end here
		"order=title&direction=desc&per_page=2":       "other n4",
	} {
		if got := strings.Join(titles(query), " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if a := b.do("GET", kvRoot+"?per_page=4&page=2", ""); a.Body.Info["total_count"] != 6.0 || a.Body.Info["total_pages"] != 2.0 || a.Body.Info["count"] != 2.0 {
		t.Errorf("%v", a.Body.Info)
	}
	b.want(b.do("GET", kvRoot+"?order=size", ""), 400, 10001, "order")
	b.want(b.do("GET", kvRoot+"?direction=up", ""), 400, 10001, "direction")

	id := root[strings.LastIndexByte(root, '/')+1:]
	users[id] = []string{"shop", "blog"}
	b.want(b.do("DELETE", root, ""), 409, 10030, "shop, blog")
	b.want(b.do("DELETE", root+"?force=true", ""), 200, 0, "")
	for _, method := range []string{"GET", "DELETE"} {
		b.want(b.do(method, root, ""), 404, 10013, "namespace not found")
	}
	b.want(b.do("GET", root+"/values/k", ""), 404, 10013, "namespace not found")
	b.want(b.do("GET", kvRoot+"/..%2F..%2Fx", ""), 404, 10013, "namespace not found")
}

// form is a multipart form of name and content pairs.
func form(t *testing.T, pairs ...string) (body, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteField(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String(), w.FormDataContentType()
}

func TestKVValues(t *testing.T) {
	t.Parallel()
	b, root, _ := kvBench(t)
	// Raw, whatever the content type says; keys with everything that a path has.
	for key, value := range map[string]string{"a": "one", "a%2Fb": "slash", "%F0%9F%98%80": "smile", "q%3Fx%3D1%23": "query", "%00": "zero", "%252F": "escaped", "big": strings.Repeat("x", 1<<20), "empty": ""} {
		b.want(b.do("PUT", root+"/values/"+key, value, "Content-Type", "text/plain;charset=UTF-8"), 200, 0, "")
		if a := b.do("GET", root+"/values/"+key, ""); a.Status != 200 || a.Text != value || a.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: %d %.50q %v", key, a.Status, a.Text, a.Header)
		}
	}
	b.want(b.do("GET", root+"/values/none", ""), 404, 10009, "key not found")
	b.want(b.do("GET", root+"/metadata/none", ""), 404, 10009, "key not found")
	b.want(b.do("DELETE", root+"/values/a", ""), 200, 0, "")
	b.want(b.do("DELETE", root+"/values/a", ""), 200, 0, "")
	b.want(b.do("GET", root+"/values/a", ""), 404, 10009, "key not found")

	// With metadata, in both orders.
	for _, pairs := range [][]string{{"value", "v1", "metadata", `{"n": 1}`}, {"metadata", `{"n": 1}`, "value", "v1"}} {
		body, contentType := form(t, pairs...)
		b.want(b.do("PUT", root+"/values/m?expiration_ttl=100", body, "Content-Type", contentType), 200, 0, "")
		if a := b.do("GET", root+"/values/m", ""); a.Text != "v1" || a.Header.Get("Expiration") == "" {
			t.Errorf("%v: %q %v", pairs, a.Text, a.Header)
		}
		b.want(b.do("GET", root+"/metadata/m", ""), 200, 0, `"result":{"n":1}`)
		b.want(b.do("DELETE", root+"/values/m", ""), 200, 0, "")
	}
	b.want(b.do("GET", root+"/metadata/big", ""), 200, 0, `"result":null`)

	long := strings.Repeat("k", 513)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		b.want(b.do(method, root+"/values/"+long, ""), 414, 10017, "UTF-8 encoded length of 513 exceeds key length limit of 512.")
	}
	b.want(b.do("GET", root+"/values/%ff", ""), 400, 10017, "URL-decode")
	b.want(b.do("PUT", root+"/values/x?expiration_ttl=59", "v"), 400, 10019, "at least 60")
	b.want(b.do("PUT", root+"/values/x?expiration=1", "v"), 400, 10019, "Invalid expiration of 1.")
	b.want(b.do("PUT", root+"/values/x", strings.Repeat("x", 25<<20+1)), 413, 10020, "Value length of 26214401 exceeds limit of 26214400.")
	for _, c := range []struct {
		pairs []string
		text  string
	}{
		{[]string{"metadata", "{}"}, "no part value"},
		{[]string{"value", "v", "other", "x"}, "other"},
		{[]string{"value", "v", "value", "w"}, "value once"},
		{[]string{"value", "v", "metadata", "{"}, "valid JSON"},
		{[]string{"value", "v", "metadata", `"` + strings.Repeat("m", 1023) + `"`}, "Metadata length of 1025 exceeds limit of 1024."},
	} {
		body, contentType := form(t, c.pairs...)
		if a := b.do("PUT", root+"/values/x", body, "Content-Type", contentType); a.Status/100 != 4 || !strings.Contains(a.Text, c.text) {
			t.Errorf("%v: %d %s", c.pairs, a.Status, a.Text)
		}
	}
	body, contentType := form(t, "value", "v")
	b.want(b.do("PUT", root+"/values/x", body[:len(body)-10], "Content-Type", contentType), 400, 10001, "broke off")
	b.want(b.do("GET", root+"/values/x", ""), 404, 10009, "")
}

func TestKVList(t *testing.T) {
	t.Parallel()
	b, root, _ := kvBench(t)
	var pairs []map[string]any
	for i := range 25 {
		pairs = append(pairs, map[string]any{"key": fmt.Sprintf("k%02d", i), "value": "v", "metadata": map[string]int{"i": i}})
	}
	body, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	b.want(b.do("PUT", root+"/bulk", string(body)), 200, 0, `"successful_key_count":25`)
	var names []string
	cursor := ""
	for range 4 {
		a := b.do("GET", root+"/keys?limit=10&prefix=k&cursor="+cursor, "")
		var keys []struct {
			Name     string         `json:"name"`
			Metadata map[string]int `json:"metadata"`
		}
		if json.Unmarshal(a.Body.Result, &keys) != nil {
			t.Fatal(a.Text)
		}
		for _, k := range keys {
			if k.Metadata["i"] != len(names) {
				t.Errorf("%+v", k)
			}
			names = append(names, k.Name)
		}
		cursor, _ = a.Body.Info["cursor"].(string)
		if cursor == "" {
			break
		}
	}
	if len(names) != 25 || !slices.IsSorted(names) {
		t.Errorf("%q", names)
	}
	a := b.do("GET", root+"/keys?limit=10", "")
	cursor, _ = a.Body.Info["cursor"].(string)
	other := kvRoot + "/" + b.newNamespace("other")
	b.want(b.do("GET", other+"/keys?cursor="+cursor, ""), 400, 10022, "Invalid cursor")
	b.want(b.do("GET", root+"/keys?cursor=AAAA", ""), 400, 10022, "Invalid cursor")
	b.want(b.do("GET", root+"/keys?limit=1001", ""), 400, 10001, "limit")
	b.want(b.do("GET", root+"/keys?limit=0", ""), 400, 10001, "limit")
}

func TestKVBulk(t *testing.T) {
	t.Parallel()
	b, root, _ := kvBench(t)
	raw := base64.StdEncoding.EncodeToString([]byte{0, 1, 255})
	b.want(b.do("PUT", root+"/bulk", `[{"key":"t","value":"text","expiration_ttl":100,"expiration":0},{"key":"b","value":"`+raw+`","base64":true},{"key":"j","value":"{\"a\":1}","metadata":"m"}]`), 200, 0, `"unsuccessful_keys":[]`)
	if a := b.do("GET", root+"/values/b", ""); a.Text != "\x00\x01\xff" {
		t.Errorf("%q", a.Text)
	}
	b.want(b.do("POST", root+"/bulk/get", `{"keys":["t","none","j"]}`), 200, 0, `{"values":{"j":"{\"a\":1}","none":null,"t":"text"}}`)
	b.want(b.do("POST", root+"/bulk/get", `{"keys":["j"],"type":"json","withMetadata":true}`), 200, 0, `{"values":{"j":{"value":{"a":1},"metadata":"m"}}}`)
	for body, want := range map[string]string{
		`{"keys":[]}`:                                       "0 keys",
		`{"keys":["t"],"type":"json"}`:                      "not JSON",
		`{"keys":["t"],"type":"stream"}`:                    "text or json",
		`{"keys":[` + strings.Repeat(`"k",`, 100) + `"k"]}`: "101 keys",
	} {
		b.want(b.do("POST", root+"/bulk/get", body), 400, 10001, want)
	}
	for body, want := range map[string]string{
		`{}`:                      "array of pairs",
		`[{"key":"x"}]`:           "no value",
		`[{"key":"x","value":1}]`: "must not be of type number",
		`[{"key":"x","value":"a`:  "breaks off",
		`[{"key":"x","value":"!","base64":true}]`:                                          "not base64",
		`[{"key":"y","value":"v"},{"key":"","value":"v"}]`:                                 "must not be empty",
		`[{"key":"y","value":"v"},{"key":"x","value":"v","expiration_ttl":5}]`:             "at least 60",
		`[` + strings.Repeat(`{"key":"y","value":""},`, 10000) + `{"key":"y","value":""}]`: "more than 10000",
	} {
		if a := b.do("PUT", root+"/bulk", body); a.Status != 400 || !strings.Contains(a.Text, want) {
			t.Errorf("%.80s: %d %.300s, want %q", body, a.Status, a.Text, want)
		}
	}
	b.want(b.do("GET", root+"/values/y", ""), 404, 10009, "") // nothing of a refused bulk
	b.want(b.do("DELETE", root+"/bulk", `["t","none"]`, "Content-Type", "application/json"), 200, 0, "")
	b.want(b.do("POST", root+"/bulk/delete", `["b",{"name":"j"}]`), 200, 0, "")
	b.want(b.do("GET", root+"/keys", ""), 200, 0, `"result":[]`)
	b.want(b.do("DELETE", root+"/bulk", `["t",""]`), 400, 10017, "must not be empty")
}

// TestKVScopes: who may delete workers sees the list of namespaces, as wrangler
// needs it, and nothing of what is in them.
func TestKVScopes(t *testing.T) {
	t.Parallel()
	b, root, _ := kvBench(t)
	b.do("PUT", root+"/values/k", "secret")
	for scope, want := range map[accounts.Scope][3]int{
		accounts.ScopeWorkersWrite: {200, 403, 403}, accounts.ScopeKVRead: {200, 200, 403}, accounts.ScopeKVWrite: {200, 200, 200}, accounts.ScopeLogsRead: {403, 403, 403},
	} {
		auth := []string{"Authorization", "Bearer " + b.newToken(scope)}
		got := [3]int{
			b.do("GET", kvRoot, "", auth...).Status, b.do("GET", root+"/values/k", "", auth...).Status, b.do("PUT", root+"/values/k", "v", auth...).Status,
		}
		if got != want {
			t.Errorf("%s: list, get, put: %v, want %v", scope, got, want)
		}
	}
}
