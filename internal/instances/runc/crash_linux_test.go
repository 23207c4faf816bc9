package runc_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/instances/driver/drivertest"
	"github.com/selvage-dev/selvage/internal/instances/runc"
)

// platformRole makes the test's program a platform that is going to be killed: the
// folder of its driver and a layer follow.
const platformRole = "SELVAGE_RUNC_PLATFORM"

// platform starts containers in all states there are, says so and waits.
func platform(dir, layer string) int {
	d, err := runc.Open(runc.Options{Dir: dir, Helper: "/proc/self/exe"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx := context.Background()
	for i, role := range []string{"serve", "stubborn", "fork", "created", "ended"} {
		args := []string{"/guest", role}
		if role == "ended" {
			args = []string{"/guest", "exit", "0"}
		}
		up := make(chan struct{}, 1000)
		c, err := d.Create(ctx, driver.Spec{
			ID: fmt.Sprintf("crash%dx%d", os.Getpid(), i), Layers: []string{layer}, Args: args,
			Resources: driver.Resources{Memory: 256 << 20, MilliCPU: 1000, PIDs: 30},
			Stdout:    func([]byte) { up <- struct{}{} },
		})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		if role == "created" {
			continue
		}
		if err := c.Start(ctx); err != nil {
			fmt.Println(err)
			return 1
		}
		if role == "ended" {
			<-c.Done()
			continue
		}
		<-up
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
	return 0
}

// hostState is what containers of the driver with this folder leave on the machine:
// others may run tests like this at the same time.
func hostState(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	sum := sha256.Sum256([]byte(dir))
	group := "selvage-" + hex.EncodeToString(sum[:6])
	procs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range procs {
		groups, err := os.ReadFile("/proc/" + e.Name() + "/cgroup")
		if err != nil {
			continue
		}
		home, _ := os.Readlink("/proc/" + e.Name() + "/cwd")
		if strings.Contains(string(groups), group) || home == dir {
			out = append(out, "process "+e.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) {
			out = append(out, "mount "+line)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*/" + group, "/sys/fs/cgroup/" + group, "/sys/fs/cgroup/*/*/" + group, dir + "/*", "/dev/shm/bundles", "/dev/shm/state", "/run/runc/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

// TestKilled holds that of containers nothing runs when the platform was killed, and
// nothing is left when it starts again.
func TestKilled(t *testing.T) {
	open(t, t.TempDir())
	rounds := 10
	if os.Getenv("SELVAGE_TEST_FULL") != "" {
		rounds = 100
	}
	dir := filepath.Join(t.TempDir(), "run")
	layer := drivertest.Layer(t, 0x7000_0000)
	for round := range rounds {
		cmd := exec.Command("/proc/self/exe", dir, layer)
		cmd.Env = append(os.Environ(), platformRole+"=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		if line != "ready\n" {
			_ = cmd.Process.Kill()
			t.Fatalf("the platform says %q", line)
		}
		if n := len(hostState(t, dir)); n < 10 {
			t.Fatalf("only %d things are seen of running containers: this test sees too little", n)
		}
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
		d, err := runc.Open(runc.Options{Dir: dir, Helper: "/proc/self/exe"})
		if err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(20 * time.Second)
		left := hostState(t, dir)
		for len(left) > 0 && time.Now().Before(end) { // the kernel ends processes, but not at once
			time.Sleep(10 * time.Millisecond)
			left = hostState(t, dir)
		}
		if len(left) > 0 {
			t.Fatalf("round %d: left are\n%s", round, strings.Join(left, "\n"))
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rounds of kill -9 with five containers each: nothing is left", rounds)
}
