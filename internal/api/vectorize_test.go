package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// vectorBench is an API with an index "x" of three dimensions that has a metadata
// index on k.
func vectorBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	for _, c := range []struct{ path, body string }{
		{"/A/vectorize/v2/indexes", `{"name":"x","config":{"dimensions":3,"metric":"cosine"}}`},
		{"/A/vectorize/v2/indexes/x/metadata_index/create", `{"propertyName":"k","indexType":"string"}`},
	} {
		if a := b.do("POST", c.path, c.body); a.Status != 200 {
			t.Fatalf("%s: %d %s", c.path, a.Status, a.Text)
		}
	}
	return b
}

// put sends newline-delimited JSON.
func (b *bench) put(call, body string) *answer {
	return b.do("POST", "/A/vectorize/v2/indexes/x/"+call, body, "Content-Type", "application/x-ndjson")
}

// TestVectorizeBadInput holds the codes and texts of what is refused, and that
// nothing of it is applied.
func TestVectorizeBadInput(t *testing.T) {
	b := vectorBench(t)
	long := strings.Repeat("x", 65)
	lines := func(n, wrong int) string {
		var s strings.Builder
		for i := range n {
			values := "[1,2,3]"
			if i+1 == wrong {
				values = "[1,2]"
			}
			fmt.Fprintf(&s, `{"id":"v%d","values":%s}`+"\n", i+1, values)
		}
		return s.String()
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d"`, i)
	}
	query := func(rest string) string { return `{"vector":[1,2,3],` + rest + `}` }
	for _, c := range []struct {
		name, call, body string
		status, code     int
		text             string
	}{
		{"wrong dimension in one of 5,000 lines", "insert", lines(5000, 4321), 400, 40012, `invalid vector for id="v4321", expected 3 dimensions, and got 2 dimensions (line 4321)`},
		{"5,001 lines", "insert", lines(5001, 0), 400, 40007, "too many vectors in payload; max is 5000"},
		{"NaN", "insert", `{"id":"a","values":[1,NaN,3]}`, 400, 40023, `failed to parse insert vectors request in json format: line 1: "values": value 1 is not a number`},
		{"Inf", "upsert", `{"id":"a","values":[1,Infinity,3]}`, 400, 40023, `failed to parse upsert vectors request in json format: line 1: "values": value 1 is not a number`},
		{"too large for 32 bits", "insert", `{"id":"a","values":[1,1e39,3]}`, 400, 40023, `value 1 is not a number of 32 bits`},
		{"zero vector with cosine", "insert", `{"id":"a","values":[0,0,0]}`, 400, 40012, `invalid vector for id="a", it has length zero, so it has no direction to compare`},
		{"id of 65 bytes", "insert", `{"id":"` + long + `","values":[1,2,3]}`, 400, 40008, "id too long; max is 64 bytes, got 65 bytes"},
		{"no id", "insert", `{"values":[1,2,3]}`, 400, 40023, "a vector has no id"},
		{"namespace of 65 bytes", "insert", `{"id":"a","namespace":"` + long + `","values":[1,2,3]}`, 400, 40009, "namespace too long; max is 64 bytes, got 65 bytes"},
		{"metadata over 10 KiB", "insert", `{"id":"a","values":[1,2,3],"metadata":{"t":"` + strings.Repeat("x", 10<<10) + `"}}`, 400, 40010, `metadata too large for id="a"; max is 10240 bytes, got 10248 bytes`},
		{"a key with a dot", "insert", `{"id":"a","values":[1,2,3],"metadata":{"t":{"a.b":1}}}`, 400, 40018, `invalid metadata key "a.b": it must not contain "." or a double quote`},
		{"half of a surrogate pair", "insert", `{"id":"a","values":[1,2,3],"metadata":{"t":"\ud835"}}`, 400, 40023, "not well-formed Unicode"},
		{"ndjson cut in the middle", "insert", lines(3, 0)[:40], 400, 40023, "failed to parse insert vectors request in json format: line 2: it breaks off"},
		{"ndjson cut within a vector", "insert", lines(3, 0)[:50], 400, 40023, "failed to parse insert vectors request in json format: line 2"},
		{"nothing", "insert", "\n", 400, 40023, "there are no vectors in the request"},
		{"101 topK", "query", query(`"topK":101`), 400, 40025, "max top K is 100, but got 101"},
		{"51 topK with values", "query", query(`"topK":51,"returnValues":true`), 400, 40025, "with returnValues=true or returnMetadata=all, max top K is 50, but got 51; for a top K up to 100, retry with returnValues=false and returnMetadata=indexed"},
		{"0 topK", "query", query(`"topK":0`), 400, 40025, "top K must be at least 1"},
		{"query of another dimension", "query", `{"vector":[1]}`, 400, 40006, "invalid query vector, expected 3 dimensions, and got 1 dimensions"},
		{"query of zeros", "query", `{"vector":[0,0,0]}`, 400, 40006, "invalid query vector, it has length zero"},
		{"query by an id that is not there", "query", `{"vectorId":"nobody"}`, 400, 40011, `vector with id="nobody" is not in the index`},
		{"query without a vector", "query", `{"topK":3}`, 400, 40026, "Failed to parse the request body as JSON: expected either vector or vectorId"},
		{"unknown returnMetadata", "query", query(`"returnMetadata":"some"`), 400, 40026, "Failed to parse the request body as JSON: returnMetadata: expected"},
		{"filter on a field without index", "query", query(`"filter":{"z":1}`), 400, 40016, `there is no metadata index on "z"`},
		{"unknown operator", "query", query(`"filter":{"k":{"$near":1}}`), 400, 40015, `"k" has the unknown operator "$near"`},
		{"$in with 10,000 values", "query", query(`"filter":{"k":{"$in":[` + strings.Join(many, ",") + `]}}`), 400, 40015, "its compact JSON must be less than 2048 bytes"},
		{"$in of objects", "query", query(`"filter":{"k":{"$in":[{}]}}`), 400, 40015, "$in takes strings, numbers, booleans and null"},
		{"empty filter", "query", query(`"filter":{}`), 400, 40015, "it must not be empty"},
		{"operators that do not go together", "query", query(`"filter":{"k":{"$gt":"a","$ne":"b"}}`), 400, 40015, "combines operators"},
		{"21 ids", "get_by_ids", `{"ids":["` + strings.Repeat(`a","`, 20) + `a"]}`, 400, 40007, "too many ids in payload; max id count is 20, got 21"},
		{"101 ids to delete", "delete_by_ids", `{"ids":["` + strings.Repeat(`a","`, 100) + `a"]}`, 400, 40007, "too many ids in payload; max id count is 100, got 101"},
		{"a second metadata index on a property", "metadata_index/create", `{"propertyName":"k","indexType":"number"}`, 400, 40020, "there is a metadata index on"},
		{"a type that is none", "metadata_index/create", `{"propertyName":"q","indexType":"date"}`, 400, 40026, "indexType: expected"},
		{"a metadata index that is not there", "metadata_index/delete", `{"propertyName":"q"}`, 400, 40020, "there is no metadata index"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := b.put(c.call, c.body)
			if a.Status != c.status || a.code() != c.code || !strings.Contains(a.message(), c.text) {
				t.Errorf("%d %s\nwant %d, code %d, %s", a.Status, a.Text, c.status, c.code, c.text)
			}
			if a := b.do("GET", "/A/vectorize/v2/indexes/x/info", ""); !strings.Contains(a.Text, `"vectorCount":0`) {
				t.Errorf("something was applied: %s", a.Text)
			}
		})
	}
}

// TestVectorizeBody holds the ways in which vectors come, and how large.
func TestVectorizeBody(t *testing.T) {
	b := vectorBench(t)
	const form = "--B\r\nContent-Disposition: form-data; name=\"vectors\"; filename=\"a.ndjson\"\r\n\r\n{\"id\":\"f\",\"values\":[1,2,3]}\n\r\n--B--\r\n"
	for _, c := range []struct {
		name, kind, body string
		status, code     int
	}{
		{"ndjson", "application/x-ndjson", `{"id":"a","values":[1,2,3]}`, 200, 0},
		{"JSON", "application/json; charset=utf-8;", `{"vectors":[{"id":"b","values":[1,2,3]}]}`, 200, 0},
		{"a form", "multipart/form-data; boundary=B", form, 200, 0},
		{"a form cut off", "multipart/form-data; boundary=B", form[:len(form)-20], 400, 40023},
		{"a form without vectors", "multipart/form-data; boundary=B", strings.Replace(form, `"vectors"`, `"other"`, 1), 400, 40023},
		{"something else", "text/plain", "x", 400, 40024},
		{"200 MB", "application/x-ndjson", strings.Repeat("\n", 200_000_000), 413, 40013},
	} {
		a := b.do("POST", "/A/vectorize/v2/indexes/x/upsert", c.body, "Content-Type", c.kind)
		if a.Status != c.status || a.code() != c.code {
			t.Errorf("%s: %d %s, want %d and code %d", c.name, a.Status, a.Text, c.status, c.code)
		}
	}
	if a := b.do("GET", "/A/vectorize/v2/indexes/x/info", ""); !strings.Contains(a.Text, `"vectorCount":3`) {
		t.Errorf("info: %s", a.Text)
	}
}

// TestVectorizeIndexes makes, lists and deletes indexes.
func TestVectorizeIndexes(t *testing.T) {
	b := vectorBench(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "", `{"name":"x","config":{"dimensions":3,"metric":"cosine"}}`, 409, `vectorize.index.duplicate_name`},
		{"POST", "", `{"name":"a b","config":{"dimensions":3,"metric":"cosine"}}`, 400, `"code":40026`},
		{"POST", "", `{"name":"y","config":{"dimensions":4097,"metric":"cosine"}}`, 400, `expected a number from 1 to 4096`},
		{"POST", "", `{"name":"y","config":{"dimensions":3,"metric":"hamming"}}`, 400, `config.metric`},
		{"POST", "", `{"name":"y","config":{"preset":"nothing"}}`, 400, `config.preset`},
		{"POST", "", `{"name":"y","config":`, 400, `"code":40026`},
		{"POST", "", `{"name":"y","config":{"preset":"openai/text-embedding-ada-002"}}`, 200, `"dimensions":1536,"metric":"cosine"`},
		{"GET", "", "", 200, `"name":"y"`},
		{"GET", "/nobody", "", 404, `vectorize.index.not_found - Index name \"nobody\"`},
		{"GET", "/x/list?count=0", "", 400, `count`},
		{"GET", "/x/list?cursor=abc", "", 400, `"code":40027`},
		{"DELETE", "/y", "", 200, `"success":true`},
		{"DELETE", "/y", "", 410, `vectorize.index.deleted - Index name \"y\" was deleted`},
		{"POST", "/y/query", `{"vector":[1]}`, 410, `"code":3005`},
		{"POST", "", `{"name":"y","config":{"dimensions":2,"metric":"euclidean"}}`, 200, `"dimensions":2`},
		{"GET", "/y", "", 200, `"metric":"euclidean"`},
		{"GET", "/x/namespaces", "", 200, `"total":0`},
	} {
		a := b.do(c.method, "/A/vectorize/v2/indexes"+c.path, c.body)
		if a.Status != c.status || !strings.Contains(a.Text, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d with %s", c.method, c.path, c.body, a.Status, a.Text, c.status, c.want)
		}
	}
}
