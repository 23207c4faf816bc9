package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func newDatabase(t *testing.T, b *bench, name string) string {
	t.Helper()
	var created struct {
		Result struct {
			UUID string `json:"uuid"`
		} `json:"result"`
	}
	a := b.do("POST", "/A/d1/database", fmt.Sprintf(`{"name":%q}`, name))
	if err := json.Unmarshal([]byte(a.Text), &created); err != nil || created.Result.UUID == "" {
		t.Fatalf("create: %d %s", a.Status, a.Text)
	}
	return created.Result.UUID
}

func TestD1Update(t *testing.T) {
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	id := newDatabase(t, b, "papers")
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PATCH", "/A/d1/database/papers", `{"read_replication":{"mode":"auto"}}`, 200, `"read_replication":{"mode":"auto"}`},
		{"GET", "/A/d1/database/" + id, "", 200, `"read_replication":{"mode":"auto"}`},
		{"GET", "/A/d1/database", "", 200, `"read_replication":{"mode":"auto"}`},
		{"PATCH", "/A/d1/database/" + id, `{}`, 200, `"read_replication":{"mode":"auto"}`},
		{"PUT", "/A/d1/database/" + id, `{"read_replication":{"mode":"disabled"}}`, 200, `"read_replication":{"mode":"disabled"}`},
		{"PUT", "/A/d1/database/" + id, `{}`, 400, "read_replication is missing"},
		{"PATCH", "/A/d1/database/" + id, `{"read_replication":{}}`, 400, "read_replication.mode is missing"},
		{"PATCH", "/A/d1/database/" + id, `{"read_replication":{"mode":"always"}}`, 400, `"code":7400`},
		{"PATCH", "/A/d1/database/" + id, `{"name":"other"}`, 400, "cannot be changed"},
		{"PATCH", "/A/d1/database/nobody", `{"read_replication":{"mode":"auto"}}`, 404, `"code":7404`},
	} {
		if a := b.do(c.method, c.path, c.body); a.Status != c.status || !strings.Contains(a.Text, c.want) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, a.Status, a.Text)
		}
	}
}

// graph builds a request as wrangler does.
func graph(operation, arguments, account, database string) string {
	now := time.Now().UTC()
	filter := map[string]any{"AND": []any{map[string]string{
		"datetimeHour_geq": now.Add(-24 * time.Hour).Format(time.RFC3339Nano), "datetimeHour_leq": now.Format(time.RFC3339Nano), "databaseId": database,
	}}}
	body, _ := json.Marshal(map[string]any{ // strings always marshal
		"query": "query " + operation + "($accountTag: string) { viewer { accounts(filter: {accountTag: $accountTag}) { d1QueriesAdaptiveGroups(" + arguments + ") { count } } } }", "operationName": operation,
		"variables": map[string]any{"accountTag": account, "filter": filter},
	})
	return string(body)
}

func TestGraphQL(t *testing.T) {
	b := newBench(t, realWorkers(stillRuntime{}), nil)
	id := newDatabase(t, b, "papers")
	account := b.account
	for i := range 3 {
		if a := b.do("POST", "/A/d1/database/papers/query", fmt.Sprintf(`{"sql":"SELECT %d AS n"}`, i)); a.Status != 200 {
			t.Fatal(a.Text)
		}
	}
	b.do("POST", "/A/d1/database/papers/query", `{"sql":"CREATE TABLE t (a)"}`)
	const statements, metrics = "getD1QueriesOverviewQuery", "getD1MetricsOverviewQuery"
	const byTime = "limit: 5, filter: $filter, orderBy: [sum_queryDurationMs_DESC]"
	for _, c := range []struct{ name, body, want string }{
		{"statements", graph(statements, byTime, account, id), `"count":3,"dimensions":{"query":"SELECT ? AS n","databaseId":"` + id + `"}`},
		{"of all databases", graph(statements, "limit: 1, filter: $filter, orderBy: [count_DESC]", account, ""), `"count":3`},
		{"the other end", graph(statements, "limit: 1, filter: $filter, orderBy: [avg_rowsWritten_DESC]", account, id), `"query":"CREATE TABLE t(a)"`},
		{"metrics", graph(metrics, "", account, id), `"sum":{"readQueries":3,"writeQueries":1,`},
		{"another account", graph(metrics, "", "0123", id), `"message":"not authorized for that account"`},
		{"another operation", graph("getWorkersAnalytics", "", account, id), "is not offered"},
		{"no limit", graph(statements, "orderBy: [count_DESC]", account, id), "needs a limit"},
		{"a limit too high", graph(statements, "limit: 100000, orderBy: [count_DESC]", account, id), "from 1 to 10000"},
		{"an unknown order", graph(statements, "limit: 5, orderBy: [sum_secret_DESC]", account, id), "cannot be ordered"},
		{"no time", `{"operationName":"` + metrics + `","variables":{"accountTag":"` + account + `"}}`, "datetimeHour_geq"},
		{"a year", `{"operationName":"` + metrics + `","variables":{"accountTag":"` + account + `","filter":{"datetimeHour_geq":"2025-01-01T00:00:00Z","datetimeHour_leq":"2026-01-01T00:00:00Z"}}}`, "31 days"},
	} {
		a := b.do("POST", "/graphql", c.body)
		if a.Status != 200 || !strings.Contains(a.Text, c.want) {
			t.Errorf("%s: %d %s", c.name, a.Status, a.Text)
		}
		if failed := strings.Contains(a.Text, `"errors":[`); failed != strings.Contains(a.Text, `"data":null`) {
			t.Errorf("%s: both data and errors: %s", c.name, a.Text)
		}
	}
	if a := b.do("POST", "/graphql", `{"query":"`+strings.Repeat("a", 70<<10)+`"}`); a.Status != 413 {
		t.Errorf("a large query: %d", a.Status)
	}
}
