package api_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestD1 goes through the API as wrangler and Terraform do.
func TestD1(t *testing.T) {
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	var created struct {
		Result struct {
			UUID string `json:"uuid"`
		} `json:"result"`
	}
	a := b.do("POST", "/A/d1/database", `{"name":"papers"}`)
	if err := json.Unmarshal([]byte(a.Text), &created); err != nil || a.Status != 200 || created.Result.UUID == "" {
		t.Fatalf("create: %d %s", a.Status, a.Text)
	}
	one := "/A/d1/database/" + created.Result.UUID
	for _, c := range []struct {
		method, path, body string
		status             int
		want               []string
	}{
		{"POST", "/A/d1/database", `{"name":"papers"}`, 409, []string{`"code":7502`}},
		{"POST", "/A/d1/database", `{"name":"a b"}`, 400, []string{`"code":7400`}},
		{"POST", "/A/d1/database", `{"name":"x","durability":"none"}`, 400, []string{`"code":7400`, "full"}},
		{"GET", "/A/d1/database?per_page=10&page=1", "", 200, []string{`"name":"papers"`, `"total_count":1`}},
		{"GET", "/A/d1/database?per_page=10&page=2", "", 200, []string{`"result":[]`}},
		{"GET", "/A/d1/database/papers?fields=uuid,name", "", 200, []string{created.Result.UUID, `"version":"production"`}},
		{"GET", "/A/d1/database/nobody", "", 404, []string{`"code":7404`}},
		{
			"POST", one + "/query", `{"sql":"CREATE TABLE t (n INTEGER, s TEXT); -- a; b\nINSERT INTO t VALUES (1, 'x;y'); SELECT * FROM t;"}`, 200,
			[]string{`"results":[{"n":1,"s":"x;y"}]`, `"rows_written":1`},
		},
		{"POST", one + "/query", `{"sql":"INSERT INTO t VALUES (?, ?)","params":[2,"z"]}`, 200, []string{`"changes":1`}},
		{"POST", one + "/raw", `{"sql":"SELECT n, s FROM t WHERE n = ?","params":[2]}`, 200, []string{`{"columns":["n","s"],"rows":[[2,"z"]]}`}},
		{"POST", one + "/query", `{"batch":[{"sql":"INSERT INTO t VALUES (?, ?)","params":[3,null]},{"sql":"SELECT count(*) c FROM t"}]}`, 200, []string{`{"c":3}`}},
		{"POST", one + "/query", `{"sql":"INSERT INTO t VALUES (4, ''); SELECT * FROM nowhere"}`, 400, []string{`"code":7500`, "no such table: nowhere"}},
		{"POST", one + "/query", `{"sql":"SELECT count(*) c FROM t"}`, 200, []string{`{"c":3}`}},
		{"POST", one + "/query", `{"sql":"SELECT 1; SELECT ?","params":[1]}`, 400, []string{"batch"}},
		{"POST", one + "/query", `{"sql":" -- nothing"}`, 400, []string{"no SQL statement"}},
		{"POST", one + "/query", `{"sql":"ATTACH 'x' AS y"}`, 400, []string{"not authorized: SQLITE_AUTH"}},
		{"GET", one, "", 200, []string{`"num_tables":1`}},
		{"DELETE", one, "", 200, []string{`"success":true`}},
		{"GET", one, "", 404, []string{`"code":7404`}},
	} {
		a := b.do(c.method, c.path, c.body)
		if a.Status != c.status {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, a.Status, a.Text)
		}
		for _, want := range c.want {
			if !strings.Contains(a.Text, want) {
				t.Errorf("%s %s %s lacks %s: %s", c.method, c.path, c.body, want, a.Text)
			}
		}
	}
}

// TestD1Transfer exports a database and imports the file into another, by the calls
// that wrangler makes.
func TestD1Transfer(t *testing.T) {
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	ids := map[string]string{}
	for _, name := range []string{"from", "to"} {
		a := b.do("POST", "/A/d1/database", `{"name":"`+name+`"}`)
		_, rest, _ := strings.Cut(a.Text, `"uuid":"`)
		ids[name], _, _ = strings.Cut(rest, `"`)
	}
	b.do("POST", "/A/d1/database/"+ids["from"]+"/query", `{"sql":"CREATE TABLE t (a); INSERT INTO t VALUES ('x')"}`)
	field := func(text, name string) string {
		_, rest, _ := strings.Cut(text, `"`+name+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		return strings.ReplaceAll(value, `\u0026`, "&")
	}
	a := b.do("POST", "/A/d1/database/"+ids["from"]+"/export", `{"output_format":"polling","dump_options":{}}`)
	dump := b.open("GET", field(a.Text, "signed_url"), "")
	if dump.Status != 200 || !strings.Contains(dump.Text, `INSERT INTO "t" ("a") VALUES('x');`) {
		t.Fatalf("%s\n%d %s", a.Text, dump.Status, dump.Text)
	}
	sum := md5.Sum([]byte(dump.Text))
	digest := hex.EncodeToString(sum[:])
	to := "/A/d1/database/" + ids["to"] + "/import"
	a = b.do("POST", to, `{"action":"init","etag":"`+digest+`"}`)
	upload := field(a.Text, "upload_url")
	if up := b.open("PUT", upload, "damaged"); up.Status != 400 || !strings.Contains(up.Text, digest) {
		t.Errorf("a damaged upload: %d %s", up.Status, up.Text)
	}
	if up := b.open("PUT", strings.Replace(upload, digest, strings.Repeat("0", 32), 1), dump.Text); up.Status != 403 {
		t.Errorf("an upload URL for another file: %d %s", up.Status, up.Text)
	}
	if up := b.open("PUT", strings.Replace(upload, "ticket=", "ticket=x", 1), dump.Text); up.Status != 401 {
		t.Errorf("a forged upload URL: %d %s", up.Status, up.Text)
	}
	if up := b.open("PUT", upload, dump.Text); up.Status != 200 || up.Header.Get("Etag") != `"`+digest+`"` {
		t.Fatalf("upload: %d %s", up.Status, up.Text)
	}
	a = b.do("POST", to, `{"action":"ingest","etag":"`+digest+`"}`)
	if !strings.Contains(a.Text, `"status":"complete"`) || !strings.Contains(a.Text, `"num_queries":3`) {
		t.Errorf("ingest: %s", a.Text)
	}
	if a := b.do("POST", "/A/d1/database/"+ids["to"]+"/query", `{"sql":"SELECT a FROM t"}`); !strings.Contains(a.Text, `{"a":"x"}`) {
		t.Errorf("the copy: %s", a.Text)
	}
	for body, want := range map[string]string{
		`{"action":"ingest","etag":"` + digest + `"}`: "no uploaded file", // it was used up
		`{"action":"init","etag":"../x"}`:             "no MD5 digest",
		`{"action":"jump"}`:                           "init, ingest, poll",
	} {
		if a := b.do("POST", to, body); a.Status != 400 || !strings.Contains(a.Text, want) {
			t.Errorf("%s: %d %s", body, a.Status, a.Text)
		}
	}
}

// open calls a URL as it is, without a token.
func (b *bench) open(method, url, body string) *answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(req)
}
