package runc_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/selvage-dev/selvage/internal/instances/driver"
	"github.com/selvage-dev/selvage/internal/instances/driver/drivertest"
	"github.com/selvage-dev/selvage/internal/instances/keeper"
	"github.com/selvage-dev/selvage/internal/instances/runc"
)

func TestMain(m *testing.M) {
	if keeper.IsKeeper(os.Args) {
		os.Exit(keeper.Main())
	}
	if os.Getenv(platformRole) != "" {
		os.Exit(platform(os.Args[1], os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, dir string) *runc.Driver {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces")
	}
	d, err := runc.Open(runc.Options{Dir: dir, Helper: "/proc/self/exe", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestKeeperEnds holds that containers end with their keeper, are said to, and that
// others run after that.
func TestKeeperEnds(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	spec := driver.Spec{ID: fmt.Sprintf("keeper%d", os.Getpid()), Layers: []string{drivertest.Layer(t, d.Shift())}, Args: []string{"/guest", "stubborn"}}
	c, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	keepers := 0
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if home, _ := os.Readlink(p + "/cwd"); home == dir {
			pid, _ := strconv.Atoi(filepath.Base(p))
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			keepers++
		}
	}
	if keepers != 1 {
		t.Fatalf("%d keepers", keepers)
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the container does not end")
	}
	if e := c.Exit(); e.Code != 137 {
		t.Errorf("%+v", e)
	}
	if err := c.Signal(syscall.SIGTERM); !errors.Is(err, driver.ErrNotRunning) {
		t.Errorf("a signal: %v", err)
	}
	if err := c.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	spec.Args = []string{"/guest", "exit", "6"}
	c, err = d.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if e := c.Exit(); e.Code != 6 {
		t.Errorf("%+v", e)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDriver runs the tests of every driver.
func TestDriver(t *testing.T) {
	d := open(t, t.TempDir())
	drivertest.Run(t, d)
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
