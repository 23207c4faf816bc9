package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPapersExample runs an app on drizzle-orm, a client that nobody here wrote, with its
// migrations, and finds the route of it that asks the database in a loop.
func TestPapersExample(t *testing.T) {
	t.Parallel()
	p := start(t)
	source := filepath.Join(repo(t), "examples", "papers")
	if _, err := os.Stat(filepath.Join(source, "node_modules", "drizzle-orm")); err != nil {
		t.Fatalf("%v: run \"make test\", which installs it", err)
	}
	dir := t.TempDir()
	for _, name := range []string{"src", "drizzle", "node_modules", "tsconfig.json"} {
		if err := os.Symlink(filepath.Join(source, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(p.must(t, dir, "d1", "create", "papers"))
	config, err := os.ReadFile(filepath.Join(source, "wrangler.jsonc"))
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, "wrangler.jsonc", strings.Replace(string(config), `"database_name": "papers"`, `"database_name": "papers", "database_id": "`+id+`"`, 1))
	if out := p.must(t, dir, "d1", "migrations", "apply", "papers", "--remote"); !strings.Contains(out, "0002_index_of_authors.sql") {
		t.Errorf("migrations apply:\n%s", out)
	}
	if out := p.must(t, dir, "d1", "migrations", "list", "papers", "--remote"); !strings.Contains(out, "No migrations to apply") {
		t.Errorf("migrations list:\n%s", out)
	}
	p.must(t, dir, "deploy")

	host := p.host("papers")
	joined, loop := p.get(t, host, "/papers"), p.get(t, host, "/papers/one-by-one")
	if joined.Status != 200 || joined.Body != loop.Body || !strings.Contains(joined.Body, `"title":"A log; and what to do with it","year":2011,"authors":["Bo Lindqvist"]`) {
		t.Errorf("papers: %d %s\none by one: %s", joined.Status, joined.Body, loop.Body)
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/papers/2", "", `"authors":[{"position":1,"author":{"name":"Chidi Okafor"}},{"position":2,"author":{"name":"Emre Kaya"}}]`},
		{"GET", "/papers/99", "", "no such paper"},
		{"GET", "/tags", "", `[{"tag":"latency","papers":4}`},
		{"POST", "/papers", `{"title":"New","year":2026,"authors":["Ada Moreau","Fay Ito"],"tags":["new"]}`, `"id":13,"title":"New","year":2026,"reviewed":false,"tags":["new"]`},
		{"GET", "/papers/13", "", `{"position":2,"author":{"name":"Fay Ito"}}`},
		{"PATCH", "/papers/13", "", `"reviewed":true`},
		{"DELETE", "/papers/13", "", `[{"id":13}]`},
		{"GET", "/papers/13", "", "no such paper"},
		{"POST", "/papers", `{"title":""}`, "want title"},
	} {
		if a := do(t, p.request(t, c.method, host, c.path, strings.NewReader(c.body))); !strings.Contains(a.Body, c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.Status, a.Body)
		}
	}
	p.checkInsights(t, dir)
}

// checkInsights asks wrangler and selvage what the statements did.
func (p *platform) checkInsights(t *testing.T, dir string) {
	t.Helper()
	var info struct {
		ReadQueries  int64 `json:"read_queries_24h"`
		WriteQueries int64 `json:"write_queries_24h"`
		RowsRead     int64 `json:"rows_read_24h"`
	}
	if out := p.must(t, dir, "d1", "info", "papers", "--json"); json.Unmarshal([]byte(out), &info) != nil || info.ReadQueries < 14 || info.WriteQueries < 5 || info.RowsRead < 30 {
		t.Errorf("d1 info: %+v\n%s", info, out)
	}
	const inLoop = `where "paper_authors"."paper_id" = ?`
	for _, flags := range [][]string{
		{"--limit", "50"},
		{"--limit", "1", "--sort-by", "count"},
		{"--limit", "50", "--sort-type", "avg", "--sort-by", "reads", "--sort-direction", "ASC", "--time-period", "31d"},
		{"--limit", "50", "--sort-by", "writes", "--time-period", "90m"},
	} {
		out := p.must(t, dir, append([]string{"d1", "insights", "papers", "--json"}, flags...)...)
		var list []struct {
			Query string  `json:"query"`
			Runs  int     `json:"numberOfTimesRun"`
			Reads float64 `json:"totalRowsRead"`
		}
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) == 0 {
			t.Fatalf("d1 insights %v: %v\n%s", flags, err, out)
		}
		found := false
		for _, q := range list {
			found = found || strings.Contains(strings.ToLower(q.Query), inLoop) && q.Runs == 12 && q.Reads > 12
		}
		if !found {
			t.Errorf("d1 insights %v:\n%s", flags, out)
		}
	}
	if out, err := p.wrangler(t, dir, "d1", "insights", "papers", "--limit", "0"); err == nil || !strings.Contains(out, "the limit must be a number from 1 to 10000") {
		t.Errorf("d1 insights --limit 0: %v\n%s", err, out)
	}
	p.checkLoop(t, inLoop)
	p.kill()
	p.up(t)
	if out := p.out(t, "d1", "insights", "papers", "--limit", "50"); !strings.Contains(out, "N+1: up to 12 calls") {
		t.Errorf("after kill -9:\n%s", out)
	}
}

// checkLoop finds the N+1 in selvage's own words.
func (p *platform) checkLoop(t *testing.T, inLoop string) {
	t.Helper()
	out := p.out(t, "d1", "insights", "papers", "--limit", "50")
	loop := regexp.MustCompile(`N\+1: up to 12 calls in one request, in 1 requests of worker papers, the last GET /papers/one-by-one at .* \(ray ([0-9a-f]{16})\)`).FindStringSubmatch(out)
	if loop == nil || !strings.Contains(strings.ToLower(out), inLoop) {
		t.Fatalf("selvage d1 insights:\n%s", out)
	}
	var logged string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !strings.Contains(logged, "N+1 queries"); time.Sleep(50 * time.Millisecond) {
		logged = p.out(t, "logs", loop[1])
	}
	if !strings.Contains(logged, fmt.Sprintf("N+1 queries: this request has run the same D1 statement %d times", 9)) || !strings.Contains(logged, "/papers/one-by-one") {
		t.Errorf("selvage logs %s:\n%s", loop[1], logged)
	}
}

// out runs selvage and returns what it printed.
func (p *platform) out(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := p.cli(t, args...)
	if code != 0 {
		t.Fatalf("selvage %v: %d %s", args, code, errs)
	}
	return out
}
