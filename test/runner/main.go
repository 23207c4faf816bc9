// Command runner runs the project's tests part by part, counts what ran, and
// fails when a part ran nothing, when a test was skipped that may not be, or
// when anything failed. It is what "make test" and CI call.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// part is one "go test" run. It fails unless at least min tests passed.
type part struct {
	name   string
	min    int
	args   []string
	env    []string
	report string // where to write what the tests logged, if anywhere
}

// allowedSkip returns what the line of a skipped test must contain; ok is false
// for tests that must run everywhere.
func allowedSkip(test string) (reason string, ok bool) {
	switch test {
	case "TestConfigBySchema":
		return "no capnp tool on this machine", true // another reader of the same config runs everywhere
	case "TestShellReadsFile":
		return "no sqlite3 shell on this machine", true // what the file is worth is tested everywhere, by restarts
	case "TestDiesWithThePlatform":
		return "only Linux has a signal for a dead parent", runtime.GOOS != "linux"
	}
	return "needs root: ", os.Geteuid() != 0
}

// counts is what one part, or all of them, did.
type counts struct{ passed, failed, skipped int }

func (c *counts) add(o counts) {
	c.passed += o.passed
	c.failed += o.failed
	c.skipped += o.skipped
}

func main() {
	full := flag.Bool("full", false, "run the long counts in full (make crash)")
	fuzz := flag.Duration("fuzz", 0, "instead of the tests, fuzz every target for this long")
	only := flag.String("part", "", "run only this part")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *fuzz > 0 {
		err = fuzzAll(ctx, *fuzz)
	} else {
		p := parts()
		if *full {
			p = longParts()
		}
		err = testAll(ctx, p, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

// parts is what "make test" and CI run.
func parts() []part {
	return []part{
		{name: "unit, race detector", min: 2200, args: []string{"-race", "-timeout=10m", "./internal/...", "./client/...", "./cmd/...", "./test/runner/..."}},
		// What the race detector, which allocates by itself, cannot hold.
		{name: "unit, allocations", min: 5, args: []string{"-run=Alloc|HotPath", "./internal/edge/", "./internal/upstream/", "./internal/sockio/", "./internal/assets/", "./internal/workers/", "./internal/ann/"}},
		// The race detector takes sockio's ordinary calls: this holds those that are released.
		{name: "unit, raw system calls", min: 320, args: []string{"-timeout=5m", "./internal/sockio/", "./internal/upstream/", "./internal/edge/..."}},
		// More at a time than there are cores: most of them wait, for timers and for one another's processes.
		{name: "end to end", min: 190, args: []string{"-count=1", "-parallel=3", "-timeout=20m", "./test/e2e/..."}},
	}
}

// longParts is what "make crash" runs.
func longParts() []part {
	return []part{{
		name: "databases, in full", min: 2, report: "bench/reports/crash-d1.md", env: []string{"SELVAGE_TEST_FULL=1"},
		args: []string{"-count=1", "-timeout=30m", "-v", "-run", "Killed|PowerLoss", "./internal/d1/"},
	}, {
		name: "vector indexes, in full", min: 3, report: "bench/reports/crash-vectorize.md", env: []string{"SELVAGE_TEST_FULL=1"},
		args: []string{"-count=1", "-timeout=30m", "-v", "-run", "Killed|StoppedAnywhere|EachStepFails", "./internal/vectorize/"},
	}, {
		name: "encoders, in full", min: 1, report: "bench/reports/accuracy-encoders.md", env: []string{"SELVAGE_TEST_FULL=1"},
		args: []string{"-count=1", "-timeout=10m", "-v", "-run", "Accuracy", "./internal/infer/"},
	}, {
		name: "containers, in full", min: 1, report: "bench/reports/crash-containers.md", env: []string{"SELVAGE_TEST_FULL=1"},
		args: []string{"-count=1", "-timeout=30m", "-v", "-run", "Killed", "./internal/instances/..."},
	}, {
		name: "end to end, in full", min: 3, report: "bench/reports/crash.md", env: []string{"SELVAGE_TEST_FULL=1"},
		args: []string{"-count=1", "-timeout=110m", "-v", "-run", "Crash|Hammer|Killed|Soak|TooLarge", "./test/e2e/..."},
	}}
}

func testAll(ctx context.Context, list []part, only string) error {
	var total counts
	var problems []error
	for _, p := range list {
		if only != "" && !strings.Contains(p.name, only) {
			continue
		}
		start := time.Now()
		fmt.Printf("== %s\n", p.name)
		c, err := run(ctx, p)
		total.add(c)
		fmt.Printf("== %s: %d passed, %d failed, %d skipped in %s\n", p.name, c.passed, c.failed, c.skipped, time.Since(start).Round(time.Second))
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", p.name, err))
		case c.passed < p.min:
			problems = append(problems, fmt.Errorf("%s: only %d tests passed, at least %d must: a part did not run", p.name, c.passed, p.min))
		}
	}
	if total.passed == 0 {
		problems = append(problems, errors.New("no test ran"))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	return nil
}

// event is one line of "go test -json" (see "go doc test2json").
type event struct {
	Action  string  `json:"Action"`
	Package string  `json:"Package"`
	Test    string  `json:"Test"`
	Output  string  `json:"Output"`
	Elapsed float64 `json:"Elapsed"` // seconds
}

// run runs one part and prints the output of what failed, and only that.
func run(ctx context.Context, p part) (counts, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, p.args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return counts{}, err
	}
	if err := cmd.Start(); err != nil {
		return counts{}, err
	}
	var log strings.Builder
	var slow packages
	c, perr := tally(out, os.Stdout, &log, &slow)
	slow.print(os.Stdout)
	if err := cmd.Wait(); err != nil {
		return c, errors.Join(fmt.Errorf("go test: %w", err), perr)
	}
	if p.report != "" && perr == nil {
		perr = writeReport(p.report, log.String())
	}
	return c, perr
}

// writeReport keeps what the long tests logged, for the repository.
func writeReport(name, log string) error {
	version, err := exec.Command("bin/selvage", "version").Output()
	if err != nil {
		return fmt.Errorf("selvage version: %w", err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	text := fmt.Sprintf("# Long counts\n\n%s, %s. Every line is a test that passed, with what it logged; `make crash` writes this file.\n\n%s", time.Now().UTC().Format(time.DateOnly), first, log)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

// tally reads the events of one "go test -json", counts the tests (not their
// subtests' parents twice: every named test counts once) and copies the output
// of failed ones to w, whose end is nobody's failure. What passing tests logged
// goes to log, how long each package took to slow.
func tally(r io.Reader, w io.Writer, log *strings.Builder, slow *packages) (counts, error) {
	var c counts
	var problems []error
	held := map[string]*strings.Builder{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			_, _ = fmt.Fprintln(w, lines.Text())
			continue
		}
		slow.note(e)
		key := e.Package + "\x00" + e.Test
		switch e.Action {
		case "output", "build-output":
			b := held[key]
			if b == nil {
				b = &strings.Builder{}
				held[key] = b
			}
			b.WriteString(e.Output)
			if e.Action == "build-output" {
				_, _ = fmt.Fprint(w, e.Output)
			}
		case "pass":
			if e.Test != "" {
				c.passed++
				logged(log, e, held[key])
			}
			delete(held, key)
		case "skip":
			if e.Test != "" {
				c.skipped++
				if err := checkSkip(e, held[key]); err != nil {
					problems = append(problems, err)
				}
			}
			delete(held, key)
		case "fail":
			if e.Test != "" {
				c.failed++
			}
			if b := held[key]; b != nil {
				_, _ = fmt.Fprintf(w, "--- %s %s\n%s", e.Package, e.Test, b)
			}
			problems = append(problems, fmt.Errorf("%s %s failed", e.Package, e.Test))
			delete(held, key)
		}
	}
	return c, errors.Join(append(problems, lines.Err())...)
}

// packages are how long the packages of a part took.
type packages []event

func (p *packages) note(e event) {
	if e.Test == "" && (e.Action == "pass" || e.Action == "fail") {
		*p = append(*p, e)
	}
}

// print shows the slowest, so that a test that got slow is seen when it does.
func (p *packages) print(w io.Writer) {
	const shown, least = 5, 5 // packages, seconds
	slices.SortFunc(*p, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range (*p)[:min(shown, len(*p))] {
		if e.Elapsed >= least {
			_, _ = fmt.Fprintf(w, "%6.1f s  %s\n", e.Elapsed, e.Package)
		}
	}
}

// logged adds a line for a test that logged something.
func logged(log *strings.Builder, e event, output *strings.Builder) {
	if output == nil {
		return
	}
	var said []string
	logLine := regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (.*)$`)
	for _, m := range logLine.FindAllStringSubmatch(output.String(), -1) {
		said = append(said, m[1])
	}
	if len(said) > 0 {
		fmt.Fprintf(log, "- `%s` (%.0f s): %s\n", e.Test, e.Elapsed, strings.Join(said, "; "))
	}
}

func checkSkip(e event, output *strings.Builder) error {
	said := ""
	if output != nil {
		said = output.String()
	}
	fmt.Printf("skipped: %s %s\n", e.Package, e.Test)
	if why, ok := allowedSkip(e.Test); ok && strings.Contains(said, why) {
		return nil
	}
	return fmt.Errorf("%s %s was skipped and is not on the list of skips that are allowed: %s", e.Package, e.Test, said)
}

// fuzzAll runs every fuzz target of the module for d.
func fuzzAll(ctx context.Context, d time.Duration) error {
	files, err := testFiles(".")
	if err != nil {
		return err
	}
	fuzzTarget := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	ran := 0
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range fuzzTarget.FindAllStringSubmatch(string(src), -1) {
			cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+m[1]+"$", "-fuzztime="+d.String(), "./"+filepath.Dir(name))
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
			fmt.Printf("== %s %s\n", filepath.Dir(name), m[1])
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s %s: %w", filepath.Dir(name), m[1], err)
			}
			ran++
		}
	}
	if ran == 0 {
		return errors.New("no fuzz target found")
	}
	return nil
}

// testFiles finds the test files of the module below dir.
func testFiles(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch base := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && name != dir && (base == "node_modules" || base == "testdata" || base == "tools" || base[0] == '.'):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(base, "_test.go"):
			files = append(files, name)
		}
		return nil
	})
	return files, err
}
