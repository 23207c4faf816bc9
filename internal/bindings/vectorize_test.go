package bindings_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selvage-dev/selvage/internal/bindings"
	"github.com/selvage-dev/selvage/internal/store"
	"github.com/selvage-dev/selvage/internal/vectorize"
	"github.com/selvage-dev/selvage/internal/workers"
)

// vectorDoor is the socket of a binding to an index "x" of three dimensions, which has
// a metadata index on k.
type vectorDoor struct {
	service *vectorize.Service
	client  *http.Client
}

func newVectorDoor(t *testing.T) *vectorDoor {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := vectorize.New(vectorize.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = s.Close(), st.Close() })
	if _, err := s.Create(t.Context(), "acc", vectorize.CreateOptions{Name: "x", Config: vectorize.Config{Dimensions: 3, Metric: vectorize.Cosine}}); err != nil {
		t.Fatal(err)
	}
	x, err := s.Open(t.Context(), "acc", "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.CreateMetadataIndex(t.Context(), "k", vectorize.IndexString); err != nil {
		t.Fatal(err)
	}
	x.Release()
	server := bindings.New(bindings.Options{Vectorize: s})
	dir := open(t, server, workers.DoorSpec{Account: "acc", Script: "app", Version: "v1", VectorIndexes: []workers.VectorDoor{{Socket: "vectorize-0.sock", Index: "x"}}})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(dir, "vectorize-0.sock"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &vectorDoor{service: s, client: &http.Client{Transport: transport}}
}

// call does what the runtime does and returns the status, the code of an error and
// the text of the answer.
func (d *vectorDoor) call(t *testing.T, operation string, body io.Reader) (status, code int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://vector-search/"+operation, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := d.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var in struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(raw, &in); err == nil && in.Error != "" {
		return res.StatusCode, in.Code, in.Error
	}
	return res.StatusCode, 0, string(raw)
}

// TestVectorizeDoorBadInput holds what a worker is told about what it sends, and that
// nothing of it is applied.
func TestVectorizeDoorBadInput(t *testing.T) {
	d := newVectorDoor(t)
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
		name, operation, body string
		status, code          int
		text                  string
	}{
		{"wrong dimension in one of 1,000 lines", "upsert", lines(1000, 765), 400, 40012, `invalid vector for id="v765", expected 3 dimensions, and got 2 dimensions (line 765)`},
		{"1,001 lines", "insert", lines(1001, 0), 400, 40007, "too many vectors in payload; max is 1000"},
		{"NaN, which JavaScript writes as null", "insert", `{"id":"a","values":[1,null,3]}`, 400, 40023, `failed to parse insert vectors request in json format: line 1: "values": value 1 is not a number`},
		{"Inf", "insert", `{"id":"a","values":[1,Infinity,3]}`, 400, 40023, `"values": value 1 is not a number`},
		{"too large for 32 bits", "insert", `{"id":"a","values":[1,1e39,3]}`, 400, 40023, `value 1 is not a number of 32 bits`},
		{"zero vector with cosine", "upsert", `{"id":"a","values":[0,0,0]}`, 400, 40012, `invalid vector for id="a", it has length zero`},
		{"id of 65 bytes", "upsert", `{"id":"` + long + `","values":[1,2,3]}`, 400, 40008, "id too long; max is 64 bytes, got 65 bytes"},
		{"metadata over 10 KiB", "upsert", `{"id":"a","values":[1,2,3],"metadata":{"t":"` + strings.Repeat("x", 10<<10) + `"}}`, 400, 40010, `metadata too large for id="a"`},
		{"cut in the middle", "upsert", lines(3, 0)[:40], 400, 40023, "line 2: it breaks off"},
		{"101 topK", "query", query(`"topK":101`), 400, 40025, "max top K is 100, but got 101"},
		{"51 topK with metadata", "query", query(`"topK":51,"returnMetadata":"all"`), 400, 40025, "with returnValues=true or returnMetadata=all, max top K is 50, but got 51"},
		{"query of another dimension", "query", `{"vector":[1]}`, 400, 40006, "invalid query vector, expected 3 dimensions, and got 1 dimensions"},
		{"a query's vector with a hole", "query", `{"vector":[1,null,3]}`, 400, 40026, "Failed to parse the request body as JSON: vector: value 1 is not a number"},
		{"query of zeros", "query", `{"vector":[0,0,0]}`, 400, 40006, "invalid query vector, it has length zero"},
		{"filter on a field without index", "query", query(`"filter":{"z":1}`), 400, 40016, `there is no metadata index on "z"`},
		{"unknown operator", "query", query(`"filter":{"k":{"$near":1}}`), 400, 40015, `"k" has the unknown operator "$near"`},
		{"$in with 10,000 values", "query", query(`"filter":{"k":{"$in":[` + strings.Join(many, ",") + `]}}`), 400, 40015, "its compact JSON must be less than 2048 bytes"},
		{"query cut in the middle", "query", `{"vector":[1,2`, 400, 40026, "Failed to parse the request body as JSON: vector: it breaks off"},
		{"101 ids to delete", "deleteByIds", `{"ids":["` + strings.Repeat(`a","`, 100) + `a"]}`, 400, 40007, "too many ids in payload; max id count is 100, got 101"},
		{"21 ids to get", "getByIds", `{"ids":["` + strings.Repeat(`a","`, 20) + `a"]}`, 400, 40007, "too many ids in payload; max id count is 20, got 21"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, code, text := d.call(t, c.operation, strings.NewReader(c.body))
			if status != c.status || code != c.code || !strings.Contains(text, c.text) {
				t.Errorf("%d, code %d: %s\nwant %d, code %d: %s", status, code, text, c.status, c.code, c.text)
			}
			d.holds(t, 0)
		})
	}
	// No more of it is read than a call may have.
	if status, code, text := d.call(t, "upsert", io.LimitReader(endless{}, 200_000_000)); status != 413 || code != 40013 {
		t.Errorf("200 MB: %d, code %d: %s", status, code, text)
	}
	d.holds(t, 0)
	if status, _, text := d.call(t, "upsert", strings.NewReader(lines(1000, 0))); status != 200 {
		t.Errorf("1,000 vectors that are right: %d %s", status, text)
	}
	d.holds(t, 1000)
	if err := d.service.Delete(t.Context(), "acc", "x"); err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"query", "upsert", "insert", "getByIds", "deleteByIds"} {
		if status, code, text := d.call(t, operation, strings.NewReader(query(`"topK":1`))); status != 410 || code != 3005 || text != `vectorize.index.deleted - Index name "x" was deleted` {
			t.Errorf("%s of a deleted index: %d, code %d: %s", operation, status, code, text)
		}
	}
}

// holds checks how many vectors the index has.
func (d *vectorDoor) holds(t *testing.T, n int) {
	t.Helper()
	x, err := d.service.Open(t.Context(), "acc", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Release()
	if got := x.Stats().Count; got != n {
		t.Errorf("the index has %d vectors, want %d", got, n)
	}
}

// endless is a body of empty lines.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '\n'
	}
	return len(b), nil
}
