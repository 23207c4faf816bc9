package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, o telemetry.LogOptions) *telemetry.Logs {
	t.Helper()
	l, err := telemetry.OpenLogs(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func query(t *testing.T, l *telemetry.Logs, f telemetry.Filter) []string {
	t.Helper()
	messages := []string{}
	err := l.Query(t.Context(), f, func(e telemetry.Event) bool {
		messages = append(messages, e.Message)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

var base = time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)

func TestEventComesBackWhole(t *testing.T) {
	l := open(t, t.TempDir(), telemetry.LogOptions{})
	want := telemetry.Event{
		Time: base, Kind: telemetry.KindAccess, Level: telemetry.LevelInfo, Ray: "0123456789abcdef", Account: "acc", Script: "links",
		Version: "v1", Message: "a \"quoted\" \\ line\nand\tmore \u2028 ü 🙂 \x00\x7f", Stack: "at x", Method: "GET", Host: "h", Path: "/a?b",
		Status: 200, DurationUS: 1234, BytesOut: 1 << 40, ClientIP: "::1", Outcome: telemetry.OutcomeCanceled,
	}
	l.Append(&want)
	var got []telemetry.Event
	if err := l.Query(t.Context(), telemetry.Filter{}, func(e telemetry.Event) bool {
		got = append(got, e)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]telemetry.Event{want}, got); diff != "" {
		t.Error(diff)
	}
}

func TestQueryFilters(t *testing.T) {
	l := open(t, t.TempDir(), telemetry.LogOptions{})
	for i, e := range []telemetry.Event{
		{Kind: "access", Level: "info", Ray: "r1", Script: "a", Version: "1", Path: "/Needle"},
		{Kind: "console", Level: "debug", Ray: "r1", Script: "a", Version: "1"},
		{Kind: "console", Level: "log", Ray: "r2", Script: "b", Version: "2", Stack: "needle"},
		{Kind: "exception", Level: "error", Ray: "r2", Script: "b", Version: "2"},
		{Kind: "platform", Level: "warn", Script: `"ray":"r1"`},
	} {
		e.Time = base.Add(time.Duration(i) * time.Second)
		e.Message = fmt.Sprint(i)
		l.Append(&e)
	}
	for _, c := range []struct {
		name string
		f    telemetry.Filter
		want string
	}{
		{"all", telemetry.Filter{}, "0 1 2 3 4"},
		{"ray", telemetry.Filter{Ray: "r1"}, "0 1"},
		{"script", telemetry.Filter{Script: "b"}, "2 3"},
		{"script that needs escaping", telemetry.Filter{Script: `"ray":"r1"`}, "4"},
		{"version", telemetry.Filter{Version: "2"}, "2 3"},
		{"kind", telemetry.Filter{Kind: "console"}, "1 2"},
		{"warn and above", telemetry.Filter{Level: "warn"}, "3 4"},
		{"info and above", telemetry.Filter{Level: "info"}, "0 2 3 4"},
		{"since is included", telemetry.Filter{Since: base.Add(3 * time.Second)}, "3 4"},
		{"until is not", telemetry.Filter{Until: base.Add(3 * time.Second)}, "0 1 2"},
		{"text in any case", telemetry.Filter{Text: "NEEDLE"}, "0 2"},
		{"the newest", telemetry.Filter{Limit: 2}, "3 4"},
		{"the newest of some", telemetry.Filter{Kind: "console", Limit: 1}, "2"},
		{"more than there are", telemetry.Filter{Limit: 10}, "0 1 2 3 4"},
		{"none", telemetry.Filter{Ray: "r"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, strings.Join(query(t, l, c.f), " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// fill writes count events of about 1 KiB.
func fill(t *testing.T, l *telemetry.Logs, from, count int) {
	t.Helper()
	pad := strings.Repeat("x", 1000)
	for i := range count {
		l.Append(&telemetry.Event{Time: base, Kind: "console", Message: fmt.Sprint(from + i), Stack: pad})
		if i%50 == 49 {
			if err := l.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestSizeIsBounded(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, telemetry.LogOptions{MaxBytes: 512 << 10, SegmentBytes: 64 << 10})
	fill(t, l, 0, 2000)
	var total int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 512<<10 || total < 300<<10 {
		t.Errorf("log takes %d bytes in %d segments, want nearly 512 KiB", total, len(entries))
	}
	got := query(t, l, telemetry.Filter{})
	for i, message := range got {
		if want := fmt.Sprint(2000 - len(got) + i); message != want {
			t.Fatalf("event %d is %s, want %s", i, message, want)
		}
	}
	if got := query(t, l, telemetry.Filter{Limit: 200}); len(got) != 200 || got[0] != "1800" || got[199] != "1999" {
		t.Errorf("the newest 200 across segments are %d, from %s to %s", len(got), got[0], got[len(got)-1])
	}
}

func TestOldSegmentsGo(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, telemetry.LogOptions{MaxBytes: 1 << 20, SegmentBytes: 64 << 10})
	fill(t, l, 0, 150)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "events-*.jsonl"))
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(names[0], old, old); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, telemetry.LogOptions{MaxAge: 24 * time.Hour})
	if _, err := os.Stat(names[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old segment is still there: %v", err)
	}
	if got := query(t, l, telemetry.Filter{Limit: 1}); len(got) != 1 || got[0] != "149" {
		t.Errorf("newest event is %v", got)
	}
}

func TestTornLineIsSkipped(t *testing.T) {
	for name, tail := range map[string]string{
		"cut":     `{"time":"2026-03-04T05:06:07.890123Z","kind":"console","mess`,
		"zeroes":  strings.Repeat("\x00", 300),
		"garbage": "{}\n[]\nnull\n{\"time\":\"x\"}\n}",
		"endless": strings.Repeat("y", 2<<20),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, telemetry.LogOptions{})
			l.Append(&telemetry.Event{Time: base, Kind: "console", Message: "before"})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(dir, "events-000000000001.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteString(tail)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			l = open(t, dir, telemetry.LogOptions{})
			l.Append(&telemetry.Event{Time: base, Kind: "console", Message: "after"})
			if diff := cmp.Diff([]string{"before", "after"}, query(t, l, telemetry.Filter{})); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"after"}, query(t, l, telemetry.Filter{Limit: 1})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFullBufferDropsAndTells(t *testing.T) {
	reg := prometheus.NewRegistry()
	var complaints bytes.Buffer
	l := open(t, t.TempDir(), telemetry.LogOptions{Registerer: reg, Log: slog.New(slog.NewTextHandler(&complaints, nil))})
	big := strings.Repeat("x", 30<<10)
	const count = 4000 // 120 MB at once
	for range count {
		l.Append(&telemetry.Event{Time: base, Kind: "console", Message: big})
	}
	stored := len(query(t, l, telemetry.Filter{Kind: "console"}))
	told := query(t, l, telemetry.Filter{Kind: "platform"})
	dropped := metric(t, reg, "selvage_log_events_dropped_total")
	if stored+int(dropped) != count || dropped == 0 {
		t.Errorf("%d stored and %v dropped of %d", stored, dropped, count)
	}
	if len(told) == 0 || !strings.Contains(told[0], "dropped") {
		t.Errorf("the log tells %q", told)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(complaints.String(), "drops events") {
		t.Errorf("complaints: %s", complaints.String())
	}
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestFollow(t *testing.T) {
	for _, c := range []struct {
		name string
		f    telemetry.Filter
		want string
	}{
		{"from now", telemetry.Filter{}, "new0 new1"},
		{"with the newest", telemetry.Filter{Limit: 1}, "old1 new0 new1"},
		{"from a time", telemetry.Filter{Since: base.Add(time.Second)}, "old1 new0 new1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := open(t, t.TempDir(), telemetry.LogOptions{})
			for i := range 2 {
				l.Append(&telemetry.Event{Time: base.Add(time.Duration(i) * time.Second), Kind: "console", Message: fmt.Sprint("old", i)})
			}
			got := make(chan string)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- l.Follow(ctx, c.f, func(e telemetry.Event) bool {
					if e.Message != "tick" {
						got <- e.Message
					}
					return true
				})
			}()
			// "from now" begins when Follow has begun, which is seen by the
			// first event that comes through.
			want := strings.Fields(c.want)
			for i := 0; len(want) > 0; {
				if strings.HasPrefix(want[0], "new") {
					if i == 0 {
						time.Sleep(20 * time.Millisecond)
					}
					l.Append(&telemetry.Event{Time: base.Add(time.Minute), Kind: "console", Message: fmt.Sprint("new", i)})
					i++
				}
				if message := <-got; message != want[0] {
					t.Fatalf("got %s, want %s", message, want[0])
				}
				want = want[1:]
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("end of follow: %v", err)
			}
		})
	}
}

func TestFollowEndsWithTheLog(t *testing.T) {
	l := open(t, t.TempDir(), telemetry.LogOptions{})
	ended := make(chan error, 1)
	var got []string
	started := make(chan struct{})
	l.Append(&telemetry.Event{Time: base, Kind: "console", Message: "first"})
	go func() {
		ended <- l.Follow(t.Context(), telemetry.Filter{Limit: 1}, func(e telemetry.Event) bool {
			if len(got) == 0 {
				close(started)
			}
			got = append(got, e.Message)
			return true
		})
	}()
	<-started
	l.Append(&telemetry.Event{Time: base, Kind: "console", Message: "last"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, telemetry.ErrLogsClosed) {
		t.Errorf("end of follow: %v", err)
	}
	if diff := cmp.Diff([]string{"first", "last"}, got); diff != "" {
		t.Error(diff)
	}
	l.Append(&telemetry.Event{}) // after the end: dropped, not a panic
}

func TestSlowFollowerIsTold(t *testing.T) {
	l := open(t, t.TempDir(), telemetry.LogOptions{MaxBytes: 256 << 10, SegmentBytes: 64 << 10})
	l.Append(&telemetry.Event{Time: base, Kind: "console", Message: "first"})
	block, entered := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	var lost, after bool
	go func() {
		ended <- l.Follow(t.Context(), telemetry.Filter{Limit: 1}, func(e telemetry.Event) bool {
			switch {
			case e.Message == "first":
				close(entered)
				<-block
			case strings.Contains(e.Message, "removed before"):
				lost = true
			case lost:
				after = true
			}
			return !after
		})
	}()
	<-entered
	fill(t, l, 0, 1000) // neither waits for the follower nor keeps anything for it
	close(block)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !lost || !after {
		t.Errorf("told of the loss: %v, went on after it: %v", lost, after)
	}
}

func TestReadersAndWritersTogether(t *testing.T) {
	l := open(t, t.TempDir(), telemetry.LogOptions{MaxBytes: 1 << 20, SegmentBytes: 64 << 10})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() { fill(t, l, w*1000, 300) })
	}
	for range 2 {
		wg.Go(func() {
			for range 10 {
				query(t, l, telemetry.Filter{Limit: 100})
				query(t, l, telemetry.Filter{Text: "99"})
			}
		})
	}
	wg.Wait()
}

func TestHandlerKeepsRecords(t *testing.T) {
	l := open(t, t.TempDir(), telemetry.LogOptions{})
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := slog.New(l.Handler(telemetry.NewLogger(&out, telemetry.LoggerOptions{Level: level}).Handler()))
	log.Debug("unseen")
	log.With("script", "links", "n", 1).WithGroup("g").Warn("stopped", "ray", "kept in its group", slog.Group("h", "x", true))
	level.Set(slog.LevelDebug)
	log.Debug("seen", "ray", "abc")
	var got []telemetry.Event
	if err := l.Query(t.Context(), telemetry.Filter{}, func(e telemetry.Event) bool {
		e.Time = time.Time{}
		got = append(got, e)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []telemetry.Event{
		{Kind: "platform", Level: "warn", Script: "links", Message: "stopped n=1 g.ray=kept in its group g.h.x=true"},
		{Kind: "platform", Level: "debug", Ray: "abc", Message: "seen"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(strings.SplitN(out.String(), "\n", 2)[0]), &first); err != nil || first["msg"] != "stopped" {
		t.Errorf("first line of the logger %v, %v", first, err)
	}
}

func TestRaysAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for range 100_000 {
		ray := telemetry.NewRay()
		if len(ray) != 16 || strings.Trim(ray, "0123456789abcdef") != "" || seen[ray] {
			t.Fatalf("ray %q, seen before: %v", ray, seen[ray])
		}
		seen[ray] = true
	}
}

// kept is the slow, obvious model of what survives of a string: at most limit
// bytes, not ending inside a rune, each invalid byte replaced.
func kept(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	return string([]rune(s))
}

func FuzzEventRoundTrip(f *testing.F) {
	f.Add("plain", "/path", "ray", int64(0), 200)
	f.Add("\"\\\n\r\t\x00\x1f\x7f\u2028\u2029", "ü🙂\xff\xc3", `","ray":"x`, int64(1<<40), -1)
	f.Add(strings.Repeat("\x00", 40<<10), strings.Repeat("é", 4<<10), "", int64(-1), 0)
	dir := f.TempDir()
	l, err := telemetry.OpenLogs(dir, telemetry.LogOptions{MaxBytes: 4 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, message, path, ray string, seconds int64, status int) {
		in := telemetry.Event{Time: time.Unix(seconds, 0), Kind: "console", Message: message, Path: path, Ray: ray, Status: status}
		l.Append(&in)
		var got telemetry.Event
		if err := l.Query(t.Context(), telemetry.Filter{Limit: 1}, func(e telemetry.Event) bool {
			got = e
			return true
		}); err != nil {
			t.Fatal(err)
		}
		for _, field := range []struct {
			name, in, out string
			limit         int
		}{{"message", message, got.Message, 32 << 10}, {"path", path, got.Path, 4 << 10}, {"ray", ray, got.Ray, 4 << 10}} {
			want := kept(field.in, field.limit)
			if field.out != want {
				t.Errorf("%s: %q became %q", field.name, want, field.out)
			}
		}
		if got.Status != status {
			t.Errorf("status %d became %d", status, got.Status)
		}
		// A filter finds what was written, whatever it holds.
		if ray != "" && len(ray) < 4<<10 {
			found := false
			if err := l.Query(t.Context(), telemetry.Filter{Ray: ray, Limit: 1}, func(telemetry.Event) bool {
				found = true
				return true
			}); err != nil || !found {
				t.Errorf("ray %q is not found: %v", ray, err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := telemetry.OpenLogs(b.TempDir(), telemetry.LogOptions{MaxBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := telemetry.Event{
		Kind: telemetry.KindAccess, Level: telemetry.LevelInfo, Ray: telemetry.NewRay(), Account: "0123456789abcdef0123456789abcdef",
		Script: "links", Version: "d5b5c1f0-7a43-4a3c-9d0f-2d1a3c9a7c11", Method: "GET", Host: "links.me.workers.selvage.localhost",
		Path: "/api/links/17?page=2", Status: 200, DurationUS: 1834, BytesOut: 5120, ClientIP: "192.0.2.17",
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%2000 == 0 { // drops would be cheaper
			b.StopTimer()
			if err := l.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		e.Time = time.Now()
		l.Append(&e)
	}
}

func BenchmarkNewRay(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		telemetry.NewRay()
	}
}
