package workerd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/workers/workerd"
)

const hello = `export default { fetch() { return new Response("hello"); } };`

// BenchmarkStart measures a cold start: from nothing to the first answer, and
// what the idle process then weighs.
func BenchmarkStart(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchStart(b, &workerd.Launcher{Binary: binary(b)}) })
	b.Run("confined", func(b *testing.B) { benchStart(b, &workerd.Launcher{Binary: binary(b), Isolation: confined(b)}) })
}

func benchStart(b *testing.B, l *workerd.Launcher) {
	b.Helper()
	var ready time.Duration
	var rss int64
	for b.Loop() {
		dir, err := os.MkdirTemp("", "sw") //nolint:usetesting // b.TempDir is too long for a socket
		if err != nil {
			b.Fatal(err)
		}
		p, err := l.Start(b.Context(), dir, esm(hello), nil)
		if err != nil {
			b.Fatal(err)
		}
		if status, body := do(b, p, "/"); status != 200 || body != "hello" {
			b.Fatalf("%d %q", status, body)
		}
		b.StopTimer()
		ready += p.StartupTime()
		if rss, _, err = p.Usage(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(privateKiB(b, p.Pid())), "private-KiB")
		if err := p.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(ready.Microseconds())/float64(b.N)/1e3, "ready-ms")
	b.ReportMetric(float64(rss>>10), "rss-KiB")
}

// privateKiB is the memory that would be free without the process.
func privateKiB(b *testing.B, pid int) (n int) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "smaps_rollup"))
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "Private_Dirty:" || f[0] == "Private_Clean:" {
			n += atoi(b, f[1])
		}
	}
	return n
}

// BenchmarkRequest is one request after the other on a warm connection.
func BenchmarkRequest(b *testing.B) {
	dir := shortDir(b)
	p, err := (&workerd.Launcher{Binary: binary(b)}).Start(b.Context(), dir, esm(hello), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Stop(b.Context())
	for b.Loop() {
		if status, _ := do(b, p, "/", "cf-ray: 0123456789abcdef"); status != 200 {
			b.Fatal(status)
		}
	}
}
