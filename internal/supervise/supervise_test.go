package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/sandbox"
	"github.com/selvage-dev/selvage/internal/supervise"
)

// TestMain lets this binary play the child processes, so that the tests need no
// other program.
func TestMain(m *testing.M) {
	if sandbox.IsHelper(os.Args) {
		os.Exit(sandbox.Main(os.Args[1]))
	}
	if role := os.Getenv("SUPERVISE_ROLE"); role != "" {
		os.Exit(play(role, os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

func play(role string, args []string) int {
	switch role {
	case "echo":
		fmt.Println(strings.Join(args, "|"))
		fmt.Println(strings.Join(os.Environ(), "|"))
		dir, _ := os.Getwd()
		fmt.Println(dir)
		_, _ = io.Copy(os.Stdout, os.Stdin)
		_, _ = os.NewFile(3, "three").WriteString("on three")
		fmt.Fprintln(os.Stderr, "on stderr")
	case "escape":
		return escape(args[0])
	case "exit":
		code, _ := strconv.Atoi(args[0])
		return code
	case "sleep":
		fmt.Println("up")
		time.Sleep(time.Minute)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("up")
		time.Sleep(time.Minute)
	case "polite":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("up")
		<-c
		fmt.Println("bye")
	case "parent": // starts a process of its own that outlives it
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"SUPERVISE_ROLE=stubborn"}
		if args[0] == "holding" {
			cmd.Stdout = os.Stdout
		}
		if err := cmd.Start(); err != nil {
			return 1
		}
		fmt.Println(cmd.Process.Pid)
	case "platform": // stands for the platform that is killed
		p, err := supervise.Start(context.Background(), supervise.Spec{
			Path: os.Args[0], Env: []string{"SUPERVISE_ROLE=stubborn"},
		})
		if err != nil {
			return 1
		}
		// The thread that started the child must not be the one whose end the
		// kernel watches by accident: end as many other threads as possible.
		for range 20 {
			go func() { runtime.LockOSThread() }() // an exiting locked goroutine ends its thread
		}
		time.Sleep(100 * time.Millisecond)
		fmt.Println(p.Pid())
		time.Sleep(time.Minute)
	case "burn":
		// Of processor time: on a busy machine the clock alone says nothing.
		for used := (syscall.Rusage{}); used.Utime.Nano()+used.Stime.Nano() < int64(150*time.Millisecond); {
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		}
		fmt.Println("up")
		time.Sleep(time.Minute)
	}
	return 0
}

// lines collects output.
type lines struct {
	mu  sync.Mutex
	got []string
	c   chan struct{}
}

func newLines() *lines { return &lines{c: make(chan struct{}, 1000)} }

func (l *lines) add(b []byte) {
	l.mu.Lock()
	l.got = append(l.got, string(b))
	l.mu.Unlock()
	l.c <- struct{}{}
}

func (l *lines) first(t *testing.T) string {
	t.Helper()
	select {
	case <-l.c:
	case <-time.After(10 * time.Second):
		t.Fatal("no output")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got[0]
}

func start(t *testing.T, role string, out *lines, args ...string) *supervise.Process {
	t.Helper()
	spec := supervise.Spec{Path: self(t), Args: args, Env: []string{"SUPERVISE_ROLE=" + role}}
	if out != nil {
		spec.Stdout = out.add
	}
	p, err := supervise.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func wait(t *testing.T, p *supervise.Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the process does not end")
	}
}

func TestSpec(t *testing.T) {
	t.Setenv("SECRET", "leak")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out, errs := newLines(), newLines()
	dir := t.TempDir()
	p, err := supervise.Start(t.Context(), supervise.Spec{
		Path: self(t), Args: []string{"a b", "$c"}, Env: []string{"SUPERVISE_ROLE=echo", "X=1"}, Dir: dir,
		Stdin: strings.NewReader("in\nlast"), ExtraFiles: []*os.File{w}, Stdout: out.add, Stderr: errs.add,
	})
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	three, _ := io.ReadAll(r)
	wait(t, p)
	want := []string{"a b|$c", "SUPERVISE_ROLE=echo|X=1", dir, "in", "laston stderr"}
	want[4] = "last"
	if strings.Join(out.got, "\n") != strings.Join(want, "\n") {
		t.Errorf("stdout %q, want %q", out.got, want)
	}
	if len(errs.got) != 1 || errs.got[0] != "on stderr" || string(three) != "on three" {
		t.Errorf("stderr %q, descriptor 3 %q", errs.got, three)
	}
	if p.Err() != nil {
		t.Error(p.Err())
	}
}

func TestExits(t *testing.T) {
	p := start(t, "exit", nil, "3")
	wait(t, p)
	var ee *supervise.ExitError
	if !errors.As(p.Err(), &ee) || ee.Code != 3 || ee.Signal != 0 {
		t.Errorf("got %#v", p.Err())
	}

	out := newLines()
	p = start(t, "sleep", out)
	out.first(t)
	if p.Err() != nil {
		t.Errorf("a running process has the error %v", p.Err())
	}
	p.Kill()
	if !errors.As(p.Err(), &ee) || ee.Code != -1 || ee.Signal != syscall.SIGKILL {
		t.Errorf("got %#v", p.Err())
	}
	p.Kill() // again: nothing happens
}

func TestStartFails(t *testing.T) {
	if _, err := supervise.Start(t.Context(), supervise.Spec{Path: "/nonexistent"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := supervise.Start(ctx, supervise.Spec{Path: self(t)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestStop(t *testing.T) {
	out := newLines()
	p := start(t, "polite", out)
	out.first(t)
	if err := p.Stop(t.Context()); err != nil || p.Err() != nil {
		t.Errorf("polite: %v, %v", err, p.Err())
	}
	if len(out.got) != 2 || out.got[1] != "bye" {
		t.Errorf("output %q", out.got)
	}

	out = newLines()
	p = start(t, "stubborn", out)
	out.first(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || p.Err() == nil {
		t.Errorf("stubborn: %v, %v", err, p.Err())
	}
}

// TestGroup holds that nothing of a process stays behind, and that a grandchild
// which holds the output open does not delay Done.
func TestGroup(t *testing.T) {
	for _, mode := range []string{"quiet", "holding"} {
		out := newLines()
		begin := time.Now()
		p := start(t, "parent", out, mode)
		pid, err := strconv.Atoi(out.first(t))
		if err != nil {
			t.Fatal(err)
		}
		wait(t, p)
		if p.Err() != nil || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %v after %s", mode, p.Err(), time.Since(begin))
		}
		waitGone(t, pid)
	}
}

func TestDiesWithThePlatform(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a signal for a dead parent")
	}
	out := newLines()
	platform := start(t, "platform", out)
	pid, err := strconv.Atoi(out.first(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child died with some thread of the platform: %v", err)
	}
	if err := syscall.Kill(platform.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, pid)
}

// waitGone waits until a process, which is no child of ours, is gone or a zombie.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for range 500 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

func TestUsage(t *testing.T) {
	out := newLines()
	p := start(t, "burn", out)
	out.first(t)
	rss, cpu, err := p.Usage()
	if runtime.GOOS != "linux" {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
		return
	}
	if err != nil || rss < 1<<20 || cpu < 50*time.Millisecond || cpu > 10*time.Second {
		t.Errorf("%d bytes, %s, %v", rss, cpu, err)
	}
	p.Kill()
	if _, _, err := p.Usage(); !errors.Is(err, supervise.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

func TestBackoff(t *testing.T) {
	type step struct {
		uptime   time.Duration
		random   float64
		want     time.Duration
		failures int
	}
	const ms, s = time.Millisecond, time.Second
	tests := map[string]struct {
		b     supervise.Backoff
		steps []step
	}{
		"zero value": {steps: []step{{0, 0, 0, 1}, {0, 0.5, 0, 2}}},
		"doubles up to the bound": {
			b:     supervise.Backoff{Min: 100 * ms, Max: s},
			steps: []step{{0, 0, 100 * ms, 1}, {0, 0, 200 * ms, 2}, {0, 0, 400 * ms, 3}, {0, 0, 800 * ms, 4}, {0, 0, s, 5}, {0, 0, s, 6}},
		},
		"factor": {
			b:     supervise.Backoff{Min: 10 * ms, Max: s, Factor: 10},
			steps: []step{{0, 0, 10 * ms, 1}, {0, 0, 100 * ms, 2}, {0, 0, s, 3}},
		},
		"jitter takes off": {
			b:     supervise.Backoff{Min: 100 * ms, Max: s, Jitter: 0.5},
			steps: []step{{0, 0, 100 * ms, 1}, {0, 0.5, 150 * ms, 2}, {0, 1, 200 * ms, 3}},
		},
		"a healthy time forgives": {
			b:     supervise.Backoff{Min: 100 * ms, Max: s, Healthy: 10 * s},
			steps: []step{{0, 0, 100 * ms, 1}, {9 * s, 0, 200 * ms, 2}, {10 * s, 0, 100 * ms, 1}, {0, 0, 200 * ms, 2}},
		},
		"bound below the minimum": {
			b:     supervise.Backoff{Min: s, Max: 100 * ms},
			steps: []step{{0, 0, 100 * ms, 1}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for i, st := range tt.steps {
				if got := tt.b.Next(st.uptime, st.random); got != st.want || tt.b.Failures() != st.failures {
					t.Errorf("step %d: %s and %d failures, want %s and %d", i, got, tt.b.Failures(), st.want, st.failures)
				}
			}
			tt.b.Reset()
			if tt.b.Failures() != 0 {
				t.Error("Reset keeps failures")
			}
		})
	}
	b := supervise.Backoff{Min: time.Second, Max: time.Minute, Jitter: 0.1}
	for range 10_000 { // never overflows
		if d := b.Next(0, 0.5); d <= 0 || d > time.Minute {
			t.Fatalf("delay %s", d)
		}
	}
}
