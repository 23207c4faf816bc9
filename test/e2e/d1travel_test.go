package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestD1TimeTravel goes back in time with wrangler as it is, and forward again, over a
// kill of the platform.
func TestD1TimeTravel(t *testing.T) {
	t.Parallel()
	p := start(t)
	home := t.TempDir()
	out := p.must(t, home, "d1", "create", "papers")
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(out)
	dir := project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": "tt", "main": "index.js", "compatibility_date": "2026-09-01",
			"d1_databases": [{"binding": "DB", "database_name": "papers", "database_id": %q}]}`, id),
		"index.js": `export default { async fetch(r, env) { return Response.json((await env.DB.prepare("SELECT group_concat(v) AS all_of FROM t").first("all_of"))) } }`,
	})
	p.must(t, dir, "deploy")
	run := func(sql string) { t.Helper(); p.must(t, dir, "d1", "execute", "papers", "--remote", "--command", sql) }
	info := func(args ...string) string {
		t.Helper()
		var got struct {
			Bookmark string `json:"bookmark"`
		}
		text := p.must(t, dir, append([]string{"d1", "time-travel", "info", "papers", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Bookmark == "" {
			t.Fatalf("info: %v\n%s", err, text)
		}
		return got.Bookmark
	}
	want := func(what, body string) {
		t.Helper()
		if a := p.get(t, p.host("tt"), "/"); a.Body != body {
			t.Errorf("%s: %s, want %s", what, a.Body, body)
		}
	}

	run("CREATE TABLE t (v); INSERT INTO t VALUES (1)")
	first := info()
	time.Sleep(1100 * time.Millisecond) // so that a second lies between the two
	between := time.Now().UTC()
	time.Sleep(1100 * time.Millisecond)
	run("INSERT INTO t VALUES (2)")
	second := info()
	if first >= second {
		t.Errorf("the bookmarks do not grow: %s, then %s", first, second)
	}
	if at := info("--timestamp", between.Format("2006-01-02T15:04:05Z")); at != first {
		t.Errorf("the state at %s is %s, want %s", between, at, first)
	}
	want("before", `"1,2"`)
	restored := p.must(t, dir, "d1", "time-travel", "restore", "papers", "--bookmark", first, "--json")
	var r struct {
		Bookmark string `json:"bookmark"`
		Previous string `json:"previous_bookmark"`
	}
	if err := json.Unmarshal([]byte(restored), &r); err != nil || r.Bookmark != first || r.Previous != second {
		t.Errorf("restore: %v\n%s", err, restored)
	}
	want("restored", `"1"`)
	p.kill()
	p.up(t)
	want("restored, after kill -9", `"1"`)
	p.must(t, dir, "d1", "time-travel", "restore", "papers", "--bookmark", r.Previous, "--json")
	want("undone", `"1,2"`)
	p.must(t, dir, "d1", "time-travel", "restore", "papers", "--timestamp", between.Format(time.RFC3339), "--json")
	want("restored by its time", `"1"`)

	now := info()
	for _, c := range []struct{ bookmark, says string }{
		{"00000001-00000001-00000002-00000000000000000000000000000000", "is of another database"},
		{"00000000-00000001" + now[17:], "is not in the history"},
		{"ffffffff-00000001" + now[17:], "has not had"},
		{"nonsense", "is no bookmark"},
	} {
		out, err := p.wrangler(t, dir, "d1", "time-travel", "restore", "papers", "--bookmark", c.bookmark, "--json")
		if err == nil || !strings.Contains(out, c.says) || !strings.Contains(out, "7400") {
			t.Errorf("restore to %s: %v\n%s", c.bookmark, err, out)
		}
	}
	if out, err := p.wrangler(t, dir, "d1", "time-travel", "restore", "papers", "--timestamp", between.Add(-time.Hour).Format(time.RFC3339), "--json"); err == nil || !strings.Contains(out, "is not in the history") {
		t.Errorf("restore to before the creation: %v\n%s", err, out)
	}
	if again := info(); again != now {
		t.Errorf("refused restores changed the database: %s, then %s", now, again)
	}
	want("after refused restores", `"1"`)
}
