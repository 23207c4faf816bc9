package drivertest

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
)

func isStartError(err error) bool {
	_, ok := errors.AsType[*driver.StartError](err)
	return ok
}

// testCannotStart holds that what the user got wrong is said as such, and that
// nothing is left of it.
func testCannotStart(t *testing.T, s *suite) {
	t.Helper()
	for name, change := range map[string]func(*driver.Spec){
		"no program":         func(p *driver.Spec) { p.Args = nil },
		"missing program":    func(p *driver.Spec) { p.Args = []string{"/nowhere"} },
		"missing in PATH":    func(p *driver.Spec) { p.Args = []string{"nowhere"} },
		"folder as program":  func(p *driver.Spec) { p.Args = []string{"/etc"} },
		"no executable":      func(p *driver.Spec) { p.Args = []string{"/etc/passwd"} },
		"unknown user":       func(p *driver.Spec) { p.User = "nobody-here" },
		"user beyond range":  func(p *driver.Spec) { p.User = "70000" },
		"unknown group":      func(p *driver.Spec) { p.User = "0:nobody-here" },
		"large environment":  func(p *driver.Spec) { p.Env = []string{"X=" + strings.Repeat("x", 1<<20)} },
		"far too many layer": func(p *driver.Spec) { p.Layers = slices.Repeat(p.Layers, 300) },
	} {
		spec := s.spec()
		change(&spec)
		if _, err := s.create(t, spec); !isStartError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testIsolated(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("escape"))
	c.ends(t)
	if !strings.Contains(c.text(), "tried all") || strings.Contains(c.text(), "ESCAPED") {
		t.Error(c.text())
	}
}

func testOutOfMemory(t *testing.T, s *suite) {
	t.Helper()
	spec := s.spec("memory")
	spec.Resources.Memory = 32 << 20
	c := s.start(t, spec)
	if e := c.ends(t); e.Code != 137 || !e.OutOfMemory {
		t.Errorf("%+v; it printed %q", e, c.text())
	}
}

func testForkBomb(t *testing.T, s *suite) {
	t.Helper()
	spec := s.spec("fork")
	spec.Resources.PIDs = 40
	c := s.start(t, spec)
	c.prints(t, "forked")
	stats, err := c.Stats()
	if err != nil || stats.PIDs > 40 || stats.PIDs < 5 {
		t.Errorf("%+v, %v; it printed %q", stats, err, c.text())
	}
	if err := c.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if e := c.ends(t); e.Code != 137 {
		t.Errorf("%+v", e)
	}
}

// testProcessor holds that a tenth of a processor is not more, whatever else the
// machine does.
func testProcessor(t *testing.T, s *suite) {
	t.Helper()
	spec := s.spec("burn")
	spec.Resources.MilliCPU = 100
	c := s.start(t, spec)
	c.prints(t, "up")
	// In the beginning it may have more.
	time.Sleep(700 * time.Millisecond)
	begin := time.Now()
	before, err := c.Stats()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(800 * time.Millisecond)
	after, err := c.Stats()
	passed, used := time.Since(begin), after.CPU-before.CPU
	if err != nil || used > passed/5+100*time.Millisecond {
		t.Errorf("%s of %s, %v", used, passed, err)
	}
}

func testExec(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("serve"))
	c.prints(t, "listening")
	run := func(e driver.ExecSpec, in string) (string, int) {
		t.Helper()
		inR, inW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		outR, outW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		e.Stdin, e.Stdout, e.Stderr = inR, outW, outW
		p, err := c.Exec(t.Context(), e)
		_, _ = inR.Close(), outW.Close()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(inW, in)
		_ = inW.Close()
		b, err := io.ReadAll(outR)
		if err != nil {
			t.Fatal(err)
		}
		_ = outR.Close()
		code, err := p.Wait(t.Context())
		if err != nil || p.Pid() == 0 {
			t.Fatal(err)
		}
		return string(b), code
	}
	if out, code := run(driver.ExecSpec{Args: []string{"/guest", "cat"}}, "through"); out != "through" || code != 0 {
		t.Errorf("%q, %d", out, code)
	}
	if _, code := run(driver.ExecSpec{Args: []string{"/guest", "exit", "5"}}, ""); code != 5 {
		t.Errorf("exit code %d", code)
	}
	out, code := run(driver.ExecSpec{Args: []string{"/guest", "show"}, Env: []string{"E=1"}, Dir: "/etc", User: "web"}, "")
	if code != 0 || !strings.Contains(out, "uid 33 gid 44") || !strings.Contains(out, "dir /etc") || !strings.Contains(out, "E=1") {
		t.Errorf("%q, %d", out, code)
	}
	if _, code := run(driver.ExecSpec{Args: []string{"/nowhere"}}, ""); code != 127 {
		t.Errorf("a program that is not there: exit code %d", code)
	}
	if err := c.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), driver.ExecSpec{Args: []string{"/guest", "show"}}); err == nil {
		t.Error("a process started in a container that is gone")
	}
}

// testWrites holds that what one container writes another does not see.
func testWrites(t *testing.T, s *suite) {
	t.Helper()
	c := s.start(t, s.spec("fill"))
	if e := c.ends(t); e.Code != 0 {
		t.Errorf("%+v; it printed %q", e, c.text())
	}
	if _, err := os.Stat(s.layer + "/filler"); err == nil {
		t.Error("a container wrote into its image")
	}
}
