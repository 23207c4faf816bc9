package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/client"
)

const cronWorker = `export default {
  async scheduled(controller, env, ctx) {
    console.log("tick", controller.cron, new Date(controller.scheduledTime).toISOString());
    ctx.waitUntil(scheduler.wait(30).then(() => console.log("later")));
    if (controller.cron === "0 0 1 1 *") throw new TypeError("boom");
  },
  fetch() { return new Response("hello") },
}`

func cronProject(t *testing.T, name, crons string) string {
	t.Helper()
	return project(t, map[string]string{
		"wrangler.jsonc": fmt.Sprintf(`{"name": %q, "main": "index.js", "compatibility_date": "2026-09-01"%s}`, name, crons),
		"index.js":       cronWorker,
	})
}

func TestCronTriggersByWrangler(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.client(t)
	want := func(crons ...string) {
		t.Helper()
		got, err := c.Schedules(t.Context(), "job")
		var texts []string
		for _, s := range got {
			texts = append(texts, s.Cron)
		}
		if err != nil || strings.Join(texts, "|") != strings.Join(crons, "|") {
			t.Errorf("schedules %q (%v), want %q", texts, err, crons)
		}
	}
	dir := cronProject(t, "job", `, "triggers": {"crons": ["0 0 1 1 *", "59 23 LW * fri#2"]}`)
	if out := p.must(t, dir, "deploy"); !strings.Contains(out, "schedule: 59 23 LW * fri#2") {
		t.Errorf("wrangler deploy:\n%s", out)
	}
	want("0 0 1 1 *", "59 23 LW * fri#2")

	// Left out of the configuration, they stay; an empty list removes them.
	rewrite(t, dir, "wrangler.jsonc", `{"name": "job", "main": "index.js", "compatibility_date": "2026-09-01"}`)
	p.must(t, dir, "deploy")
	want("0 0 1 1 *", "59 23 LW * fri#2")
	rewrite(t, dir, "wrangler.jsonc", `{"name": "job", "main": "index.js", "compatibility_date": "2026-09-01", "triggers": {"crons": ["99 * *"]}}`)
	if out, err := p.wrangler(t, dir, "deploy"); err == nil || !strings.Contains(out, "it has 3 fields") || !strings.Contains(out, "10100") {
		t.Errorf("a bad expression: %v\n%s", err, out)
	}
	want("0 0 1 1 *", "59 23 LW * fri#2")
	rewrite(t, dir, "wrangler.jsonc", `{"name": "job", "main": "index.js", "compatibility_date": "2026-09-01", "triggers": {"crons": []}}`)
	p.must(t, dir, "triggers", "deploy")
	want()
}

// TestCronInServiceWorkerSyntax deploys a script of the old syntax with a trigger,
// and runs it.
func TestCronInServiceWorkerSyntax(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, project(t, map[string]string{
		"wrangler.jsonc": `{"name": "old", "main": "index.js", "compatibility_date": "2026-09-01", "triggers": {"crons": ["*/5 * * * *"]}, "vars": {"WORD": "hi"}}`,
		"index.js":       `addEventListener("scheduled", (e) => { console.log(WORD, e.cron); e.waitUntil(scheduler.wait(30)); if (e.cron === "0 0 1 1 *") throw new TypeError("boom") })`,
	}), "deploy")
	for cron, want := range map[string]string{"*/5 * * * *": "ok", "0 0 1 1 *": "exception"} {
		out, stderr, _ := p.cli(t, "trigger", "cron", "old", "--cron", cron, "--json")
		var run client.ScheduledRun
		if err := json.Unmarshal([]byte(out), &run); err != nil || run.Outcome != want || want == "ok" && run.WallMS < 30 {
			t.Errorf("trigger %s: %v %q %q", cron, err, out, stderr)
		}
		eventually(t, func() error {
			events, err := p.client(t).Logs(t.Context(), client.LogFilter{Ray: run.Ray, Kind: "console"})
			if err != nil || len(events) != 1 || events[0].Message != "hi "+cron {
				return fmt.Errorf("lines of %s: %+v, %w", run.Ray, events, err)
			}
			return nil
		})
	}
}

func TestTriggerCronByCommand(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.must(t, cronProject(t, "job", ""), "deploy")
	out, stderr, code := p.cli(t, "trigger", "cron", "job", "--cron", "*/5 * * * *", "--at", "2026-12-24T18:00:00Z", "--json")
	var run client.ScheduledRun
	if err := json.Unmarshal([]byte(out), &run); err != nil || code != 0 || run.Outcome != "ok" || run.WallMS < 30 {
		t.Fatalf("trigger: %v %q %q code %d", err, out, stderr, code)
	}
	eventually(t, func() error {
		events, err := p.client(t).Logs(t.Context(), client.LogFilter{Ray: run.Ray})
		var text []string
		for _, e := range events {
			text = append(text, e.Kind+": "+e.Message)
		}
		all := strings.Join(text, "\n")
		for _, want := range []string{"console: tick */5 * * * * 2026-12-24T18:00:00.000Z", "console: later", `scheduled: "*/5 * * * *" of 2026-12-24T18:00:00Z: ok`} {
			if !strings.Contains(all, want) {
				return fmt.Errorf("%q is not in the log of the ray (%w): %s", want, err, all)
			}
		}
		return err
	})
	out, _, code = p.cli(t, "trigger", "cron", "job", "--cron", "0 0 1 1 *")
	if code != 1 || !strings.Contains(out, "exception") || !strings.Contains(out, "TypeError: boom") {
		t.Errorf("a handler that throws: code %d, %q", code, out)
	}
	if _, stderr, code = p.cli(t, "trigger", "cron", "job", "--cron", "99 * *"); code != 1 || !strings.Contains(stderr, "it has 3 fields") {
		t.Errorf("a bad expression: code %d, %q", code, stderr)
	}
	if _, stderr, code = p.cli(t, "trigger", "cron", "nobody"); code != 1 || !strings.Contains(stderr, "nobody") {
		t.Errorf("an unknown worker: code %d, %q", code, stderr)
	}
}

// TestCronFires waits for a real minute, on a platform that is killed meanwhile: the
// minute is run, and run once.
func TestCronFires(t *testing.T) {
	t.Parallel()
	p := start(t)
	c := p.client(t)
	if err := create(t.Context(), c, "job", cronWorker); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetSchedules(t.Context(), "job", []string{"* * * * *"}); err != nil {
		t.Fatal(err)
	}
	scheduled := func() (lines []string) {
		events, err := p.client(t).Logs(t.Context(), client.LogFilter{Script: "job", Kind: "console", Text: "tick"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			lines = append(lines, e.Message)
		}
		return lines
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 500*time.Millisecond)))
	eventually(t, func() error {
		if n := len(scheduled()); n != 1 {
			return fmt.Errorf("%d ticks at the first minute", n)
		}
		return nil
	})
	for range 2 {
		p.kill()
		p.up(t)
	}
	time.Sleep(time.Second)
	if lines := scheduled(); len(lines) != 1 {
		t.Errorf("after kill -9 and a start within the same minute: %q", lines)
	}
}
