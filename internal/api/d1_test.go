package api_test

import (
	"encoding/json"
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
